// Package dispatch owns what leaves a country and what arrives: documents are issued, queued as intents, fixed into numbered messages,
// gathered into signed batches and acknowledged by receipts; incoming batches are verified and applied. Everything is decided by policy and
// recorded in the transaction that does it. It knows no network: the exchange, and an offline bundle, only carry its bytes.
package dispatch
