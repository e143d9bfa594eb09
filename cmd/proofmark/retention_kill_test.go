package main

import (
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/crypto"
	"proofmark/node/ballistics"
	"proofmark/node/dispatch"
	"proofmark/node/retention"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// frozen opens the database of a daemon that was killed, as it was left.
func (d *daemon) frozen(look func(tx *store.Tx, s *store.Store) error) {
	d.t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(d.data, name))
		if err != nil {
			d.t.Fatal(err)
		}
		return b
	}
	master, err := crypto.UnwrapMasterKey(read("master.key"), []byte("seven red lamps in the harbour"))
	if err != nil {
		d.t.Fatal(err)
	}
	keys, err := crypto.OpenKeys(read("keys.sealed"), master)
	if err != nil {
		d.t.Fatal(err)
	}
	signer, err := keys.LogSigner("proofmark." + filepath.Base(d.data))
	if err != nil {
		d.t.Fatal(err)
	}
	s, err := store.Open(store.Options{Dir: filepath.Join(d.data, "store"), Key: master.Derive("badger"), Now: time.Now, Random: rand.Reader, Signer: signer})
	if err != nil {
		d.t.Fatal(err)
	}
	if err := s.View(func(tx *store.Tx) error { return look(tx, s) }); err != nil {
		d.t.Error(err)
	}
	if err := s.Close(); err != nil {
		d.t.Fatal(err)
	}
}

// The records of a node, read past its indexes.
var (
	allCases      = store.NewCollection[ballistics.Case]("case")
	allExhibits   = store.NewCollection[ballistics.Exhibit]("exhibit")
	allScans      = store.NewCollection[ballistics.Acquisition]("acquisition")
	allSignatures = store.NewCollection[ballistics.Signature]("signature")
	allReviews    = store.NewCollection[retention.Review]("retention-review")
)

// doomed is a case that is to be purged, with all that is made of it.
type doomed struct {
	id, reference, exhibit, acquisition, signature, scan string
}

// left says what of a case is there.
func (c *doomed) left(tx *store.Tx) (out []string, err error) {
	there := func(what string, has bool, e error) {
		if has {
			out = append(out, what)
		}
		if err == nil {
			err = e
		}
	}
	has, e := allCases.Has(tx, c.id)
	there("case", has, e)
	has, e = allExhibits.Has(tx, c.exhibit)
	there("exhibit", has, e)
	if c.signature != "" {
		has, e = allScans.Has(tx, c.acquisition)
		there("acquisition", has, e)
		has, e = allSignatures.Has(tx, c.signature)
		there("signature", has, e)
		has, e = tx.HasBlob(c.scan)
		there("scan", has, e)
		has, e = dispatch.Documents.Has(tx, c.signature)
		there("document", has, e)
	}
	return out, err
}

// check says what is wrong with the state of a purge, whatever the moment: all of a case is there, or nothing of it; nothing goes that is not withdrawn,
// and what is said to be erased is, with its proof and no earlier.
func (c *doomed) check(t *testing.T, tx *store.Tx, s *store.Store) (retention.State, error) {
	whole := []string{"case", "exhibit"}
	if c.signature != "" {
		whole = append(whole, "acquisition", "signature", "scan", "document")
	}
	left, err := c.left(tx)
	if err != nil {
		return "", err
	}
	state := retention.State("undecided")
	v, err := allReviews.Get(tx, "case/"+c.id)
	if err == nil {
		state = v.State
	}
	said, err := s.QueryAudit(t.Context(), store.AuditQuery{Object: "case/" + c.id, Kind: policy.KindRetention, Action: string(protocol.ActErase), Limit: 10})
	if err != nil {
		return state, err
	}
	gone := state == retention.Erasing || state == retention.Purged
	if gone && len(left) > 0 || !gone && !slices.Equal(left, whole) {
		return state, fmt.Errorf("%s, killed while %s: of the case %v is left", c.reference, state, left)
	}
	if (state == retention.Purged) != (len(said) == 1) {
		return state, fmt.Errorf("%s, killed while %s: the log says %d times that it is erased", c.reference, state, len(said))
	}
	if c.signature != "" && !gone {
		doc, err := dispatch.Documents.Get(tx, c.signature)
		if err != nil {
			return state, err
		}
		if withdrawn := doc.Withdrawn != nil; withdrawn != (state == retention.Withdrawing) {
			return state, fmt.Errorf("%s, killed while %s: withdrawn %v", c.reference, state, withdrawn)
		}
	}
	if state == retention.Purged {
		for _, index := range v.Purged.Bodies {
			if leaf, err := tx.AuditLeaf(index); err != nil || leaf.Body != nil {
				return state, fmt.Errorf("%s is purged, and entry %d says what it said: %v", c.reference, index, err)
			}
		}
	}
	return state, nil
}

