package dispatch

import (
	"encoding/json"
	"fmt"
	"slices"

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
}

// Explain asks policy about an own document and a country, as it is asked when a message is formed, and changes nothing.
func (d *Dispatch) Explain(tx *store.Tx, id string, to protocol.Country) (*Explained, error) {
	rec, err := find(tx, id)
	if err != nil {
		return nil, err
	}
	if rec.Status != Own || rec.Facts == nil {
		return nil, desk.Invalid("%.80s was issued by %s: the policy here decides on documents of %s alone", id, rec.Issuer, d.Country)
	}
	if to == d.Country {
		return nil, desk.Invalid("%s is this country: name the member that would receive the document", to)
	}
	engine := d.Policy()
	q, err := d.question(tx, rec, to)
	if err != nil {
		return nil, err
	}
	dec := judge(engine, rec, q)
	out := &Explained{ID: rec.ID, Type: rec.Type, To: to, Allow: dec.Allow, Policies: desk.PolicyRefs(dec), Errors: slices.Concat(dec.Errors, dec.Owners), Known: q.Resource.Attributes,
		Running: numbersOf(q.Principal.Operations), Version: engine.Version()}
	if !d.isMember(to, tx.Now()) {
		out.Allow = false
		out.Errors = append(out.Errors, fmt.Sprintf("%s is not an active member of the roster in force", to))
	}
	for what, refs := range dec.Sources {
		if out.Sources == nil {
			out.Sources = map[string][]string{}
		}
		for _, ref := range refs {
			out.Sources[what] = append(out.Sources[what], ref.String())
		}
	}
	if dl, err := Deliveries.Get(tx, deliveryID(rec.ID, to)); err == nil {
		out.State = dl.State
	}
	if !out.Allow && !held(dec) { // what waits for people is shown as it would go
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
	More []string         `json:"more,omitempty"` // other terms: what changes in them
	Sent bool             `json:"sent"`           // the country has it already: a policy takes nothing back, a withdrawal does
}

// What changes.
const (
	NewlyShared = "shared"
	KeptBack    = "kept back"
	OtherTerms  = "other terms"
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
		to := members
		if rec.Facts.To != "" {
			to = []protocol.Country{rec.Facts.To}
		}
		for _, peer := range to {
			out.Decisions++
			q, err := d.question(tx, rec, peer)
			if err != nil {
				return nil, err
			}
			c := compareDecisions(judge(was, rec, q), judge(now, rec, q))
			if c.What == "" {
				continue
			}
			c.ID, c.Type, c.To = rec.ID, rec.Type, peer
			if dl, err := Deliveries.Get(tx, deliveryID(rec.ID, peer)); err == nil {
				c.Sent = dl.State == Sent || dl.State == Delivered
			}
			out.Changes = append(out.Changes, c)
		}
	}
	return out, tx.Err()
}

// compareDecisions says in which way two decisions differ; What is empty where they do not.
func compareDecisions(was, now policy.Decision) ShareChange {
	c := ShareChange{Was: desk.PolicyRefs(was), Now: desk.PolicyRefs(now)}
	switch {
	case !was.Allow && now.Allow:
		c.What = NewlyShared
	case was.Allow && !now.Allow:
		c.What = KeptBack
	case was.Allow && now.Allow:
		a, b := was.Obligations, now.Obligations
		differ := func(name string, a, b []string) {
			if !slices.Equal(a, b) {
				c.More = append(c.More, fmt.Sprintf("%s: %v → %v", name, a, b))
			}
		}
		differ("handling", a.Handling, b.Handling)
		differ("redact", a.Redact, b.Redact)
		differ("ends with", a.Operations, b.Operations)
		if a.RetainFor != b.RetainFor {
			c.More = append(c.More, fmt.Sprintf("retain: %d → %d days", int(a.RetainFor.Hours())/24, int(b.RetainFor.Hours())/24))
		}
		if len(c.More) > 0 {
			c.What = OtherTerms
		}
	}
	return c
}
