package ballistics

import (
	"context"
	"errors"
	"slices"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Rounds of a review.
const (
	Primary   = "primary"
	Secondary = "secondary"
	Third     = "third"
)

// SourceWithdrawn is the state of a candidate that awaits no review any more: its owner took back the signature of one side.
const SourceWithdrawn = "source-withdrawn"

// outcome decides what reviews add up to, and which round comes next; at most one of the two is set. Two that agree decide. Where they disagree a
// third person is asked; agreement of two of three decides, otherwise the candidate ends inconclusive.
func outcome(reviews []Review) (decided protocol.Verdict, next string) {
	switch len(reviews) {
	case 0:
		return "", Primary
	case 1:
		return "", Secondary
	case 2:
		if reviews[0].Verdict == reviews[1].Verdict {
			return reviews[0].Verdict, ""
		}
		return "", Third
	}
	if v := reviews[2].Verdict; v == reviews[0].Verdict || v == reviews[1].Verdict {
		return v, ""
	}
	return protocol.VerdictInconclusive, ""
}

// state says what a candidate awaits: awaits-primary, awaits-secondary, awaits-third; or that it was decided, or its source withdrawn before.
func (c *Candidate) state() string {
	_, next := outcome(c.Reviews)
	switch {
	case next == "":
		return "decided"
	case !c.SourceWithdrawn.IsZero():
		return SourceWithdrawn
	}
	return "awaits-" + next
}

// visible hides earlier reviews from everybody but their author until the candidate is decided: the second review is blind.
func visible(c *Candidate, who desk.Actor) (shown []Review, hidden int) {
	if c.Outcome != "" {
		return c.Reviews, 0
	}
	for _, r := range c.Reviews {
		if r.By == who.Name {
			shown = append(shown, r)
			continue
		}
		hidden++
	}
	return shown, hidden
}

// NewReview is a reviewer's finding.
type NewReview struct {
	Pair    string           `json:"pair"`
	Verdict protocol.Verdict `json:"verdict"`
	Note    string           `json:"note,omitempty"`
}

// Review records a person's finding on a candidate: primary, blind secondary by another person, or third where these two disagree. Nobody reviews the
// same candidate twice.
func (s *Service) Review(ctx context.Context, who desk.Actor, key string, n NewReview) (*CandidateView, error) {
	if !slices.Contains(protocol.Verdicts, n.Verdict) {
		return nil, desk.Invalid("verdict %.40q is not one of lead, inconclusive, excluded, unsuitable", n.Verdict)
	}
	if len(n.Note) > protocol.MaxText {
		return nil, desk.Invalid("the note is longer than %d bytes", protocol.MaxText)
	}
	action, err := s.reviewAction(n.Pair, who)
	if err != nil {
		return nil, err
	}
	act := onCandidate(desk.Act{Actor: who, Key: key, Action: action, Request: n}, n.Pair)
	act.Hidden.Any = []policy.Action{policy.ReviewPrimary, policy.ReviewSecondary} // the round says which
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*CandidateView, error) {
		c, err := findCandidate(tx, n.Pair)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(c.Reviews, func(r Review) bool { return r.By == who.Name }); i >= 0 {
			if c.Reviews[i].Verdict == n.Verdict && c.Reviews[i].Note == n.Note {
				return view(tx, c, who, "") // the same review again: a command that was retried
			}
			return nil, desk.SamePerson("you made the %s review of this candidate yourself: the next one is another person's own act, in that person's session", c.Reviews[i].Round)
		}
		decided, round := outcome(c.Reviews)
		if decided != "" {
			return nil, desk.Conflict("candidate %s was decided already: %s", c.Pair[:12], decided)
		}
		if !c.SourceWithdrawn.IsZero() {
			return nil, desk.Conflict("a signature of candidate %s was withdrawn on %s: no lead can come of it, and no review is needed", c.Pair[:12], c.SourceWithdrawn.Format(time.DateOnly))
		}
		if due := permission(round); due != action { // the permission was asked for the round that was due before
			return nil, desk.Conflict("somebody else reviewed candidate %s at this moment, and another review is due now: give the command again", c.Pair[:12])
		}
		c.Reviews = append(c.Reviews, Review{Round: round, Verdict: n.Verdict, By: who.Name, At: tx.Now(), Note: n.Note})
		c.Outcome, _ = outcome(c.Reviews)
		if c.Viewed.IsZero() {
			c.Viewed = tx.Now()
		}
		entry := protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActCombine, Counterpart: s.foreign(c.Country), Decision: "permit", Ground: "policy"},
			AuditBody: protocol.AuditBody{Actor: who.Name, Kind: policy.KindCandidate, Object: c.Pair, Event: round + " review", Purpose: Purpose,
				Handling: c.Handling.Codes(), Details: map[string]string{"verdict": string(n.Verdict)}},
		}
		if c.Outcome != "" {
			entry.Details["outcome"] = string(c.Outcome)
		}
		tx.Audit(entry)
		if err := candidates.Put(tx, c.Pair, c); err != nil {
			return nil, err
		}
		return view(tx, c, who, "")
	})
}

// reviewAction finds out which round is due, and so which permission the review needs. Somebody who reviewed already is judged by the round of that
// review, so that a retried command is recognised and a second attempt refused with its true reason.
func (s *Service) reviewAction(pair string, who desk.Actor) (action policy.Action, err error) {
	action = policy.ReviewSecondary
	err = s.desk.Store.View(func(tx *store.Tx) error {
		c, err := findCandidate(tx, pair)
		if errors.Is(err, desk.ErrNotFound) {
			return nil // the authorised act itself says so
		}
		if err != nil {
			return err
		}
		own := slices.IndexFunc(c.Reviews, func(r Review) bool { return r.By == who.Name })
		_, round := outcome(c.Reviews)
		if action = permission(round); own >= 0 {
			action = permission(c.Reviews[own].Round)
		}
		return nil
	})
	return action, err
}

// permission is what a round's review needs.
func permission(round string) policy.Action {
	if round == Primary {
		return policy.ReviewPrimary
	}
	return policy.ReviewSecondary
}
