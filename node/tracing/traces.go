package tracing

import (
	"context"
	"slices"
	"strings"
	"time"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// NewTrace is what a person gives for a trace request. What is left empty is taken from the own record that Record names, if it names one.
type NewTrace struct {
	To                 protocol.Country            `json:"to"`
	Record             string                      `json:"record,omitempty"` // own firearm record, by reference or id
	Firearm            protocol.FirearmDescription `json:"firearm"`
	LegalJustification string                      `json:"legal_justification"`
	Circumstances      string                      `json:"circumstances"`
	IntendedUse        string                      `json:"intended_use"`
	Agency             string                      `json:"agency"`
	Priority           string                      `json:"priority,omitempty"` // routine if left empty
	PriorityReason     string                      `json:"priority_reason,omitempty"`
	RecoveryPlace      string                      `json:"recovery_place,omitempty"`
	RecoveryDate       *protocol.Interval          `json:"recovery_date,omitempty"`
	Narrative          string                      `json:"narrative,omitempty"`
	Officer            string                      `json:"officer,omitempty"`
	Possessor          string                      `json:"possessor,omitempty"`
	Case               string                      `json:"case,omitempty"` // stays in this country
	// BasedOn are the traces (number or id) and documents (id) of other countries that the request was made of, as when one is referred: what their
	// owners demand binds it.
	BasedOn []string `json:"based_on,omitempty"`
}

// NewTrace checks a request, numbers it and sends it. What its description lacks is an ErrInvalid that lists all of it, before anything is
// sent; what would make an answer likelier stands in the trace's Advice.
func (s *Service) NewTrace(ctx context.Context, who desk.Actor, key string, n NewTrace) (*Trace, error) {
	to, err := protocol.ParseCountry(string(n.To))
	if err != nil {
		return nil, desk.Invalid("%v", err)
	}
	if to == s.desk.Country {
		return nil, desk.Invalid("a trace request goes to another country; this one's own records are found with `proofmark firearm search`")
	}
	act := desk.Act{Actor: who, Key: key, Action: policy.TraceNew, Purpose: Purpose, Request: n,
		Resource: policy.Resource{Type: policy.KindTrace, Attributes: map[string]any{"owner": string(s.desk.Country), "addressee": string(to)}}}
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Trace, error) {
		n := n // the act may run again
		if err := n.fill(tx); err != nil {
			return nil, err
		}
		if lacks := missing(n.Firearm); len(lacks) > 0 {
			return nil, desk.Invalid("the description cannot be traced yet, it lacks:\n  %s\nNothing was sent.", strings.Join(lacks, "\n  "))
		}
		return s.send(tx, who, n)
	})
}

// fill takes from an own record what the person left out.
func (n *NewTrace) fill(tx *store.Tx) error {
	if n.Priority == "" {
		n.Priority = "routine"
	}
	if n.Record != "" {
		f, err := Lookup(tx, n.Record)
		if err != nil {
			return err
		}
		n.Record = f.Reference
		if n.Firearm == (protocol.FirearmDescription{}) {
			n.Firearm = f.FirearmDescription
		}
		if n.Case == "" {
			n.Case = f.Case
		}
		if r := f.Recovery; r != nil && n.RecoveryDate == nil && n.RecoveryPlace == "" {
			n.RecoveryDate, n.RecoveryPlace = &r.Occurred, r.Place
		}
	}
	if n.Firearm.SerialState == "" { // so that the receiver reads the number as it was meant
		if serial, err := ParseSerial(n.Firearm.Serial, ""); err == nil {
			n.Firearm.SerialState = serial.State
		}
	}
	return nil
}