// TestPurgeSurvivesKills: while cases are purged, one that was published and must be withdrawn first and one that never left, the node and the holder are
// killed at random moments as kill -9 does. What is left is never half of a case; the same command again, and time, finish it, with a proof for each.
func TestPurgeSurvivesKills(t *testing.T) {
	pair := newPair(t, "PT", "ES")
	pt, es := pair[0], pair[1]
	pt.run("user", "add", "ncb2", "--role", "ncb-operator", "--code-file", "PTncb2.code")
	pt.person("ncb2").run("login", "ncb2", "--code-file", "PTncb2.code", "--secret-file", pt.secretOf("ncb2"))
	tech, ncb, ncb2 := pt.person("tech"), pt.person("ncb"), pt.person("ncb2")
	if err := generate([]string{filepath.Join(pt.dir, "scan.x3p"), "1", "1", "1"}); err != nil {
		t.Fatal(err)
	}
	var cases []*doomed
	for i := range 3 {
		c := &doomed{reference: fmt.Sprintf("CASE-%d", i)}
		number := fmt.Sprintf("EXHIBIT-%d", i)
		c.id = printed[ballistics.Case](tech, "case", "add", c.reference, "--agency", "PJ").ID
		tech.run("incident", "add", "--case", c.reference, "--from", "2026-03-01", "--place", "Elvas", "--offence", "homicide", "--border-km", "6")
		c.exhibit = printed[ballistics.Exhibit](tech, "exhibit", "add", "--number", number, "--case", c.reference, "--origin", "evidence", "--calibre", "9x19").ID
		if i > 0 {
			if err := generate([]string{filepath.Join(pt.dir, "scan.x3p"), "1", "1", fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
			a := printed[ballistics.Acquisition](tech, "acquire", "--exhibit", number, "--roi", "breech-face", "scan.x3p")
			c.acquisition, c.signature, c.scan = a.ID, a.Signature, a.Scans[0].Hash
			waitFor(t, "the signature at ES", func() bool {
				_, err := es.person("ncb").try("document", "show", c.signature)
				return err == nil
			})
		}
		ncb.run("retention", "review", "case/"+c.reference, "--purge", "--reason", "demand", "--yes")
		cases = append(cases, c)
	}

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := mathrand.New(mathrand.NewPCG(seed, 1))
	each := 400 * time.Millisecond
	seen := map[retention.State]int{}
	for i, c := range cases {
		for range min(i+1, 2) {
			approve := ncb2.command("retention", "review", "case/"+c.reference, "--purge", "--reason", "agreed", "--yes")
			began := time.Now()
			if err := approve.Start(); err != nil {
				t.Fatal(err)
			}
			carry := ncb.command("retention", "purge")
			if err := carry.Start(); err != nil {
				t.Fatal(err)
			}
			if i%2 == 1 {
				es.kill() // the holder dies first: the purge waits for its confirmation
			}
			time.Sleep(time.Duration(random.Float64() * 1.5 * float64(each)))
			pt.kill()
			if approve.Wait() == nil {
				each = (each + time.Since(began)) / 2
			}
			_ = carry.Process.Kill()
			_ = carry.Wait()
			pt.frozen(func(tx *store.Tx, s *store.Store) error {
				for _, other := range cases {
					state, err := other.check(t, tx, s)
					if err != nil {
						return err
					}
					if other == c {
						seen[state]++
					}
				}
				return nil
			})
			pt.start()
			if i%2 == 1 {
				es.start()
			}
		}
		// The person types it again until it is done, or had been; after that, purges are carried on as often as it takes.
		waitFor(t, "the purge of "+c.reference, func() bool {
			if _, err := ncb2.try("retention", "review", "case/"+c.reference, "--purge", "--reason", "agreed", "--yes"); err != nil {
				if out, err := ncb2.try("retention", "review", "case/"+c.id, "--purge", "--reason", "agreed", "--yes"); err != nil {
					t.Logf("%s %v", out, err)
					return false
				}
			}
			ncb.run("retention", "purge")
			_, err := ncb.try("retention", "proof", "case/"+c.id)
			return err == nil
		})
	}
	t.Logf("killed while %v", seen)
	for _, c := range cases {
		ncb.run("retention", "proof", "case/"+c.id, "--out", c.reference+".proof")
		pt.run("audit", "check", c.reference+".proof", "--roster", "roster.json", "--anchor-file", "anchor")
		if c.signature == "" {
			continue
		}
		if _, err := es.person("ncb").try("document", "show", c.signature); err == nil || !strings.Contains(err.Error(), "was withdrawn by PT") {
			t.Errorf("%s: ES says of its copy: %v", c.reference, err)
		}
	}
	for _, n := range pair {
		n.person("aud").run("audit", "verify")
	}
	pt.kill()
	pt.frozen(func(tx *store.Tx, s *store.Store) error {
		for _, c := range cases {
			if state, err := c.check(t, tx, s); err != nil || state != retention.Purged {
				return fmt.Errorf("%s in the end: %s, %w", c.reference, state, err)
			}
		}
		return nil
	})
}
