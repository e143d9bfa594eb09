package dispatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"proofmark/crypto"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Explained is why one document goes, or does not go, to one country: the decision of the policy in force with its reasons, and exactly what would be sent.
type Explained struct {
	ID       string              `json:"id"`
	Type     protocol.Type       `json:"type"`
	To       protocol.Country    `json:"to"`
	Allow    bool                `json:"allow"`
	Policies []string            `json:"policies"`          // that decided, with file and line
	Errors   []string            `json:"errors,omitempty"`  // why a policy could not be asked, or what is still wanting
	Sources  map[string][]string `json:"sources,omitempty"` // each restriction ("redact:place") with the policies that impose it
	Known    map[string]any      `json:"known"`             // what policy was told of the document
	Running  []string            `json:"running,omitempty"` // operations that run with that country and this one in them
	Terms    *protocol.Terms     `json:"terms,omitempty"`
	Handling protocol.Handling   `json:"handling,omitempty"` // of the terms, with owners
	Withheld []string            `json:"withheld,omitempty"` // fields that would stand as digests only
	Body     json.RawMessage     `json:"body,omitempty"`     // as that country would read it
	Version  string              `json:"policy_version"`
	State    string              `json:"state,omitempty"` // how far the document is on its way there
	Based    []string            `json:"based_on,omitempty"`
	protocol.Said
}

// Marks implements protocol.Marked.
func (e *Explained) Marks() (protocol.Handling, []string) {
	return e.Handling, append([]string{e.ID}, e.Based...)
}

// owed is why what no policy is asked about goes.
const owed = "withdrawals and their confirmations are owed to whoever holds the thing, whatever policy says (built in)"

// consider decides about an own document and a country as it is decided when a message is formed: with what two people have approved. It changes nothing.
func (d *Dispatch) consider(tx *store.Tx, engine *policy.Engine, rec *Record, to protocol.Country) (dec policy.Decision, q policy.Request, known *Delivery, err error) {
	if known, err = Deliveries.Get(tx, deliveryID(rec.ID, to)); errors.Is(err, store.ErrNotFound) {
		known, err = nil, nil
	}
	if err != nil {
		return dec, q, nil, err
	}
	if duty(rec.Type) {
		return policy.Decision{Allow: true}, q, known, nil
	}
	if q, err = d.question(tx, rec, to); err != nil {
		return dec, q, nil, err
	}
	dec, err = d.lift(tx, rec, known, judge(engine, rec, q))
	return dec, q, known, err
}

// wayless says why a document goes to no such country, whatever policy decides; "" where it may.
func (d *Dispatch) wayless(tx *store.Tx, rec *Record, to protocol.Country, known *Delivery) string {
	f := rec.Facts
	switch {
	case !d.isMember(to, tx.Now()):
		return fmt.Sprintf("%s is not an active member of the roster in force", to)
	case f.To != "" && f.To != to:
		return fmt.Sprintf("it is for %s alone", f.To)
	case f.To == "" && !f.isFor(to):
		return fmt.Sprintf("it is for %s alone", spelled(f.Among))
	case known != nil && known.State == Disapproved:
		return fmt.Sprintf("it was not approved (%s), and never goes: `proofmark approval show %s`", known.Wait.Ended, rec.ID)
	}
	return ""
}

// idle says which operations a document is for where none of them runs with the country, and nothing else speaks about it; "" otherwise.
func idle(id string, to protocol.Country, q policy.Request, dec policy.Decision) string {
	tagged, _ := q.Resource.Attributes["operations"].([]string)
	running := numbersOf(q.Principal.Operations)
	if dec.Allow || len(dec.Policies)+len(dec.Errors)+len(dec.Owners) > 0 || len(tagged) == 0 || slices.ContainsFunc(tagged, func(n string) bool { return slices.Contains(running, n) }) {
		return ""
	}
	return fmt.Sprintf("it is for %s, and no such operation runs with %s now: `proofmark operation show %s`", strings.Join(tagged, ", "), to, tagged[0])
}

func spelled(list []protocol.Country) string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = string(c)
	}
	return strings.Join(out, ", ")
}

