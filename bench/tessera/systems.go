package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"proofmark/protocol"
	"proofmark/store"
)

var begin = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

var countries = []string{"AT", "BE", "CZ", "DE", "DK", "ES", "FI", "FR", "IT", "NL", "PL", "SE"}

// act is the entry of the n-th disclosure: about fifty for each object, a hundred for each case, a few dozen people.
func act(n int) protocol.AuditEntry {
	return protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActDisclose, Counterpart: countries[n%len(countries)], Decision: "permit", Ground: "policy"},
		AuditBody: protocol.AuditBody{
			Time: begin.Add(time.Duration(n) * 3 * time.Second), Actor: fmt.Sprintf("person%02d", n%40), Kind: "signature",
			Object: objectOf(n / 50), Case: fmt.Sprintf("PJ %07d/26", n/100), Event: "document sent", Purpose: purpose(n),
			Policies: []string{fmt.Sprintf("signatures-to-members-%d (20-signatures.cedar:%d)", n/10_000%20, n/10_000%20*8)}, PolicyVer: "5b2f9c1e77aa40d1",
			Handling: []string{"H0", "H1"}[:1+n%2], Details: map[string]string{"channel": "bulk", "recipient": "NCB"}, MessageSeq: uint64(n), Channel: "bulk",
		},
	}
}

// purpose is one of four, of which one is rare.
func purpose(n int) string {
	if n%250_000 == 17 {
		return "humanitarian identification"
	}
	return []string{"criminal-investigation", "trace", "prosecution"}[n%3]
}

func objectOf(n int) string {
	return fmt.Sprintf("0195f000-%04x-7000-8%03x-%012x", n>>12&0xffff, n&0xfff, n)
}

type proofmarkLog struct{ s *store.Store }

func openProofmark(dir string, signer note.Signer, _ int) (appender, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	s, err := store.Open(store.Options{Dir: dir, Key: key, Now: time.Now, Random: rand.Reader, Signer: signer})
	if err != nil {
		return nil, err
	}
	return &proofmarkLog{s}, nil
}

func (l *proofmarkLog) append(ctx context.Context, n int) error {
	return l.s.Update(ctx, func(tx *store.Tx) error { tx.Audit(act(n)); return nil })
}

func (l *proofmarkLog) close() error { return l.s.Close() }

type tesseraLog struct {
	a        *tessera.Appender
	shutdown func(context.Context) error
	stop     context.CancelFunc // ends what it does beside, which would go on during the measurements after it
}

// openTessera chooses batches as large as they can get with so many appends under way: larger ones would only wait.
func openTessera(dir string, signer note.Signer, outstanding int) (appender, error) {
	ctx, stop := context.WithCancel(context.Background())
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		stop()
		return nil, err
	}
	o := tessera.NewAppendOptions().WithCheckpointSigner(signer).WithCheckpointInterval(time.Second).
		WithBatching(uint(outstanding), 2*time.Millisecond).WithPushback(uint(4*outstanding + 4096))
	a, shutdown, _, err := tessera.NewAppender(ctx, driver, o)
	if err != nil {
		stop()
		return nil, err
	}
	return &tesseraLog{a, shutdown, stop}, nil
}

// append hands over the entry as Proofmark would hash it, without salt: Tessera gives an index when it is integrated and synced.
func (l *tesseraLog) append(ctx context.Context, n int) error {
	e := act(n)
	e.Day = e.Time.Format(time.DateOnly)
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = l.a.Add(ctx, tessera.NewEntry(b))()
	return err
}

func (l *tesseraLog) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	defer l.stop()
	return l.shutdown(ctx)
}