func (s *Service) send(tx *store.Tx, who desk.Actor, n NewTrace) (*Trace, error) {
	if err := line(n.Case, maxReference); err != nil {
		return nil, desk.Invalid("case: %v", err)
	}
	number, err := desk.NextNumber(tx, s.desk.Country, "T")
	if err != nil {
		return nil, err
	}
	id, err := protocol.NewDocumentID(s.desk.Country, tx.Now(), tx.Random())
	if err != nil {
		return nil, err
	}
	tr := &Trace{ID: id, Number: number, Direction: Outgoing, Counterpart: n.To, State: Draft, Case: n.Case, Firearm: n.Record, Created: tx.Now(),
		Advice: advice(n.Firearm, n.RecoveryDate),
		Request: protocol.TraceRequestBody{Number: number, Firearm: n.Firearm, LegalJustification: n.LegalJustification, Circumstances: n.Circumstances,
			IntendedUse: n.IntendedUse, Agency: n.Agency, Priority: n.Priority, PriorityReason: n.PriorityReason, RecoveryPlace: n.RecoveryPlace,
			RecoveryDate: n.RecoveryDate, Narrative: n.Narrative, Officer: n.Officer, Possessor: n.Possessor}}
	if tr.Handling, tr.Based, err = s.basis(tx, n.BasedOn); err != nil {
		return nil, err
	}
	if err := s.out.IssueAs(tx, id, protocol.TypeTraceRequest, &tr.Request, s.facts(tr, who)); err != nil {
		return nil, err
	}
	if err := tr.advance(Submit, Step{At: tx.Now(), By: who.Name, Document: id}); err != nil {
		return nil, err
	}
	if err := s.noteWait(tx, tr, id); err != nil {
		return nil, err
	}
	s.record(tx, tr, protocol.ActCollect, who, "trace request submitted")
	return tr, traces.Insert(tx, id, tr)
}

// Acknowledge tells the requester that its request has arrived and is looked at.
func (s *Service) Acknowledge(ctx context.Context, who desk.Actor, key, ref, note string) (*Trace, error) {
	if err := s.SearchArrived(ctx); err != nil { // the person is shown what it found
		return nil, err
	}
	act := s.act(who, key, policy.TraceAck, ref, []string{ref, note})
	return s.answering(ctx, act, ref, func(tx *store.Tx, tr *Trace) error {
		if _, err := next(tr.State, Acknowledge); err != nil {
			return desk.Conflict("trace %s: %v", tr.Number, err)
		}
		body := &protocol.TraceStatusBody{Request: tr.ID, Status: protocol.TraceAcknowledged, Note: note}
		doc, err := s.out.Issue(tx, protocol.TypeTraceStatus, body, s.facts(tr, who))
		if err != nil {
			return err
		}
		s.record(tx, tr, protocol.ActAlter, who, "trace request acknowledged", doc)
		if err := tr.advance(Acknowledge, Step{At: tx.Now(), By: who.Name, Note: note, Document: doc}); err != nil {
			return err
		}
		return s.noteWait(tx, tr, doc)
	})
}

// answering runs an act of the asked country on an incoming trace, and stores what the act made of it.
func (s *Service) answering(ctx context.Context, act desk.Act, ref string, fn func(tx *store.Tx, tr *Trace) error) (*Trace, error) {
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Trace, error) {
		tr, err := findTrace(tx, ref)
		if err != nil {
			return nil, err
		}
		if tr.Direction != Incoming {
			return nil, desk.Conflict("trace %s is this country's own request: %s answers it", tr.Number, tr.Counterpart)
		}
		if !tr.SourceWithdrawn.IsZero() && tr.Answer == nil {
			return nil, desk.Conflict("%s withdrew trace %s on %s: nothing is answered, and only a legal hold keeps it", tr.Counterpart, tr.Number, tr.SourceWithdrawn.Format(time.DateOnly))
		}
		if err := fn(tx, tr); err != nil {
			return nil, err
		}
		return tr, traces.Put(tx, tr.ID, tr)
	})
}

// TraceFilter narrows a list of traces; an empty field narrows nothing.
type TraceFilter struct {
	Direction   string           `json:"direction,omitempty"`
	State       State            `json:"state,omitempty"`
	Counterpart protocol.Country `json:"counterpart,omitempty"`
	Open        bool             `json:"open,omitempty"` // only those without an answer
	Limit       int              `json:"limit,omitempty"`
}

func (f TraceFilter) takes(t *Trace) bool {
	return (f.Direction == "" || f.Direction == t.Direction) && (f.State == "" || f.State == t.State) &&
		(f.Counterpart == "" || f.Counterpart == t.Counterpart) && (!f.Open || t.Answer == nil && t.State != Refused && t.State != Closed)
}

// ListTraces lists traces of both directions, the newest first.
func (s *Service) ListTraces(ctx context.Context, who desk.Actor, f TraceFilter) ([]*Trace, error) {
	if f.Direction != "" && f.Direction != Outgoing && f.Direction != Incoming {
		return nil, desk.Invalid("direction %s is not one of %s, %s", shorten(f.Direction), Outgoing, Incoming)
	}
	if f.State != "" && !slices.Contains(States(), f.State) {
		return nil, desk.Invalid("state %s is not one of %v", shorten(string(f.State)), States())
	}
	act := desk.Act{Actor: who, Action: policy.TraceView, Purpose: Purpose, Resource: policy.Resource{Type: policy.KindTrace}}
	e := entry(protocol.ActConsult, who.Name, policy.KindTrace, "", "", "traces listed", "direction", f.Direction, "state", string(f.State), "counterpart", shorten(string(f.Counterpart)))
	return desk.Read(ctx, s.desk, act, e, func(tx *store.Tx) ([]*Trace, error) {
		out := []*Trace{}
		for _, tr := range traces.All(tx) {
			if f.takes(tr) {
				out = append(out, tr)
			}
		}
		slices.SortFunc(out, newestFirst)
		return out[:min(len(out), pageOf(f.Limit))], tx.Err()
	})
}

