package witness

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

func TestDecide(t *testing.T) {
	pt := newMember(t, "PT")
	log := newTree(40)
	forked := log.branch(10, "other ", 40)
	held := log.at(20)
	restored := func(o Offer, id string, base int64) Offer {
		o.Head.Restored = &Restored{ID: id, Base: log.at(base)}
		return o
	}
	const first, second = "00000000000000000000000000000001", "00000000000000000000000000000002"
	bent := pt.offer(t, log, 30, held)
	bent.Proof = append(tlog.TreeProof{}, bent.Proof...)
	bent.Proof[0][5] ^= 1
	swapped := bent
	bent.Head.Proof = ProofSum(bent.Proof)
	denied := pt.offer(t, forked, 30, held)
	denied.Head.Past = held.Hash // it denies its fork, and has no proof
	long := pt.offer(t, log, 30, held)
	long.Proof = make(tlog.TreeProof, MaxProof+1)
	long.Head.Proof = ProofSum(long.Proof)
	elsewhere := pt.offer(t, log, 30, held)
	elsewhere.New = newMember(t, "ES").checkpoint(t, log.at(30))
	unlike := pt.offer(t, log, 30, held)
	unlike.New = pt.checkpoint(t, log.at(31))
	rooted := pt.offer(t, log, 3, Empty())
	rooted.Head.Shown.Hash[0] ^= 1
	proved := pt.offer(t, log, 3, Empty())
	proved.Proof = tlog.TreeProof{{}}
	proved.Head.Proof = ProofSum(proved.Proof)
	for name, tc := range map[string]struct {
		held    Tree
		excused string
		offer   Offer
		want    Verdict
	}{
		"first":                         {Empty(), "", pt.offer(t, log, 5, Empty()), Cosign},
		"grown":                         {held, "", pt.offer(t, log, 30, held), Cosign},
		"same":                          {held, "", pt.offer(t, log, 20, held), Cosign},
		"from a power of two":           {log.at(16), "", pt.offer(t, log, 33, log.at(16)), Cosign},
		"knows an older one":            {held, "", pt.offer(t, log, 30, log.at(15)), Conflict},
		"knows a newer one":             {held, "", pt.offer(t, log, 30, log.at(25)), Conflict},
		"knows another root":            {held, "", pt.offer(t, forked, 30, forked.at(20)), Conflict},
		"knows none":                    {held, "", pt.offer(t, log, 30, Empty()), Conflict},
		"late copy of an older offer":   {held, "", pt.offer(t, log, 20, log.at(15)), Conflict},
		"put back":                      {held, "", pt.offer(t, log, 19, held), Rollback},
		"put back and on another way":   {held, "", pt.offer(t, forked, 15, held), Rollback},
		"same size, other root":         {held, "", pt.offer(t, forked, 20, held), Fork},
		"larger, other past":            {held, "", pt.offer(t, forked, 30, held), Fork},
		"larger, past denied":           {held, "", denied, Unproven},
		"proof that does not hold":      {held, "", bent, Unproven},
		"proof exchanged on its way":    {held, "", swapped, Refuse},
		"proof too long":                {held, "", long, Refuse},
		"another log's checkpoint":      {held, "", elsewhere, Refuse},
		"another checkpoint":            {held, "", unlike, Refuse},
		"no entries":                    {Empty(), "", pt.offer(t, log, 0, Empty()), Refuse},
		"a root for nothing":            {Empty(), "", rooted, Refuse},
		"a proof from nothing":          {Empty(), "", proved, Refuse},
		"restore of an older backup":    {held, "", restored(pt.offer(t, forked, 15, held), first, 10), Reset},
		"restore, grown beyond":         {held, "", restored(pt.offer(t, forked, 30, held), first, 10), Reset},
		"restore that lost nothing":     {held, "", restored(pt.offer(t, log, 30, held), first, 20), Cosign},
		"next restore":                  {held, first, restored(pt.offer(t, forked, 15, held), second, 10), Reset},
		"a restore explains once":       {held, first, restored(pt.offer(t, forked, 15, held), first, 10), Rollback},
		"and no fork before its base":   {held, "", restored(pt.offer(t, forked, 30, held), first, 20), Fork},
		"and nothing behind its backup": {held, "", restored(pt.offer(t, forked, 15, held), first, 16), Rollback},
		"and no rewriting before it":    {held, "", restored(pt.offer(t, forked, 30, held), first, 25), Fork},
		"and a conflict is one":         {held, "", restored(pt.offer(t, forked, 15, log.at(15)), first, 10), Conflict},
	} {
		got, err := Decide(tc.held, func(id string) bool { return id == tc.excused }, false, tc.offer)
		if got != tc.want || (err != nil) != (tc.want == Refuse) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, tc.want)
		}
		if err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		// Where people have agreed, a restore that is new here explains each contradiction; nothing else changes.
		want := tc.want
		if r := tc.offer.Head.Restored; want.Contradicts() && r != nil && r.ID != tc.excused && r.Base.N <= tc.offer.New.N {
			want = Reset
		}
		if got, _ := Decide(tc.held, func(id string) bool { return id == tc.excused }, true, tc.offer); got != want {
			t.Errorf("%s, agreed: %v; want %v", name, got, want)
		}
		// What contradicts is evidence that everybody can check, and nothing else is.
		e := NewEvidence(pt.checkpoint(t, tc.held), pt.sign(t, tc.offer.Head), tc.offer)
		f, err := e.Check(pt.verifier(t))
		switch {
		case !tc.want.Contradicts():
			if err == nil {
				t.Errorf("%s: is evidence of %v", name, f.Verdict)
			}
		case err != nil || tc.want != Reset && f.Verdict != tc.want:
			t.Errorf("%s: evidence of %v, %v; want %v", name, f.Verdict, err, tc.want)
		case (f.Restored != nil) != (tc.offer.Head.Restored != nil):
			t.Errorf("%s: restore %v", name, f.Restored)
		}
	}
}

