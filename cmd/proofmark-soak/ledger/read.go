package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"proofmark/crypto"
	"proofmark/node"
	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// Folder is a node's data folder, not in use, with what opens it.
type Folder struct {
	Dir        string
	Country    protocol.Country
	Passphrase []byte
}

// unlock derives the key of the database, and opens the country's keys.
func (f Folder) unlock() (crypto.MasterKey, *crypto.Keys, error) {
	wrapped, err := os.ReadFile(filepath.Join(f.Dir, "master.key"))
	if err != nil {
		return crypto.MasterKey{}, nil, fmt.Errorf("books of %s: %w", f.Country, err)
	}
	master, err := crypto.UnwrapMasterKey(wrapped, f.Passphrase)
	if err != nil {
		return master, nil, fmt.Errorf("books of %s: %w", f.Country, err)
	}
	sealed, err := os.ReadFile(filepath.Join(f.Dir, "keys.sealed"))
	if err != nil {
		return master, nil, fmt.Errorf("books of %s: %w", f.Country, err)
	}
	keys, err := crypto.OpenKeys(sealed, master)
	if err != nil {
		err = fmt.Errorf("books of %s: %w", f.Country, err)
	}
	return master, keys, err
}

// open opens the database of a folder, with the verifier of its log.
func (f Folder) open() (*store.Store, note.Verifier, error) {
	master, keys, err := f.unlock()
	if err != nil {
		return nil, nil, err
	}
	origin := node.LogOrigin(string(f.Country))
	signer, err := keys.LogSigner(origin)
	if err != nil {
		return nil, nil, fmt.Errorf("books of %s: %w", f.Country, err)
	}
	verifier, err := note.NewVerifier(keys.LogVerifierKey(origin))
	if err != nil {
		return nil, nil, fmt.Errorf("books of %s: %w", f.Country, err)
	}
	s, err := store.Open(store.Options{Dir: filepath.Join(f.Dir, "store"), Key: master.Derive("badger"), Now: time.Now, Random: rand.Reader, Signer: signer})
	return s, verifier, err
}

// Read verifies a node's log and indexes and takes down its books.
func Read(ctx context.Context, f Folder) (*Books, error) {
	s, verifier, err := f.open()
	if err != nil {
		return nil, err
	}
	b, err := read(ctx, s, verifier, f.Country)
	return b, errors.Join(err, s.Close())
}

func read(ctx context.Context, s *store.Store, verifier note.Verifier, country protocol.Country) (*Books, error) {
	b := &Books{Country: country, Sent: map[Lane][]Entry{}, Receipts: map[Lane][]Entry{}, Received: map[Lane][]Entry{}, Out: map[Lane]Head{}, In: map[Lane]Head{},
		Hashes: map[Lane][]string{}, Documents: map[string]Document{}, Stones: map[string]Stone{}}
	report, err := s.VerifyAudit(ctx, verifier, nil)
	var fault *store.AuditFault
	switch {
	case errors.As(err, &fault):
		b.LogFault = fault.Error()
	case err != nil:
		return nil, err
	}
	b.Entries = report.Size
	if err := s.CheckIndexes(ctx); errors.Is(err, store.ErrCorrupt) {
		b.IndexFault = err.Error()
	} else if err != nil {
		return nil, err
	}
	if err := b.readLog(ctx, s); err != nil {
		return nil, err
	}
	return b, s.View(b.readRecords)
}

// page is how many audit entries are read at once.
const page = 10_000

// readLog takes down every entry about a message, in the order of the log.
func (b *Books) readLog(ctx context.Context, s *store.Store) error {
	size, err := s.AuditSize()
	if err != nil {
		return err
	}
	for before := size; before > 0; {
		list, err := s.QueryAudit(ctx, store.AuditQuery{Before: before, Limit: page})
		if err != nil {
			return err
		}
		if len(list) == 0 {
			break
		}
		for _, r := range list {
			b.enter(r)
		}
		before = list[len(list)-1].Index
	}
	for _, book := range []map[Lane][]Entry{b.Sent, b.Receipts, b.Received} {
		for _, list := range book {
			slices.Reverse(list)
		}
	}
	return nil
}

func (b *Books) enter(r store.AuditRecord) {
	peer, ch := protocol.Country(r.Counterpart), protocol.Channel(r.Channel)
	if r.MessageSeq == 0 || peer == "" {
		return
	}
	e := Entry{Index: r.Index, Seq: r.MessageSeq, Hash: r.Details["message"], Documents: r.Documents}
	out, in := Lane{b.Country, peer, ch}, Lane{peer, b.Country, ch}
	switch {
	case r.Action == protocol.ActDisclose && r.Kind == "receipt":
		e.Hash = r.Details["head"]
		b.Receipts[out] = append(b.Receipts[out], e)
	case r.Action == protocol.ActDisclose:
		b.Sent[out] = append(b.Sent[out], e)
	case e.Hash != "": // received, kept unread or refused: it took its place in the channel
		b.Received[in] = append(b.Received[in], e)
	}
}

func (b *Books) readRecords(tx *store.Tx) error {
	lengths, err := tx.QueueLengths()
	if err != nil {
		return err
	}
	queued := map[Lane]int{}
	lanes := map[Lane]bool{}
	for _, q := range lengths {
		l := Lane{b.Country, protocol.Country(q.Peer), protocol.Channel(q.Channel)}
		queued[l], lanes[l] = q.Intents, true
	}
	for l := range b.Received {
		lanes[l] = true
	}
	for l := range lanes {
		if l.To == b.Country {
			h, err := tx.InHead(string(l.From), string(l.Channel))
			if err != nil {
				return err
			}
			b.In[l] = Head{Seq: h.Seq, Hash: h.Head}
			continue
		}
		h, err := tx.OutHead(string(l.To), string(l.Channel))
		if err != nil {
			return err
		}
		b.Out[l] = Head{Seq: h.Seq, Hash: h.Head, Acked: h.Acked, Queued: queued[l]}
		for seq := uint64(1); seq <= h.Seq; seq++ {
			hash, err := tx.MessageHash(string(l.To), string(l.Channel), seq)
			if err != nil {
				break // the comparison says how many there are
			}
			b.Hashes[l] = append(b.Hashes[l], hash)
		}
	}
	for id, d := range dispatch.Documents.All(tx) {
		doc := Document{Status: string(d.Status), Type: d.Type, Issuer: d.Issuer, JWS: d.JWS, Reason: d.Reason, Named: d.Document}
		if d.Status == dispatch.Recalled && d.Withdrawn != nil {
			doc.Withdrawal = d.Withdrawn.Document
		}
		b.Documents[id] = doc
	}
	for id, t := range dispatch.Tombstones.All(tx) {
		b.Stones[id] = Stone{Withdrawal: t.Withdrawal, Erased: !t.Erased.IsZero()}
	}
	for _, d := range dispatch.Deliveries.All(tx) {
		one := Delivery{Document: d.Document, Lane: Lane{b.Country, d.Peer, d.Channel}, State: d.State, Seq: d.Seq}
		if d.Confirmed != nil {
			one.Outcome = d.Confirmed.Outcome
		}
		b.Deliveries = append(b.Deliveries, one)
	}
	return b.readEffects(tx)
}
