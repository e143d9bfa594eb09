// Package protocol is the language of the federation: the documents that members exchange, the messages, batches and receipts
// that carry them, their framing on a stream and the form of an audit entry. It holds pure types and bytes: it signs nothing,
// stores nothing and opens no connection.
//
// A document is signed once by its issuing country (see [Compose]). What a policy may withhold stands in it as salted digests in the
// manner of SD-JWT (RFC 9901); the message to each recipient carries the disclosures that this recipient may have, and the terms
// under which it has them. Messages to one recipient form channels: numbered, chained by hash, and acknowledged by signed receipts.
package protocol