// A log may do whatever it likes, with as many histories as it likes; whatever its witness cosigns between two declared restores is one history.
func TestWitnessNeverCosignsTwoHistories(test *testing.T) {
	pt := newMember(test, "PT")
	trunk := newTree(48)
	rapid.Check(test, func(t *rapid.T) {
		logs := []*tree{trunk}
		for i := range rapid.IntRange(1, 3).Draw(t, "branches") {
			from := logs[rapid.IntRange(0, len(logs)-1).Draw(t, "from")]
			logs = append(logs, from.branch(rapid.IntRange(0, 40).Draw(t, "at"), fmt.Sprint("branch ", i, " "), 48))
		}
		held, excused := Empty(), map[string]bool{}
		type state struct {
			log  *tree
			size int64
		}
		var epoch []state // cosigned since the last reset
		for range rapid.IntRange(1, 25).Draw(t, "offers") {
			log := logs[rapid.IntRange(0, len(logs)-1).Draw(t, "log")]
			shown := held
			if rapid.IntRange(0, 4).Draw(t, "ignorant") == 0 {
				shown = log.at(rapid.Int64Range(0, 20).Draw(t, "shown"))
			}
			o := pt.offer(test, log, rapid.Int64Range(0, 48).Draw(t, "size"), shown)
			switch rapid.IntRange(0, 5).Draw(t, "lie") {
			case 0: // deny another past
				o.Head.Past = shown.Hash
			case 1: // a proof of something else
				other := logs[rapid.IntRange(0, len(logs)-1).Draw(t, "other")]
				if p, err := tlog.ProveTree(max(o.New.N, 1), max(min(shown.N, o.New.N), 1), other); err == nil {
					o.Proof, o.Head.Proof = p, ProofSum(p)
				}
			case 2:
				id := fmt.Sprintf("%032x", rapid.IntRange(0, 2).Draw(t, "restore"))
				o.Head.Restored = &Restored{ID: id, Base: log.at(rapid.Int64Range(0, 48).Draw(t, "base"))}
			}
			v, _ := Decide(held, func(id string) bool { return excused[id] }, false, o)
			if v != Cosign && v != Reset {
				continue
			}
			if v == Reset {
				if excused[o.Head.Restored.ID] {
					t.Fatalf("the restore %s explains twice", o.Head.Restored.ID)
				}
				epoch = nil
			}
			if o.Head.Restored != nil {
				excused[o.Head.Restored.ID] = true
			}
			for _, s := range epoch {
				small, large := s, state{log, o.New.N}
				if small.size > large.size {
					t.Fatalf("cosigned %d after %d", large.size, small.size)
				}
				if small.log.at(small.size) != large.log.at(small.size) {
					t.Fatalf("cosigned %d and %d of two histories", small.size, large.size)
				}
			}
			epoch, held = append(epoch, state{log, o.New.N}), o.New.Tree
		}
	})
}

// An honest log can sign heads for ever, whatever witnesses show it of its own checkpoints: none of them is evidence.
func TestHonestLogIsNeverFramed(t *testing.T) {
	pt := newMember(t, "PT")
	log := newTree(33)
	var heads []string
	var notes []Checkpoint
	var proofs []tlog.TreeProof
	for _, n := range []int64{1, 2, 7, 8, 16, 33} {
		notes = append(notes, pt.checkpoint(t, log.at(n)))
		for _, shown := range []int64{0, 1, 7, 8, 16, 33} {
			if shown > n {
				continue // it has not signed that yet
			}
			o := pt.offer(t, log, n, log.at(shown))
			heads, proofs = append(heads, pt.sign(t, o.Head)), append(proofs, o.Proof)
		}
	}
	for _, first := range notes {
		for _, then := range notes {
			for i, h := range append(heads, "") {
				for _, p := range []tlog.TreeProof{nil, proofs[i%len(proofs)]} {
					if f, err := (Evidence{First: first.Note, Then: then.Note, Head: h, Proof: p}).Check(pt.verifier(t)); err == nil {
						t.Fatalf("honest checkpoints of %d and %d are evidence of %v", first.N, then.N, f.Verdict)
					}
				}
			}
		}
	}
}
