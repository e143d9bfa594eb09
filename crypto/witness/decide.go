package witness

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Verdict is what a witness does with an offered checkpoint.
type Verdict int

// The verdicts. All but Cosign and Reset leave what the witness holds as it is.
const (
	Cosign   Verdict = iota // it follows what is held, or is the same
	Conflict                // the log took something else to be held here: it is told what is, and may offer again
	Rollback                // the log says that its newest checkpoint is smaller than the one held
	Fork                    // the log has another history than the one held
	Unproven                // the log vouches for a consistency proof that does not hold
	Reset                   // one of the last three, explained by a restore that the log declares: a new epoch begins
	Refuse                  // not an offer that could be judged
)

var verdictNames = [...]string{"cosign", "conflict", "rollback", "fork", "unproven", "restore", "refuse"}

func (v Verdict) String() string {
	if v < 0 || int(v) >= len(verdictNames) {
		return fmt.Sprintf("verdict %d", int(v))
	}
	return verdictNames[v]
}

// Contradicts tells whether the verdict means that the log has signed two things that cannot both be true.
func (v Verdict) Contradicts() bool {
	return v == Rollback || v == Fork || v == Unproven || v == Reset
}

// Offer is a checkpoint that a log offers for cosigning. Head and checkpoint are verified, and of the same log.
type Offer struct {
	Head  Head
	New   Checkpoint
	Proof tlog.TreeProof // from Head.Shown to New
}

// Decide is the rule of a witness, after c2sp.org/tlog-witness: held is what it holds of this log (Empty: nothing yet), and excused tells of a restore's id
// whether the log has declared it here before, in a head that was cosigned: a restore explains one contradiction, not the next one too. A restore that went back
// behind what is held explains by itself that this is gone. One whose backup already had another history does so only where people have agreed: where they have
// acknowledged every contradiction of this log that is known here.
//
// The one who calls must keep the new checkpoint, durably and before anybody sees the cosignature, in the same transaction in which held was read.
func Decide(held Tree, excused func(restore string) bool, agreed bool, o Offer) (Verdict, error) {
	if err := o.check(); err != nil {
		return Refuse, err
	}
	if o.Head.Shown != held {
		return Conflict, nil
	}
	v := judge(held, o)
	if r := o.Head.Restored; v.Contradicts() && r != nil && (r.Base.N < held.N || agreed) && r.Base.N <= o.New.N && !excused(r.ID) {
		return Reset, nil
	}
	return v, nil
}

func (o Offer) check() error {
	switch {
	case o.Head.Origin != o.New.Origin:
		return fmt.Errorf("%w: the head is of %.80q, the checkpoint of %.80q", ErrMalformed, o.Head.Origin, o.New.Origin)
	case o.Head.Newest != o.New.Tree:
		return fmt.Errorf("%w: the head names %d entries, the checkpoint has %d, or another root", ErrMalformed, o.Head.Newest.N, o.New.N)
	case o.New.N < 1:
		return fmt.Errorf("%w: a log without entries is not witnessed", ErrMalformed)
	case len(o.Proof) > MaxProof:
		return fmt.Errorf("%w: a consistency proof of %d hashes, the limit is %d", ErrMalformed, len(o.Proof), MaxProof)
	case o.Head.Proof != ProofSum(o.Proof):
		return fmt.Errorf("%w: the proof is not the one that the head vouches for", ErrMalformed)
	case o.Head.Shown.N == 0 && o.Head.Shown != Empty():
		return fmt.Errorf("%w: a root for a log without entries", ErrMalformed)
	case o.Head.Shown.N == 0 && (len(o.Proof) > 0 || o.Head.Past != o.Head.Shown.Hash):
		return fmt.Errorf("%w: a proof from a log without entries", ErrMalformed)
	}
	return nil
}

// judge holds an offer against what the log was shown.
func judge(held Tree, o Offer) Verdict {
	switch {
	case o.New.N < held.N:
		return Rollback
	case held.N == 0:
		return Cosign
	case o.New.N == held.N && o.New.Hash != held.Hash:
		return Fork
	case o.Head.Past != held.Hash:
		return Fork // the log says itself that it had another root at that size
	case tlog.CheckTree(o.Proof, o.New.N, o.New.Hash, held.N, held.Hash) != nil:
		return Unproven
	}
	return Cosign
}
