package witness

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	rules "proofmark/crypto/witness"
	"proofmark/protocol"
)

// history is a log in memory; two of one member with the same first entries are a fork.
type history struct {
	name   string
	hashes []tlog.Hash
	signer note.Signer
	own    note.Verifier
}

const common = 4 // entries that all histories of a member share

func (h *history) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = h.hashes[x]
	}
	return out, nil
}

func (b *bureau) history(name string, n int64) *history {
	h := &history{name: name, signer: b.o.Signer, own: b.o.Own}
	for i := range n {
		text := fmt.Sprint(b.c, i)
		if i >= common {
			text += name
		}
		h.hashes = append(h.hashes, must(tlog.StoredHashes(i, []byte(text), h))...)
	}
	return h
}

func (h *history) tree(n int64) rules.Tree {
	return rules.Tree{N: n, Hash: must(tlog.TreeHash(n, h))}
}

// offer asks for a cosignature on n entries, of a witness that holds shown.
func (h *history) offer(shown rules.Tree, n int64) []byte {
	signed := must(note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", h.own.Name(), n, h.tree(n).Hash)}, h.signer))
	head := rules.Head{Origin: h.own.Name(), Shown: shown, Past: h.tree(min(shown.N, n)).Hash, Newest: h.tree(n), At: begin}
	var proof tlog.TreeProof
	if shown.N > 0 && shown.N <= n {
		proof = must(tlog.ProveTree(n, shown.N, h))
	}
	head.Proof = rules.ProofSum(proof)
	return must(json.Marshal(ask{Checkpoint: string(signed), Head: must(rules.SignHead(head, h.signer)), Proof: proof}))
}

// Two histories of one log are offered to one witness by many at the same time: what it cosigns is one history.
func TestOfTwoForksAtOnceOneWins(t *testing.T) {
	f := newFederation(t, t.TempDir(), "ES", "PT", "FR", "DE", "IT", "AT")
	es := f.bureaus["ES"]
	for _, c := range []protocol.Country{"PT", "FR", "DE", "IT", "AT"} {
		b := f.bureaus[c]
		forks := []*history{b.history("a", 24), b.history("b", 24)}
		if a := es.answerTo(c, forks[0].offer(rules.Empty(), common)); a.Cosignature == "" {
			t.Fatalf("%s: %+v", c, a)
		}
		shown := forks[0].tree(common)
		start := make(chan struct{})
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := map[string]int{}
		for i := range 16 {
			h := forks[i%2]
			q := h.offer(shown, common+1+int64(i))
			wg.Go(func() {
				<-start
				raw, err := es.Answer(context.Background(), c, q)
				if err != nil {
					t.Error(err)
					return
				}
				a, err := decodeAnswer(raw)
				if err != nil {
					t.Error(err)
				}
				if a.Cosignature != "" {
					mu.Lock()
					defer mu.Unlock()
					won[h.name]++
				}
			})
		}
		close(start)
		wg.Wait()
		if len(won) != 1 || won["a"]+won["b"] != 1 { // the others based their offer on what was held before
			t.Errorf("%s: cosigned %v", c, won)
		}
	}
}

const childVariable = "PROOFMARK_WITNESS_CHILD"

var origins = []protocol.Country{"PT", "FR", "DE", "IT", "AT", "BE"}

// TestWitnessChild is the body of the process that TestAKilledWitnessForgetsNothing starts and kills: a witness that is offered two histories of each log by
// several at once, and says what it has cosigned once the log has it.
func TestWitnessChild(t *testing.T) {
	dir := os.Getenv(childVariable)
	if dir == "" {
		return
	}
	f := newFederation(t, dir, append([]protocol.Country{"ES"}, origins...)...)
	es := f.bureaus["ES"]
	if _, _, err := es.keyring(); err != nil {
		t.Fatal(err)
	}
	fmt.Println("up")
	var wg sync.WaitGroup
	for _, c := range origins {
		for _, h := range []*history{f.bureaus[c].history("a", 200), f.bureaus[c].history("b", 200)} {
			wg.Go(func() {
				for {
					held, err := es.heldTree(string(c))
					if err != nil || held.N >= 199 {
						return
					}
					raw, err := es.Answer(context.Background(), c, h.offer(held, held.N+1+mathrand.Int64N(3)%2))
					if err != nil {
						return
					}
					if a, err := decodeAnswer(raw); err == nil && a.Cosignature != "" {
						text, _, _ := strings.Cut(a.Cosignature, "\n")
						fmt.Printf("%s %s %d %d\n", c, h.name, held.N, len(text))
					}
				}
			})
		}
	}
	wg.Wait()
	fmt.Println("done")
	select {}
}

func TestAKilledWitnessForgetsNothing(t *testing.T) {
	dir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	when := mathrand.New(mathrand.NewPCG(seed, 1))
	forks := map[string]string{}
	least := map[string]int64{}
	for round := range 4 {
		c := exec.Command(os.Args[0], "-test.run=^TestWitnessChild$")
		c.Env = append(os.Environ(), childVariable+"="+dir)
		out, err := c.StdoutPipe()
		check(t, err)
		check(t, c.Start())
		lines := bufio.NewScanner(out)
		if !lines.Scan() || lines.Text() != "up" {
			t.Fatalf("round %d: the child says %q", round, lines.Text())
		}
		kill := 16 + when.IntN(25) // after so many cosignatures: over all rounds more than what the histories share, given twice
		for n := 0; lines.Scan(); n++ {
			if n == kill || lines.Text() == "done" {
				check(t, c.Process.Kill())
			}
			fields := strings.Fields(lines.Text())
			if len(fields) != 4 {
				continue // cut by the kill
			}
			from, err := strconv.ParseInt(fields[2], 10, 64)
			check(t, err)
			if from < common {
				continue // what the two histories share, or the step that leaves it
			}
			country, fork := fields[0], fields[1]
			least[country] = max(least[country], from+1)
			if was := forks[country]; was != "" && was != fork && from > common {
				t.Errorf("round %d: %s: history %s was cosigned up to %d after history %s", round, country, fork, from, was)
			}
			if from > common {
				forks[country] = fork
			}
		}
		_ = c.Wait()
	}
	f := newFederation(t, dir, append([]protocol.Country{"ES"}, origins...)...)
	es := f.bureaus["ES"]
	_, _, err := es.keyring()
	check(t, err)
	for _, c := range origins {
		held, err := es.heldTree(string(c))
		check(t, err)
		if held.N < least[string(c)] {
			t.Errorf("%s: %d entries were cosigned, %d are held after the kills", c, least[string(c)], held.N)
		}
		if fork := forks[string(c)]; fork != "" && held != f.bureaus[c].history(fork, 200).tree(held.N) {
			t.Errorf("%s: history %s was cosigned, another is held", c, fork)
		}
	}
	if len(forks) == 0 {
		t.Error("nothing was cosigned beyond what the histories share")
	}
}
