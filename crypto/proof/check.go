package proof

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"proofmark/crypto"
	"proofmark/crypto/witness"
	"proofmark/protocol"
)

// Finding is what a bundle proves.
type Finding struct {
	Head
	Index    int64               `json:"index"`
	Entry    protocol.AuditEntry `json:"entry"`
	Revealed bool                `json:"revealed"` // the body is shown; else the header alone

	Message  *MessageFound  `json:"message,omitempty"`
	Receipt  *ReceiptFound  `json:"receipt,omitempty"`
	Document *DocumentFound `json:"document,omitempty"`

	Proved    []string `json:"proved"`     // in plain words
	NotProved []string `json:"not_proved"` // what a reader might take for proved

	protocol.Said
}

// Marks implements protocol.Marked. The log is told the codes without their owners; where the message is shown, its terms name them.
func (f *Finding) Marks() (protocol.Handling, []string) {
	if f.Message != nil {
		return protocol.ReadHandling(f.Message.Terms.Handling, f.Country), f.Entry.Documents
	}
	return protocol.MarkedBy("", f.Entry.Handling...), f.Entry.Documents
}

// MessageFound is the message of a disclosure, whose hash the log holds.
type MessageFound struct {
	To       protocol.Country `json:"to"`
	Channel  protocol.Channel `json:"channel"`
	Seq      uint64           `json:"seq"`
	Hash     string           `json:"hash"`
	Terms    protocol.Terms   `json:"terms"`
	Document DocumentFound    `json:"document"`
}

// DocumentFound is a document whose issuer's signature verified.
type DocumentFound struct {
	protocol.Header
	Disclosed int `json:"disclosed"` // fields that were disclosed with it
	Withheld  int `json:"withheld"`  // digests without a disclosure, decoys among them
}

// ReceiptFound is what the recipient has signed.
type ReceiptFound struct {
	Signer protocol.Country `json:"signer"`
	UpTo   uint64           `json:"up_to"`
	At     time.Time        `json:"at"`
	Linked bool             `json:"linked"`            // shown to cover the very message
	Logged *int64           `json:"logged,omitempty"`  // index of the entry that noted it
	Later  uint64           `json:"later,omitempty"`   // messages between the one proved and the one that the receipt names
	Signed string           `json:"message,omitempty"` // hash that the receipt names
}

// Check verifies a bundle against a roster. An error says what does not hold; without one everything in Finding.Proved does.
func Check(b *Bundle, t *Trust) (*Finding, error) {
	f := &Finding{Proved: []string{}, NotProved: []string{}}
	if err := f.entry(b, t); err != nil {
		return nil, err
	}
	if b.Message != nil {
		if err := f.message(b, t); err != nil {
			return nil, fmt.Errorf("the message: %w", err)
		}
	}
	if b.Receipt != "" {
		if err := f.receipt(b, t); err != nil {
			return nil, fmt.Errorf("the receipt: %w", err)
		}
	}
	if b.Document != "" {
		if err := f.document(b, t); err != nil {
			return nil, fmt.Errorf("the document: %w", err)
		}
	}
	f.say(t)
	return f, nil
}

func (f *Finding) entry(b *Bundle, t *Trust) error {
	index, head, e, err := b.Entries[0].verify(b.Country, t)
	if err != nil {
		return fmt.Errorf("the entry: %w", err)
	}
	f.Index, f.Head, f.Entry, f.Revealed = index, *head, e, b.Entries[0].Body != ""
	return nil
}

