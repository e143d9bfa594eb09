package dispatch

import (
	"bufio"
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"proofmark/crypto"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

const childVariable = "PROOFMARK_DISPATCH_CHILD"

// lasting is a federation in folders that outlive it; in each round its clock is an hour further, and its randomness another.
func lasting(t *testing.T, dir string, round int) *federation {
	f := &federation{t: t, clock: &clock{at: begin.Add(time.Duration(round) * time.Hour)}, bureaus: map[protocol.Country]*bureau{}}
	members := []protocol.Country{"PT", "ES"}
	for _, c := range members {
		seed := [32]byte{2, c[0], c[1]}
		binary.BigEndian.PutUint64(seed[8:], uint64(round))
		f.bureaus[c] = &bureau{f: f, country: c, dir: filepath.Join(dir, string(c)), random: &random{src: mathrand.NewChaCha8(seed)},
			keys: must(crypto.GenerateKeys(mathrand.NewChaCha8([32]byte{1, c[0], c[1]}))), engine: policy.Default()}
	}
	f.enact(members)
	for _, c := range members {
		f.bureaus[c].open()
	}
	return f
}

// both delivers everything in both directions.
func (f *federation) both() {
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	for range 2 { // what is confirmed is an answer to what arrived
		for _, ch := range protocol.Channels {
			deliver(pt, es, ch)
			deliver(es, pt, ch)
		}
	}
}

// TestWithdrawalChild is the body of the process that TestKillBetweenTheSteps starts and kills: documents are published, delivered, held, withdrawn,
// erased and confirmed, one step after the other.
func TestWithdrawalChild(t *testing.T) {
	dir, n, ok := strings.Cut(os.Getenv(childVariable), "|")
	if !ok {
		return
	}
	round, err := strconv.Atoi(n)
	if err != nil {
		t.Fatal(err)
	}
	f := lasting(t, dir, round)
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	fmt.Println("up")
	for i := 0; ; i++ {
		f.clock.add(time.Millisecond)
		id := pt.publish(signature("x"), attributes())
		if i%4 != 3 { // a fourth of them is withdrawn while it waits
			deliver(pt, es, protocol.Bulk)
		}
		held := i%3 == 1 && es.record(id) != nil
		if held {
			es.hold(id, "order 7")
		}
		pt.withdraw(id)
		deliver(pt, es, protocol.Urgent)
		deliver(es, pt, protocol.Urgent)
		if held {
			es.release(id)
			deliver(es, pt, protocol.Urgent)
		}
		if i == 0 {
			fmt.Println("withdrawn")
		}
	}
}

// Killed at any moment, on both sides at once, each withdrawal is carried out and confirmed once.
func TestKillBetweenTheSteps(t *testing.T) {
	dir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	when := mathrand.New(mathrand.NewPCG(seed, 1))
	const rounds = 5
	for round := range rounds {
		c := exec.Command(os.Args[0], "-test.run=^TestWithdrawalChild$")
		c.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%d", childVariable, dir, round))
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		says := bufio.NewReader(out)
		wanted := []string{"up\n"}
		if round == 0 { // not before there is something to lose
			wanted = append(wanted, "withdrawn\n")
		}
		for _, want := range wanted {
			if line, err := says.ReadString('\n'); err != nil || line != want {
				t.Fatalf("round %d: the child says %q, %v, want %q", round, line, err, want)
			}
		}
		time.Sleep(time.Duration(when.Float64() * float64(400*time.Millisecond)))
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); c.ProcessState.ExitCode() != -1 {
			t.Fatalf("round %d: the child was not killed, it ended: %v", round, err)
		}
	}
	f := lasting(t, dir, rounds)
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	f.both()
	for _, own := range pt.kept(Own) { // published, and not yet withdrawn when the process died
		if own.Type == protocol.TypeSignature {
			pt.withdraw(own.ID)
		}
	}
	f.both()
	for _, rec := range es.kept(Accepted) {
		if rec.Hold != nil {
			es.release(rec.ID)
		}
	}
	f.both()

	for _, rec := range es.kept(Accepted) {
		if rec.Type == protocol.TypeSignature {
			t.Errorf("ES still holds %s", rec.ID)
		}
	}
	if refused := append(pt.kept(Refused), es.kept(Refused)...); len(refused) > 0 {
		t.Errorf("refused: %+v", refused[0])
	}
	ptLog, esLog := pt.log(), es.log()
	count := func(log []store.AuditRecord, action protocol.AuditAction, object, event string) (n int) {
		for _, r := range log {
			if r.Action == action && r.Object == object && strings.HasPrefix(r.Event, event) {
				n++
			}
		}
		return n
	}
	told := 0
	for _, rec := range pt.kept(Recalled) {
		id := rec.ID
		if n := count(ptLog, protocol.ActAlter, id, "withdrawn: "); n != 1 {
			t.Errorf("%s: withdrawn %d times", id, n)
		}
		received := count(esLog, protocol.ActReceive, id, "received")
		if erased := count(esLog, protocol.ActErase, id, "erased"); erased != received {
			t.Errorf("%s: received %d times, erased %d times", id, received, erased)
		}
		h, sent := pt.holders(id)["ES"]
		if !sent {
			if received != 0 {
				t.Errorf("%s reached ES, which is not told", id)
			}
			continue
		}
		told++
		if !h.Done() || (h.State == HolderErased) != (received == 1) {
			t.Errorf("%s: received %d times, and ES is %s", id, received, h.State)
		}
		if n := count(ptLog, protocol.ActReceive, id, "withdrawal confirmed: "+map[bool]string{true: "ERASED", false: "NOT_HELD"}[received == 1]); n != 1 {
			t.Errorf("%s: confirmed %d times", id, n)
		}
	}
	t.Logf("%d withdrawals, %d of them told to ES", len(pt.kept(Recalled)), told)
	if told == 0 {
		t.Error("nothing was withdrawn from ES: the test proved nothing")
	}
}