// sources names for each restriction who imposes it: policies with file and line, and for codes that stand on the document itself where they came from.
func (d *Dispatch) sources(tx *store.Tx, rec *Record, dec policy.Decision) (map[string][]string, error) {
	out := map[string][]string{}
	for what, refs := range dec.Sources {
		for _, ref := range refs {
			out[what] = append(out[what], ref.String())
		}
	}
	if duty(rec.Type) {
		out["duty"] = []string{owed}
	}
	for _, id := range rec.Facts.Based {
		source, err := Documents.Get(tx, id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, m := range source.Handling(d.Country) {
			out["handling:"+m.String()] = append(out["handling:"+m.String()], fmt.Sprintf("document %s of %s", id, source.Issuer))
		}
	}
	for _, m := range rec.Handling(d.Country) {
		if what := "handling:" + m.String(); m.Owner == d.Country {
			out[what] = append(out[what], "the document, as it was issued")
		} else if out[what] == nil { // erased, or never a document of its own: the code was written down
			out[what] = []string{"what it was made of, of " + string(m.Owner)}
		}
	}
	if rec.Facts.NeedsTwo {
		out["approval:"+policy.TwoPerson] = append(out["approval:"+policy.TwoPerson], "the decision on answering at all")
	}
	return out, nil
}

// Explain asks policy about an own document and a country, as it is asked when a message is formed, and changes nothing.
func (d *Dispatch) Explain(tx *store.Tx, id string, to protocol.Country) (*Explained, error) {
	rec, err := find(tx, id)
	if err != nil {
		return nil, err
	}
	switch {
	case rec.Status == Recalled:
		return nil, desk.Invalid("%.80s was withdrawn on %s (%s): it goes to nobody any more, and `proofmark document show %s` says how far its holders are", id,
			rec.Withdrawn.At.UTC().Format(time.DateOnly), rec.Withdrawn.Reason, rec.ID)
	case rec.Status != Own || rec.Facts == nil:
		return nil, desk.Invalid("%.80s was issued by %s: the policy here decides on documents of %s alone", id, rec.Issuer, d.Country)
	case to == d.Country:
		return nil, desk.Invalid("%s is this country: name the member that would receive the document", to)
	}
	engine := d.Policy()
	dec, q, known, err := d.consider(tx, engine, rec, to)
	if err != nil {
		return nil, err
	}
	out := &Explained{ID: rec.ID, Type: rec.Type, To: to, Allow: dec.Allow, Policies: desk.PolicyRefs(dec), Errors: slices.Concat(dec.Errors, dec.Owners), Known: q.Resource.Attributes,
		Running: numbersOf(q.Principal.Operations), Version: engine.Version(), Based: rec.based()}
	if out.Sources, err = d.sources(tx, rec, dec); err != nil {
		return nil, err
	}
	if known != nil {
		out.State = known.State
	}
	if no := idle(rec.ID, to, q, dec); no != "" {
		out.Errors = append(out.Errors, no)
	}
	if no := d.wayless(tx, rec, to, known); no != "" {
		out.Allow, out.Errors = false, append(out.Errors, no)
		return out, nil
	}
	if !dec.Allow && !held(dec) { // what waits for people is shown as it would go
		return out, nil
	}
	kept, missing, withheld, err := chosen(rec, dec)
	if err != nil {
		return nil, err
	}
	already, err := d.markings(tx, rec)
	if err != nil {
		return nil, err
	}
	t := terms(dec, already, d.Country, d.Country, tx.Now())
	t.Withheld = withheld
	out.Terms, out.Withheld, out.Handling = &t, missing, protocol.ReadHandling(t.Handling, d.Country)
	payload, _, err := crypto.Unverified(rec.JWS, crypto.TypeDocument, 2*protocol.MaxDocument) // its own signature, verified when it was made
	if err != nil {
		return nil, fmt.Errorf("document %s: %w", rec.ID, err)
	}
	doc, err := protocol.Open(payload, kept)
	if err != nil {
		return nil, fmt.Errorf("document %s: %w", rec.ID, err)
	}
	out.Body = doc.Body
	return out, nil
}

// PolicyChange is what another policy would decide differently, of one page of the own documents.
type PolicyChange struct {
	Changes   []ShareChange `json:"changes"`
	Documents int           `json:"documents"` // looked at
	Decisions int           `json:"decisions"` // compared
	Last      string        `json:"last"`      // where the next page goes on
	End       bool          `json:"end"`
}

// ShareChange is one document and one country on which two policies do not agree.
type ShareChange struct {
	ID   string           `json:"id"`
	Type protocol.Type    `json:"type"`
	To   protocol.Country `json:"to"`
	What string           `json:"what"`           // shared, kept back, other terms
	Was  []string         `json:"was"`            // the deciding policies
	Now  []string         `json:"now"`            // of the new policy
	More []string         `json:"more,omitempty"` // of what goes under both: what changes in its terms
	Sent bool             `json:"sent"`           // the country has it already: a policy takes nothing back, a withdrawal does

	// State of what waits here for that country: queued, or awaiting approval; a change of policy reaches it.
	State string `json:"state,omitempty"`
}

// What changes.
const (
	NewlyShared = "shared"
	KeptBack    = "kept back"
	OtherTerms  = "other terms"
	WouldWait   = "held for two people"
)

// comparedAtOnce bounds the work of one page, in decisions.
const comparedAtOnce = 20_000

// ComparePolicies asks two policies about own documents and every active member, a page of them after an id.
func (d *Dispatch) ComparePolicies(tx *store.Tx, was, now *policy.Engine, after string) (*PolicyChange, error) {
	out := &PolicyChange{Changes: []ShareChange{}, Last: after, End: true}
	members := d.members(tx.Now())
	for id, rec := range Documents.AllAfter(tx, after) {
		if out.Decisions >= comparedAtOnce {
			out.End = false
			break
		}
		out.Last = id
		if rec.Status != Own || rec.Facts == nil {
			continue
		}
		out.Documents++
		if duty(rec.Type) {
			continue // policy is not asked
		}
		for _, peer := range members {
			if rec.Facts.To != "" && rec.Facts.To != peer || !rec.Facts.isFor(peer) {
				continue
			}
			out.Decisions++
			before, _, known, err := d.consider(tx, was, rec, peer)
			if err != nil {
				return nil, err
			}
			after, _, _, err := d.consider(tx, now, rec, peer)
			if err != nil {
				return nil, err
			}
			c := compareDecisions(before, after)
			if c.What == "" || known != nil && known.State == Disapproved {
				continue
			}
			c.ID, c.Type, c.To = rec.ID, rec.Type, peer
			if known != nil {
				c.Sent = known.State == Sent || known.State == Delivered
				if known.State == Queued || known.State == Awaiting {
					c.State = known.State
				}
			}
			out.Changes = append(out.Changes, c)
		}
	}
	return out, tx.Err()
}

// compareDecisions says in which way two decisions differ; What is empty where they do not.
func compareDecisions(was, now policy.Decision) ShareChange {
	c := ShareChange{Was: desk.PolicyRefs(was), Now: desk.PolicyRefs(now)}
	goes, would := was.Allow || held(was), now.Allow || held(now)
	if goes && would {
		c.More = otherTerms(was.Obligations, now.Obligations)
	}
	switch {
	case held(now) && !held(was):
		c.What = WouldWait
	case !was.Allow && now.Allow:
		c.What = NewlyShared
	case goes && !would:
		c.What = KeptBack
	case len(c.More) > 0:
		c.What = OtherTerms
	}
	return c
}

// otherTerms says in which terms two permits differ.
func otherTerms(was, now policy.Obligations) (out []string) {
	differ := func(name string, a, b []string) {
		if !slices.Equal(a, b) {
			out = append(out, fmt.Sprintf("%s: %v → %v", name, a, b))
		}
	}
	differ("handling", was.Handling, now.Handling)
	differ("redact", was.Redact, now.Redact)
	differ("ends with", was.Operations, now.Operations)
	if was.RetainFor != now.RetainFor {
		out = append(out, fmt.Sprintf("retain: %d → %d days", int(was.RetainFor.Hours())/24, int(now.RetainFor.Hours())/24))
	}
	return out
}
