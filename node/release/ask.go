package release

import (
	"context"
	"errors"
	"slices"
	"time"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Ask is what a person gives for a request.
type Ask struct {
	Signature string `json:"signature"` // id of the signature document
	Purpose   string `json:"purpose,omitempty"`
	Reason    string `json:"reason"`
}

// Request asks the owner of a foreign signature for the scans behind it.
func (s *Service) Request(ctx context.Context, who desk.Actor, key string, a Ask) (*Request, error) {
	owner, err := protocol.IssuerOf(a.Signature)
	if err != nil {
		return nil, desk.Invalid("signature: %v: `proofmark candidates show` names the signature of the other side in full", err)
	}
	if owner == s.desk.Country {
		return nil, desk.Invalid("the signature %s is this country's own: `proofmark exhibit show` names its scans", a.Signature)
	}
	if a.Purpose == "" {
		a.Purpose = Purpose
	}
	body := protocol.ScanRequestBody{Number: "-", Signature: a.Signature, Reason: a.Reason}
	if err := body.Check(); err != nil {
		return nil, desk.Invalid("%v", err)
	}
	act := desk.Act{Actor: who, Key: key, Action: policy.ScanRequest, Purpose: a.Purpose, Request: a,
		Resource: policy.Resource{Type: policy.Scan, ID: a.Signature, Attributes: map[string]any{"owner": string(owner), "addressee": string(s.desk.Country)}}}
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Request, error) {
		for _, old := range requests.By(tx, "signature", Outgoing+"/"+a.Signature) {
			if slices.Contains([]State{Requested, Released, Received}, old.State) {
				return nil, desk.Conflict("request %s for this scan is %s: `proofmark scan show %s`", old.Number, old.State, old.Number)
			}
		}
		if err := tx.Err(); err != nil {
			return nil, err
		}
		number, err := desk.NextNumber(tx, s.desk.Country, "S")
		if err != nil {
			return nil, err
		}
		id, err := protocol.NewDocumentID(s.desk.Country, tx.Now(), tx.Random())
		if err != nil {
			return nil, err
		}
		body := body
		body.Number = number
		facts := dispatch.Facts{To: owner, Purpose: a.Purpose, Kind: policy.Scan, Object: id, Actor: who.Name}
		if err := s.out.IssueAs(tx, id, protocol.TypeScanRequest, &body, facts); err != nil {
			return nil, err
		}
		r := &Request{ID: id, Number: number, Direction: Outgoing, Counterpart: owner, State: Requested, Signature: a.Signature, Purpose: a.Purpose, Reason: a.Reason,
			Created: tx.Now(), By: who.Name}
		r.note(Step{Event: "requested", At: tx.Now(), By: who.Name, Document: id})
		s.record(tx, r, protocol.ActCollect, who.Name, "scan requested", nil, id)
		return r, requests.Insert(tx, id, r)
	})
}

// own finds the own request that a foreign document answers, and checks that it may.
func own(tx *store.Tx, in dispatch.Received, request, signature string) (*Request, error) {
	r, err := requests.Get(tx, request)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && (r.Direction != Outgoing || r.Counterpart != in.From):
		return nil, desk.NotFound("%s answers the scan request %s, which this country never sent it", in.From, request)
	case err != nil:
		return nil, err
	case r.Signature != signature:
		return nil, desk.Invalid("request %s was for the scan behind %s, the answer speaks of %s", r.Number, r.Signature, signature)
	}
	return r, nil
}

// receiveRelease takes in the right to fetch scans. The same release again may tighten its terms; nothing else changes it.
func (s *Service) receiveRelease(tx *store.Tx, in dispatch.Received) error {
	body, err := protocol.BodyOf[protocol.ScanReleaseBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	r, err := own(tx, in, body.Request, body.Signature)
	if err != nil {
		return err
	}
	again := r.Release != nil && r.Release.Document == in.Document.ID
	if r.State != Requested && !again {
		return desk.Conflict("request %s is %s: it is not answered twice", r.Number, r.State)
	}
	r.Handling = protocol.UnionHandling(r.Handling, protocol.ReadHandling(body.Handling, in.From), in.Handling())
	r.RetainUntil = earlier(in.Terms.RetainUntil, body.RetainUntil)
	r.Sooner = !r.RetainUntil.Equal(in.Terms.RetainUntil)
	if again {
		return requests.Put(tx, r.ID, r)
	}
	r.Release = &Release{Document: in.Document.ID, ROI: body.ROI, Scans: body.Scans, Expires: body.Expires, At: tx.Now()}
	for _, f := range body.Scans {
		r.Files = append(r.Files, File{Land: f.Land, SHA256: f.SHA256, Size: f.Size})
	}
	r.State = Released
	r.note(Step{Event: "released", At: tx.Now(), Country: in.From, Document: in.Document.ID})
	tx.OnCommit(func() { signal(s.come) })
	return requests.Put(tx, r.ID, r)
}

func (s *Service) receiveRefusal(tx *store.Tx, in dispatch.Received) error {
	body, err := protocol.BodyOf[protocol.ScanRefusalBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	r, err := own(tx, in, body.Request, body.Signature)
	if err != nil {
		return err
	}
	if r.Refusal != nil && r.Refusal.Document == in.Document.ID {
		r.Refusal.Note, r.Refusal.Withheld = body.Note, in.Withheld() // a wider release, or the same again
		for i := range r.Timeline {
			if r.Timeline[i].Document == in.Document.ID {
				r.Timeline[i].Note = body.Note
			}
		}
		return requests.Put(tx, r.ID, r)
	}
	if r.State != Requested {
		return desk.Conflict("request %s is %s: it is not answered twice", r.Number, r.State)
	}
	r.State = Refused
	r.Refusal = &Refusal{Code: body.Code, Note: body.Note, At: tx.Now(), Document: in.Document.ID, Withheld: in.Withheld()}
	r.note(Step{Event: "refused: " + body.Code, At: tx.Now(), Country: in.From, Note: body.Note, Document: in.Document.ID})
	return requests.Put(tx, r.ID, r)
}

func earlier(t time.Time, other *time.Time) time.Time {
	if other == nil || !t.IsZero() && t.Before(*other) {
		return t
	}
	return *other
}

// record leaves an act on a request in the log.
func (s *Service) record(tx *store.Tx, r *Request, action protocol.AuditAction, actor, event string, details map[string]string, documents ...string) {
	s.entry(tx, r, protocol.AuditHeader{Action: action, Decision: "permit", Ground: "policy"}, actor, event, details, documents...)
}

func (s *Service) entry(tx *store.Tx, r *Request, h protocol.AuditHeader, actor, event string, details map[string]string, documents ...string) {
	h.Counterpart = string(r.Counterpart)
	if details == nil {
		details = map[string]string{}
	}
	details["number"], details["signature"] = r.Number, r.Signature
	if len(documents) == 0 {
		documents = []string{r.ID}
	}
	tx.Audit(protocol.AuditEntry{AuditHeader: h, AuditBody: protocol.AuditBody{Actor: actor, Kind: policy.Scan, Object: r.ID, Case: r.Case, Event: event,
		Purpose: r.Purpose, Handling: r.Handling.Codes(), Policies: r.Policies, PolicyVer: s.desk.Policy().Version(), Details: details, Documents: documents}})
}