// verify proves that the leaf is in the log that the checkpoint speaks of.
func (e *Entry) verify(c protocol.Country, t *Trust) (index int64, head *Head, entry protocol.AuditEntry, err error) {
	index, signed, err := e.place()
	if err != nil {
		return 0, nil, entry, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	if head, err = t.checkpoint(c, signed); err != nil {
		return 0, nil, entry, err
	}
	leaf := e.leaf()
	if err := leaf.Check(); err != nil {
		return 0, nil, entry, fmt.Errorf("%w: the body is not the one that was logged", ErrBundle)
	}
	err = torchwood.VerifyProof(head.policy, tlog.RecordHash(leaf.Content()), []byte(e.Proof))
	if _, wrong := errors.AsType[*torchwood.VerifyRecordError](err); wrong {
		return 0, nil, entry, fmt.Errorf("%w: the log of %s with %d entries and root %s does not hold this at index %d: entry, index or proof was altered", ErrBundle, c, head.Size, head.Root, index)
	}
	if err != nil {
		return 0, nil, entry, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	if err := decodeParts(leaf, &entry); err != nil {
		return 0, nil, entry, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	return index, head, entry, nil
}

// maxEntryDepth is the nesting of an entry's body: a list or a map in it.
const maxEntryDepth = 3

func decodeParts(leaf protocol.AuditLeaf, e *protocol.AuditEntry) (err error) {
	err = protocol.CheckJSON(leaf.Header, maxHeader, maxEntryDepth)
	if err == nil && leaf.Body != nil {
		err = protocol.CheckJSON(leaf.Body, maxBody, maxEntryDepth)
	}
	if err != nil {
		return fmt.Errorf("header or body of the entry: %w", err)
	}
	*e, err = leaf.Entry()
	return err
}

func (f *Finding) message(b *Bundle, t *Trust) error {
	m, err := protocol.DecodeMessage(b.Message)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBundle, err)
	}
	e, hash := f.Entry, protocol.MessageHash(b.Message)
	switch {
	case e.Action != protocol.ActDisclose || e.Details["message"] == "":
		return fmt.Errorf("%w: the entry is not the disclosure of a message", ErrBundle)
	case e.Details["message"] != hash:
		return fmt.Errorf("%w: it has the hash %s, the log holds %.64s", ErrBundle, hash, e.Details["message"])
	case m.From != b.Country || string(m.To) != e.Counterpart || string(m.Channel) != e.Channel || m.Seq != e.MessageSeq:
		return fmt.Errorf("%w: it is from %s to %s (%s %d), the entry says to %s (%s %d)", ErrBundle, m.From, m.To, m.Channel, m.Seq, e.Counterpart, e.Channel, e.MessageSeq)
	}
	d, err := t.document(b.Country, m.Document, m.Disclosures)
	if err != nil {
		return err
	}
	f.Message = &MessageFound{To: m.To, Channel: m.Channel, Seq: m.Seq, Hash: hash, Terms: m.Terms, Document: *d}
	return nil
}

// document verifies a document of a country with what was disclosed of it. A type that this program does not know has its header alone.
func (t *Trust) document(issuer protocol.Country, compact string, disclosed []protocol.Disclosure) (*DocumentFound, error) {
	var doc *protocol.Document
	_, err := t.verify(issuer, compact, crypto.TypeDocument, 2*protocol.MaxDocument, func(payload []byte) (time.Time, error) {
		var err error
		doc, err = protocol.Open(payload, disclosed)
		if doc == nil {
			return time.Time{}, fmt.Errorf("%w: %w", ErrBundle, err)
		}
		return doc.Issued, nil
	})
	if err != nil {
		return nil, err
	}
	if doc.Issuer != issuer {
		return nil, fmt.Errorf("%w: it says that %s issued it, %s signed it", ErrUntrusted, doc.Issuer, issuer)
	}
	return &DocumentFound{Header: doc.Header, Disclosed: len(disclosed), Withheld: doc.Withheld}, nil
}

func (f *Finding) receipt(b *Bundle, t *Trust) error {
	e := f.Entry
	var r *protocol.Receipt
	if _, err := t.verify(protocol.Country(e.Counterpart), b.Receipt, crypto.TypeReceipt, 2*protocol.MaxReceipt, func(payload []byte) (time.Time, error) {
		var err error
		if r, err = protocol.DecodeReceipt(payload); err != nil {
			return time.Time{}, err
		}
		return r.At, nil
	}); err != nil {
		return err
	}
	if r.From != b.Country || string(r.To) != e.Counterpart || string(r.Channel) != e.Channel || r.UpTo < e.MessageSeq {
		return fmt.Errorf("%w: it is for %s to %s (%s up to %d), the entry is about %s (%s %d)", ErrBundle, r.From, r.To, r.Channel, r.UpTo, e.Counterpart, e.Channel, e.MessageSeq)
	}
	f.Receipt = &ReceiptFound{Signer: r.To, UpTo: r.UpTo, At: r.At, Later: r.UpTo - e.MessageSeq, Signed: r.Head}
	if r.UpTo == e.MessageSeq && r.Head != e.Details["message"] {
		return fmt.Errorf("%w: it acknowledges message %d with the hash %s, the log holds %.64s", ErrBundle, r.UpTo, r.Head, e.Details["message"])
	}
	if err := f.linked(b, r); err != nil {
		return err
	}
	if len(b.Entries) == 2 {
		index, _, noted, err := b.Entries[1].verify(b.Country, t)
		if err != nil {
			return fmt.Errorf("its entry: %w", err)
		}
		if noted.Action != protocol.ActDisclose || noted.Counterpart != e.Counterpart || noted.Channel != e.Channel || noted.Details["receipt"] != b.Receipt || index <= f.Index {
			return fmt.Errorf("%w: entry %d does not note this receipt after entry %d", ErrBundle, index, f.Index)
		}
		f.Receipt.Logged = &index
	}
	return nil
}

// linked follows the chain of messages from the one that was logged to the one that the receipt names.
func (f *Finding) linked(b *Bundle, r *protocol.Receipt) error {
	seq, hash := f.Entry.MessageSeq, f.Entry.Details["message"]
	for i, raw := range b.Links {
		m, err := protocol.DecodeMessage(raw)
		if err != nil {
			return fmt.Errorf("%w: link %d: %w", ErrBundle, i+1, err)
		}
		if m.From != r.From || m.To != r.To || m.Channel != r.Channel || m.Seq != seq+1 || m.Prev != hash {
			return fmt.Errorf("%w: link %d does not follow message %d", ErrBundle, i+1, seq)
		}
		seq, hash = m.Seq, protocol.MessageHash(raw)
	}
	if len(b.Links) > 0 && (seq != r.UpTo || hash != r.Head) {
		return fmt.Errorf("%w: the links end at message %d, %s; the receipt names %d, %s", ErrBundle, seq, hash, r.UpTo, r.Head)
	}
	f.Receipt.Linked = seq == r.UpTo && hash == r.Head
	return nil
}

func (f *Finding) document(b *Bundle, t *Trust) error {
	e := f.Entry
	if e.Action != protocol.ActReceive || e.Counterpart == "" {
		return fmt.Errorf("%w: the entry is not one of something received", ErrBundle)
	}
	d, err := t.document(protocol.Country(e.Counterpart), b.Document, nil)
	if err != nil {
		return err
	}
	if d.ID != e.Object {
		return fmt.Errorf("%w: its id is %s, the entry is about %.80s", ErrBundle, d.ID, e.Object)
	}
	f.Document = d
	return nil
}

// say puts the finding into words.
func (f *Finding) say(t *Trust) {
	e, c := f.Entry, f.Country
	proved := func(format string, args ...any) { f.Proved = append(f.Proved, fmt.Sprintf(format, args...)) }
	not := func(format string, args ...any) { f.NotProved = append(f.NotProved, fmt.Sprintf(format, args...)) }
	if len(f.Cosigned) == 0 {
		proved("The log of %s held this entry at index %d when it had %d entries: the log's own key signed that.", c, f.Index, f.Size)
		not("That %s showed everybody this same log: no other member has cosigned the checkpoint.", c)
	} else {
		proved("The log of %s held this entry at index %d when it had %d entries: the log's own key signed that, cosigned by %s.", c, f.Index, f.Size, witnesses(f.Cosigned))
	}
	if f.Revealed {
		proved("Who, what, when and why stand in the entry as they were logged; nothing of it was changed since.")
		not("That it is true: %s wrote it, and could write what it liked at the time.", c)
	} else {
		proved("Action, counterpart, decision, ground and day are as they were logged.")
		not("Who did it and with which object: the entry's body is not shown.")
	}
	if m := f.Message; m != nil {
		proved("The message to %s (%s %d) is the one whose hash was logged; document %s in it was signed by %s, with %s of its fields disclosed.", m.To, m.Channel, m.Seq, m.Document.ID, c, number(m.Document.Disclosed))
	} else if f.Revealed && e.Action == protocol.ActDisclose && e.Details["message"] != "" {
		not("What the message said: it is not in the bundle, only its hash is in the log.")
	}
	switch r := f.Receipt; {
	case r != nil && r.Linked:
		proved("%s has signed for this very message on %s.", r.Signer, r.At.UTC().Format(time.RFC3339))
	case r != nil:
		proved("%s has signed on %s for everything up to message %d of this channel, which is later than this one.", r.Signer, r.At.UTC().Format(time.RFC3339), r.UpTo)
		not("That this message is one of those that %s signed for: between it and the one that the receipt names lie %d more, which are not in the bundle (audit prove --links puts them in).", r.Signer, r.Later)
	case f.Revealed && e.Action == protocol.ActDisclose && e.Details["message"] != "":
		not("That %s received it: no receipt is in the bundle.", e.Counterpart)
	}
	if d := f.Document; d != nil {
		proved("Document %s, which the entry is about, was signed by %s.", d.ID, d.Issuer)
	}
	if !t.Anchored {
		not("That the roster is the federation's: it was taken as it is. Give --anchor, which you were told by another way than the file.")
	}
}

func witnesses(list []witness.Cosignature) string {
	names := make([]string, len(list))
	for i, w := range list {
		names[i] = w.Country
	}
	return strings.Join(names, ", ")
}

func number(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}
