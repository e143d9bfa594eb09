package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/node/people"
	"proofmark/node/tracing"
	"proofmark/protocol"
	"proofmark/store"
)

// nodeState is what a node holds, by content: no ids, no times, nothing that two runs of the same day would not share. Every list is sorted; what stands
// twice in a node stands twice here.
type nodeState struct {
	People     []string
	Exhibits   []string       // with their cases and acquisitions
	Signatures []string       // own and foreign, by the owner's country and exhibit number
	Candidates []string       // pairs of exhibits with score and review
	Firearms   []string       // by national reference
	Leads      []string       // with state, feedback and hit
	Traces     []string       // with state and record
	Documents  map[string]int // sent and received, by country and type
	Refused    int            // foreign documents that were not accepted
}

// names tell exhibits across borders, where they have no number: by signature.
type names map[string]string

func (f *federation) names() names {
	n := names{}
	for _, l := range f.lots {
		n[l.signature] = string(l.country) + " " + l.number
	}
	for _, l := range f.bullets {
		n[l.signature] = string(l.country) + " " + l.number
	}
	return n
}

// state reads what a node holds, through its people's sessions.
func (f *federation) state(ctx context.Context, b *bureau) (*nodeState, error) {
	s, n := &nodeState{Documents: map[string]int{}}, f.names()
	for _, read := range []func(context.Context, *bureau, names, *nodeState) error{f.readExhibits, f.readCandidates, f.readLeads, f.readTracing, f.readDocuments} {
		if err := read(ctx, b, n, s); err != nil {
			return nil, err
		}
	}
	for _, list := range [][]string{s.People, s.Exhibits, s.Signatures, s.Candidates, s.Firearms, s.Leads, s.Traces} {
		slices.Sort(list)
	}
	return s, nil
}

func (f *federation) readExhibits(ctx context.Context, b *bureau, _ names, s *nodeState) error {
	accounts, err := call[[]people.View](ctx, b.admin, "user.list", control.None{})
	if err != nil {
		return err
	}
	for _, a := range accounts {
		s.People = append(s.People, fmt.Sprintf("%s %v %s", a.Name, a.Roles, a.State))
	}
	list, err := call[[]*ballistics.ExhibitView](ctx, b.technician, "exhibit.list", control.CaseRef{})
	if err != nil {
		return err
	}
	for _, e := range list {
		text := fmt.Sprintf("%s %s %s %s", e.Number, e.Case, e.Origin, e.Calibre)
		for _, a := range e.Acquisitions {
			text += fmt.Sprintf("; %s %s, %d bytes", a.ROI, a.Identity, a.Bytes)
		}
		s.Exhibits = append(s.Exhibits, text)
	}
	cases, err := call[[]*ballistics.Case](ctx, b.technician, "case.list", control.None{})
	for _, c := range cases {
		s.Exhibits = append(s.Exhibits, "case "+c.Reference+" "+c.Title)
	}
	if err != nil {
		return err
	}
	incidents, err := call[[]*ballistics.Incident](ctx, b.technician, "incident.list", control.CaseRef{})
	for _, i := range incidents {
		s.Exhibits = append(s.Exhibits, "incident "+i.Case+" "+i.Place+" "+i.Offence)
	}
	return err
}

// readCandidates reads the ranked list of every signature that the node holds.
func (f *federation) readCandidates(ctx context.Context, b *bureau, n names, s *nodeState) error {
	pairs := map[string]string{}
	for signature, name := range n {
		list, held, err := ranked(ctx, b.examiner, signature)
		if err != nil {
			return err
		}
		if held {
			s.Signatures = append(s.Signatures, name)
		}
		for _, c := range list {
			a, z := n[c.Own.Signature], n[c.Other.Signature]
			text := fmt.Sprintf("%s – %s %.4f %s %s %s", min(a, z), max(a, z), c.Score, c.Agreement(), c.State, c.Outcome)
			if before, seen := pairs[c.Pair]; seen && before != text {
				return fmt.Errorf("%s tells the pair %s in two ways: %s and %s", b.country, c.Pair, before, text)
			}
			pairs[c.Pair] = text
		}
	}
	for _, text := range pairs {
		s.Candidates = append(s.Candidates, text)
	}
	return nil
}

func (f *federation) readLeads(ctx context.Context, b *bureau, n names, s *nodeState) error {
	list, err := call[[]*ballistics.Lead](ctx, b.investigator, "lead.list", control.None{})
	if err != nil {
		return err
	}
	for _, l := range list {
		var parts []string
		for _, side := range []struct {
			way    string
			notice *ballistics.Notice
		}{{"sent", l.Sent}, {"received", l.Received}} {
			if x := side.notice; x != nil {
				parts = append(parts, fmt.Sprintf("%s %s, %s – %s, acknowledged %t, retracted %q", side.way, x.Body.Number, n[x.Body.Own.Signature], n[x.Body.Other.Signature],
					!x.Acknowledged.IsZero(), x.Reason))
			}
		}
		for _, x := range l.Feedback {
			parts = append(parts, fmt.Sprintf("feedback %s %s %q", x.From, x.Code, x.Note))
		}
		if l.Hit != nil {
			parts = append(parts, fmt.Sprintf("hit from %s, %s by %s and %s", l.Hit.From, l.Hit.Conclusion, l.Hit.Examiner, l.Hit.Verifier))
		}
		for _, x := range l.Timeline {
			parts = append(parts, x.Event)
		}
		s.Leads = append(s.Leads, fmt.Sprintf("%s with %s: %s", l.State, l.Counterpart, strings.Join(parts, "; ")))
	}
	return nil
}

func (f *federation) readTracing(ctx context.Context, b *bureau, _ names, s *nodeState) error {
	firearms, err := call[[]*tracing.Firearm](ctx, b.operator, "firearm.list", tracing.FirearmFilter{})
	if err != nil {
		return err
	}
	for _, x := range firearms {
		s.Firearms = append(s.Firearms, fmt.Sprintf("%s %s %s %s %s", x.Reference, x.Status, x.Make, x.Model, x.Serial))
	}
	list, err := call[[]*tracing.Trace](ctx, b.operator, "trace.list", tracing.TraceFilter{})
	for _, t := range list {
		text := fmt.Sprintf("%s %s %s %s record %s, matches %d", t.Number, t.Direction, t.Counterpart, t.State, t.Record, len(t.Matches))
		if t.Answer != nil {
			text += fmt.Sprintf(", answer %s from %s, chain of %d", t.Answer.Outcome, t.Answer.Record, len(t.Answer.Chain))
		}
		for _, step := range t.Timeline {
			text += "; " + string(step.Event)
		}
		s.Traces = append(s.Traces, text)
	}
	return err
}

// readDocuments counts in the log what was sent and received: each document must be there once.
func (f *federation) readDocuments(ctx context.Context, b *bureau, _ names, s *nodeState) error {
	const most = 10000
	for _, action := range []protocol.AuditAction{protocol.ActDisclose, protocol.ActReceive, protocol.ActDeny} {
		list, err := call[[]store.AuditRecord](ctx, b.auditor, "audit.query", control.AuditRequest{Action: string(action), Limit: most})
		if err != nil {
			return err
		}
		if len(list) == most {
			return fmt.Errorf("%s: more than %d entries %s", b.country, most, action)
		}
		for _, e := range list {
			kind := e.Details["type"]
			switch {
			case kind == "": // a receipt, or a person's own act
			case action == protocol.ActDeny:
				s.Refused++
			default:
				s.Documents[fmt.Sprintf("%s %s %s (%s)", action, e.Counterpart, kind, e.Event)]++
			}
		}
	}
	return nil
}
