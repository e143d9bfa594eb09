package node

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"proofmark/correlate"
	"proofmark/correlate/synth"
	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/protocol"
	"proofmark/store"
)

var (
	idleSignatures = flag.Int("idle", 2000, "signatures that BenchmarkIdle's node holds, such as 100000")
	idleMembers    = flag.Int("idle-members", 200, "members that BenchmarkIdle's node knows")
)

// idleFolder names the data folder in the process that is measured.
const idleFolder = "PROOFMARK_IDLE_FOLDER"

// BenchmarkIdle says what a node with many signatures and members holds in memory when nothing happens, in a process of its own: after a start that builds
// the index from the database, and after one that reads it from its snapshot. The members do not answer, so that it keeps trying to reach them.
func BenchmarkIdle(b *testing.B) {
	if dir := os.Getenv(idleFolder); dir != "" {
		idle(b, dir)
		return
	}
	if b.N > 1 {
		return // measured once is enough
	}
	pt := newBureau(b, "PT")
	pt.start()
	pt.login(nil)
	pt.know(*idleMembers)
	pt.hold(*idleSignatures)
	pt.halt()
	for _, start := range []string{"built", "restored"} {
		cmd := exec.Command(os.Args[0], "-test.run", "^$", "-test.bench", "^BenchmarkIdle$", "-test.benchtime", "1x")
		cmd.Env = append(os.Environ(), idleFolder+"="+pt.dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		for _, m := range idleFigure.FindAllSubmatch(out, -1) {
			mb, err := strconv.ParseFloat(string(m[2]), 64)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(mb, "MB-"+string(m[1])+"-"+start)
		}
	}
}

var idleFigure = regexp.MustCompile(`idle (\w+): ([\d.]+) MB`)

// idle opens the node in this process and waits until it has come to rest.
func idle(b *testing.B, dir string) {
	if b.N > 1 {
		return
	}
	pt := &bureau{t: b, country: "PT", dir: dir, people: map[string]*control.Client{}}
	pt.start()
	wait(b, "the index is whole", func() bool { return pt.node.ballistics.Filling().Ready })
	fmt.Printf("idle filled: %.0f MB\n", residentMB(b))
	last, since := 1e9, time.Now()
	wait(b, "memory comes to rest", func() bool {
		if mb := residentMB(b); mb < last-1 {
			last, since = mb, time.Now()
		}
		return time.Since(since) > 20*time.Second
	})
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Printf("idle rest: %.0f MB\nidle heap: %.0f MB\n", residentMB(b), float64(m.HeapAlloc)/(1<<20))
	pt.halt()
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

// hold writes foreign signatures into the database as they were received, without the acts around them: the next start finds and indexes them. Their
// marks are those of a few generated breech faces, which take what others would.
func (b *bureau) hold(n int) {
	b.t.Helper()
	maker := synth.NewMaker(1)
	var marks [][]byte
	for i := range 4 {
		s, _, err := correlate.Encode(maker.Firearm(uint64(i)).Fire(1, synth.Shot{}), correlate.BreechFace)
		if err != nil {
			b.t.Fatal(err)
		}
		raw, err := s.MarshalBinary()
		if err != nil {
			b.t.Fatal(err)
		}
		marks = append(marks, raw)
	}
	records := store.NewCollection[ballistics.Signature]("signature")
	random := mathrand.NewChaCha8([32]byte{1})
	for first := 0; first < n; first += 400 {
		err := b.node.store.Update(context.Background(), func(tx *store.Tx) error {
			for i := first; i < min(first+400, n); i++ {
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