// Trace shows one trace, by its number or id.
func (s *Service) Trace(ctx context.Context, who desk.Actor, ref string) (*Trace, error) {
	if err := s.SearchArrived(ctx); err != nil {
		return nil, err
	}
	act := s.act(who, "", policy.TraceView, ref, nil)
	e := entry(protocol.ActConsult, who.Name, policy.KindTrace, s.idOf(ref), "", "trace viewed")
	return desk.Read(ctx, s.desk, act, e, func(tx *store.Tx) (*Trace, error) { return findTrace(tx, ref) })
}

// act is a person's act on a trace that is there already. What is not there is described by its name alone, so that somebody who may not
// see traces cannot tell one from the other.
func (s *Service) act(who desk.Actor, key string, action policy.Action, ref string, request any) desk.Act {
	res := policy.Resource{Type: policy.KindTrace, ID: shorten(ref)}
	return desk.Act{Actor: who, Key: key, Action: action, Purpose: Purpose, Request: request, Resource: res,
		Hidden: &desk.Hidden{Absent: desk.Absent(ref, "trace", "trace list"), View: policy.TraceView},
		Describe: func(tx *store.Tx) (policy.Resource, error) {
			tr, err := findTrace(tx, ref)
			if err != nil {
				return res, err
			}
			return policy.Resource{Type: policy.KindTrace, ID: tr.ID, Attributes: s.attributes(tr)}, nil
		}}
}

// idOf names the object of an audit entry: the trace's id where there is one, otherwise what was asked for.
func (s *Service) idOf(ref string) string {
	id := shorten(ref)
	_ = s.desk.Store.View(func(tx *store.Tx) error {
		if tr, err := findTrace(tx, ref); err == nil {
			id = tr.ID
		}
		return nil
	})
	return id
}

// attributes are what policy may know of a trace.
func (s *Service) attributes(tr *Trace) map[string]any {
	attrs := map[string]any{"owner": string(tr.owner(s.desk.Country)), "addressee": string(tr.addressee(s.desk.Country)),
		"handling": tr.Handling.Codes()}
	if c := tr.Request.Firearm.Calibre; c != "" {
		attrs["calibre"] = c
	}
	return attrs
}

// Waits is the event of a document that two people must approve before it goes.
const Waits Event = "waits for the approval of two people"

// noteWait puts into the timeline that a document about the trace waits for people.
func (s *Service) noteWait(tx *store.Tx, tr *Trace, document string) error {
	waits, err := s.out.Awaits(tx, document)
	if err == nil && waits {
		tr.note(Waits, Step{At: tx.Now(), By: desk.Node.Name, Note: "proofmark approval show " + document})
	}
	return err
}

// facts are what policy and the log must know of a document about a trace that goes to its other country.
func (s *Service) facts(tr *Trace, who desk.Actor) dispatch.Facts {
	attrs := s.attributes(tr)
	delete(attrs, "owner") // of the document, not of the trace: dispatch knows both
	delete(attrs, "addressee")
	based := tr.Based
	if tr.Direction == Incoming {
		based = append([]string{tr.ID}, based...)
	}
	delete(attrs, "handling") // dispatch knows it from the markings
	return dispatch.Facts{To: tr.Counterpart, Attributes: attrs, Handling: tr.Handling, Based: based, Purpose: Purpose, Kind: policy.KindTrace, Object: tr.ID, Case: tr.Case, Actor: who.Name}
}

// record leaves an act on a trace in the log.
func (s *Service) record(tx *store.Tx, tr *Trace, action protocol.AuditAction, who desk.Actor, event string, documents ...string) {
	e := entry(action, who.Name, policy.KindTrace, tr.ID, tr.Case, event, "number", tr.Number)
	e.Counterpart, e.Handling, e.Documents = string(tr.Counterpart), tr.Handling.Codes(), append([]string{tr.ID}, documents...)
	tx.Audit(e)
}
