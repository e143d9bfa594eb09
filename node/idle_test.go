package node

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"proofmark/correlate"
	"proofmark/correlate/synth"
	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/node/index"
	"proofmark/protocol"
	"proofmark/store"
)

var (
	idleSignatures = flag.Int("idle", 2000, "signatures that BenchmarkIdle's node holds, such as 100000")
	idleMembers    = flag.Int("idle-members", 200, "members that BenchmarkIdle's node knows")
)

// BenchmarkIdle says what the daemon with many signatures and members holds in memory when nothing happens: after a start that builds the index from the
// database, and after one that reads it from its snapshot. The members do not answer, so that it keeps trying to reach them. An iteration builds the
// database anew: -benchtime=1x.
func BenchmarkIdle(b *testing.B) {
	program := filepath.Join(b.TempDir(), "proofmark")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/proofmark").CombinedOutput(); err != nil {
		b.Fatalf("build the daemon: %v\n%s", err, out)
	}
	for b.Loop() {
		pt := newBureau(b, "PT")
		pt.start()
		pt.login(nil)
		pt.know(*idleMembers)
		pt.hold(*idleSignatures)
		pt.halt()
		for _, start := range []string{"built", "restored"} {
			filled, rest := pt.residentAtRest(program)
			b.ReportMetric(filled, "MB-filled-"+start)
			b.ReportMetric(rest, "MB-rest-"+start)
		}
	}
}

// residentAtRest runs the daemon until its memory has come to rest: what it held when its index was whole, and then.
func (b *bureau) residentAtRest(program string) (filled, rest float64) {
	b.t.Helper()
	secret := filepath.Join(b.dir, "passphrase.txt")
	if err := os.WriteFile(secret, []byte(testPassphrase), 0o600); err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(program, "--data", b.dir, "run", "--passphrase-file", secret)
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	whole := make(chan bool, 1)
	go func() {
		for lines := bufio.NewScanner(said); lines.Scan(); {
			if strings.Contains(lines.Text(), "the index is ready") {
				whole <- true
			}
		}
		whole <- false
	}()
	if !<-whole {
		b.t.Fatalf("the daemon ended before its index was whole: %v", cmd.Wait())
	}
	filled = residentMB(b.t, cmd.Process.Pid)
	for least, since := filled, time.Now(); time.Since(since) < 40*time.Second; time.Sleep(time.Second) {
		if rest = residentMB(b.t, cmd.Process.Pid); rest < least-2 {
			least, since = rest, time.Now()
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		b.t.Fatalf("the daemon: %v", err)
	}
	return filled, rest
}

// know installs a roster of so many members, which have addresses where nobody answers.
func (b *bureau) know(members int) {
	b.t.Helper()
	private, _, err := roster.NewHolder("A. Silva", []byte(testPassphrase), rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	holder, err := roster.OpenHolder(private, []byte(testPassphrase))
	if err != nil {
		b.t.Fatal(err)
	}
	now := time.Now()
	doc, err := roster.Create("test federation", []roster.Holder{holder.Holder()}, 1, now, now.AddDate(1, 0, 0))
	if err != nil {
		b.t.Fatal(err)
	}
	for i, c := range countryCodes(members) {
		if c == b.country {
			continue
		}
		if err := doc.Add(silentMember(b.t, c, i), now); err != nil {
			b.t.Fatal(err)
		}
	}
	own, err := os.ReadFile(MemberPath(b.dir))
	if err == nil {
		err = doc.Add(string(own), now)
	}
	if err == nil {
		err = doc.Sign(holder)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	raw, err := doc.Marshal()
	if err != nil {
		b.t.Fatal(err)
	}
	call[json.RawMessage](b.t, b.people["admin"], "roster.install", control.InstallRequest{Documents: [][]byte{raw}, Anchor: doc.Hash()})
}

func silentMember(t testing.TB, country string, i int) string {
	k, err := crypto.GenerateKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(k.HostKey())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	entry, err := roster.SignMember(roster.Member{Country: country, Name: "NCB " + country, PeerIDs: []string{id.String()},
		Addresses:   []string{fmt.Sprintf("/ip4/127.1.%d.%d/tcp/9", i/200, i%200+1)},
		SigningKeys: []json.RawMessage{k.SigningJWK()}, SealingKeys: []json.RawMessage{k.SealingJWK()}, LogKey: k.LogVerifierKey(LogOrigin(country)),
		ValidFrom: now.Add(-time.Hour), ValidUntil: now.AddDate(1, 0, 0)}, k.Signer())
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

// heldMarks is how many different marks BenchmarkIdle's signatures have.
const heldMarks = 64

// hold writes foreign signatures into the database as they were received, without the acts around them: the next start finds and indexes them. Their
// marks are those of some generated breech faces again and again, which take what as many different ones would.
func (b *bureau) hold(n int) {
	b.t.Helper()
	marks, errs := make([][]byte, heldMarks), make([]error, heldMarks)
	var wg sync.WaitGroup
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range marks {
		wg.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			s, _, err := correlate.Encode(synth.NewMaker(uint64(i/8)).Firearm(uint64(i)).Fire(1, synth.Shot{}), correlate.BreechFace)
			if err == nil {
				marks[i], err = s.MarshalBinary()
			}
			errs[i] = err
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		b.t.Fatal(err)
	}
	entry := func(s *ballistics.Signature) *index.Entry {
		return &index.Entry{ID: s.ID, Exhibit: s.Exhibit, Bytes: s.Bytes, Facts: index.Facts{Country: s.Country, ROI: s.ROI, Kind: s.Kind, Origin: s.Origin,
			Algorithm: s.Algorithm, Class: s.Class}}
	}
	records := store.NewCollection("signature",
		store.Index[ballistics.Signature]{Name: "exhibit", Keys: func(s *ballistics.Signature) []string { return []string{s.Exhibit} }},
		store.Index[ballistics.Signature]{Name: "held", Keys: func(s *ballistics.Signature) []string { return []string{entry(s).Digest()} }})
	random := mathrand.NewChaCha8([32]byte{1})
	for first := 0; first < n; first += 1000 {
		err := b.node.store.Update(context.Background(), func(tx *store.Tx) error {
			for i := first; i < min(first+1000, n); i++ {
				id, err := protocol.NewDocumentID("ES", tx.Now(), random)
				if err != nil {
					return err
				}
				s := &ballistics.Signature{ID: id, Country: "ES", Exhibit: fmt.Sprintf("0198f2a4-0000-7000-9000-%012x", i), ROI: correlate.BreechFace, Kind: protocol.CartridgeCase,
					Origin: protocol.Evidence, Class: correlate.Class{Calibre: "9x19", FiringPin: "circular", Pattern: "unknown"}, Algorithm: correlate.Algorithm,
					Quality: 0.9, Bytes: marks[i%len(marks)], Received: tx.Now(), Expires: tx.Now().AddDate(1, 0, 0)}
				if err := records.Put(tx, id, s); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
	_ = os.Remove(filepath.Join(b.dir, indexFile)) // none of a smaller holding
}
