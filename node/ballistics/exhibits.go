package ballistics

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"proofmark/node/desk"
	"proofmark/node/tracing"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// NewExhibit is what somebody says of an exhibit.
type NewExhibit struct {
	Number    string            `json:"number"`
	Case      string            `json:"case"`
	Kind      string            `json:"kind"`
	Origin    string            `json:"origin"`
	Incident  string            `json:"incident,omitempty"` // id; may be left out where the case has one incident
	Firearm   string            `json:"firearm,omitempty"`  // national reference, for a test fire
	Calibre   string            `json:"calibre"`
	FiringPin string            `json:"firing_pin,omitempty"`
	Pattern   string            `json:"breech_face_pattern,omitempty"`
	Handling  protocol.Handling `json:"handling,omitempty"` // of another country where the exhibit, or its cast, came from there
	Received  time.Time         `json:"received,omitzero"`

	Operations []string `json:"operations,omitempty"` // to tag it with, by number or id
}

func (n *NewExhibit) complete() error {
	if n.Kind == "" {
		n.Kind = protocol.CartridgeCase
	}
	if n.FiringPin == "" {
		n.FiringPin = protocol.Unknown
	}
	if n.Pattern == "" {
		n.Pattern = protocol.Unknown
	}
	if err := needed("exhibit number", n.Number, "case", n.Case, "calibre", n.Calibre); err != nil {
		return err
	}
	for _, list := range []struct {
		name, value string
		allowed     []string
	}{
		{"kind", n.Kind, protocol.Kinds}, {"origin", n.Origin, protocol.Origins},
		{"firing pin shape", n.FiringPin, protocol.FiringPinShapes}, {"breech-face pattern", n.Pattern, protocol.BreechFacePattern},
	} {
		if !slices.Contains(list.allowed, list.value) {
			return desk.Invalid("%s: %.40q is not one of %s", list.name, list.value, strings.Join(list.allowed, ", "))
		}
	}
	if n.Origin == protocol.TestFire && n.Firearm == "" {
		return desk.Invalid("a test fire names the recovered firearm it was fired from (--firearm REFERENCE)")
	}
	if n.Origin == protocol.Evidence && n.Firearm != "" {
		return desk.Invalid("evidence comes from an incident, not from a firearm; use the origin test-fire for a test-fired exhibit")
	}
	for _, h := range n.Handling {
		if !slices.Contains(protocol.HandlingCodes, h.Code) {
			return desk.Invalid("handling code %.20q is not one of %s, or one of them with the country that owns the information, such as H2/ES", h, strings.Join(protocol.HandlingCodes, ", "))
		}
	}
	return nil
}

// AddExhibit enters an exhibit. The same exhibit again changes nothing; other facts under the same number are a conflict.
func (s *Service) AddExhibit(ctx context.Context, who desk.Actor, key string, n NewExhibit) (*Exhibit, error) {
	if err := n.complete(); err != nil {
		return nil, err
	}
	n.Handling = n.Handling.OwnedBy(s.desk.Country)
	act := desk.Act{Actor: who, Key: key, Action: policy.ExhibitAdd, Resource: policy.Resource{Type: policy.KindExhibit, ID: n.Number}, Request: n}
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Exhibit, error) {
		if _, err := oneBy(tx, cases, "reference", n.Case, "case"); err != nil {
			return nil, err
		}
		if err := settleSource(tx, &n); err != nil {
			return nil, err
		}
		tags, err := tagsOf(tx, s.desk.Country, nil, n.Operations)
		if err != nil {
			return nil, err
		}
		e := &Exhibit{Operations: tags, Number: n.Number, Case: n.Case, Kind: n.Kind, Origin: n.Origin, Incident: n.Incident, Firearm: n.Firearm, Calibre: n.Calibre,
			FiringPin: n.FiringPin, Pattern: n.Pattern, Handling: n.Handling, Received: n.Received, Entered: tx.Now(), By: who.Name}
		if old, err := oneBy(tx, exhibits, "number", n.Number, "exhibit"); err == nil {
			if old.Handling = old.Handling.OwnedBy(s.desk.Country); !sameExhibit(old, e) {
				return nil, desk.Conflict("exhibit %s exists already with other facts (case %s, %s, %s): an exhibit number is unique in this node",
					old.Number, old.Case, old.Origin, old.Calibre)
			}
			return old, nil
		} else if !errors.Is(err, desk.ErrNotFound) {
			return nil, err
		}
		if e.Received.IsZero() {
			e.Received = tx.Now()
		}
		if e.ID, err = protocol.NewID(tx.Now(), tx.Random()); err != nil {
			return nil, err
		}
		tx.Audit(collected(who, policy.KindExhibit, e.ID, e.Case, "exhibit entered"))
		return e, exhibits.Put(tx, e.ID, e)
	})
}

// settleSource finds what an exhibit comes from: the incident of its case, or a recovered firearm.
func settleSource(tx *store.Tx, n *NewExhibit) error {
	if n.Origin == protocol.TestFire {
		_, err := recovered(tx, n.Firearm)
		return err
	}
	known, err := allBy(tx, incidents, "case", n.Case)
	if err != nil {
		return err
	}
	switch {
	case n.Incident != "":
		if !slices.ContainsFunc(known, func(i *Incident) bool { return i.ID == n.Incident }) {
			return desk.NotFound("case %s has no incident %s", n.Case, n.Incident)
		}
	case len(known) == 0:
		return desk.Invalid("case %s has no incident yet: evidence comes from one (proofmark incident add --case %s …)", n.Case, n.Case)
	case len(known) > 1:
		return desk.Invalid("case %s has %d incidents: say which one with --incident ID (proofmark incident list --case %s)", n.Case, len(known), n.Case)
	default:
		n.Incident = known[0].ID
	}
	return nil
}

func sameExhibit(a, b *Exhibit) bool {
	return a.Case == b.Case && a.Kind == b.Kind && a.Origin == b.Origin && a.Incident == b.Incident && a.Firearm == b.Firearm &&
		a.Calibre == b.Calibre && a.FiringPin == b.FiringPin && a.Pattern == b.Pattern && slices.Equal(a.Handling, b.Handling) &&
		(b.Received.IsZero() || a.Received.Equal(b.Received))
}

// ExhibitView is an exhibit with what was made of it.
type ExhibitView struct {
	Exhibit
	Acquisitions []*Acquisition `json:"acquisitions"`
	// Withdrawn says when what was published of it was taken back, by signature; only of one exhibit that is shown.
	Withdrawn map[string]time.Time `json:"withdrawn,omitempty"`
}

// Marks implements protocol.Marked.
func (v *ExhibitView) Marks() (protocol.Handling, []string) {
	about := []string{}
	for _, a := range v.Acquisitions {
		about = append(about, a.Signature)
	}
	return v.Handling, append(about, v.ID)
}

// Exhibits lists the exhibits with their acquisitions, the oldest first.
func (s *Service) Exhibits(ctx context.Context, who desk.Actor, caseRef string) ([]*ExhibitView, error) {
	act := desk.Act{Actor: who, Action: policy.ExhibitView, Resource: policy.Resource{Type: policy.KindExhibit, ID: caseRef}}
	return desk.Read(ctx, s.desk, act, protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindExhibit, Case: caseRef, Event: "exhibits listed"}},
		func(tx *store.Tx) ([]*ExhibitView, error) {
			var list []*Exhibit
			var err error
			if caseRef == "" {
				list, err = all(tx, exhibits)
			} else {
				list, err = allBy(tx, exhibits, "case", caseRef)
			}
			out := make([]*ExhibitView, 0, len(list))
			for _, e := range list {
				acq, aerr := allBy(tx, acquisitions, "exhibit", e.ID)
				err = errors.Join(err, aerr)
				out = append(out, &ExhibitView{Exhibit: *e, Acquisitions: acq})
			}
			return out, err
		})
}

// Exhibit shows one exhibit, by number or id.
func (s *Service) Exhibit(ctx context.Context, who desk.Actor, ref string) (*ExhibitView, error) {
	act := desk.Act{Actor: who, Action: policy.ExhibitView, Resource: policy.Resource{Type: policy.KindExhibit, ID: ref}}
	return desk.Read(ctx, s.desk, act, protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindExhibit, Object: ref, Event: "exhibit viewed"}},
		func(tx *store.Tx) (*ExhibitView, error) {
			e, err := findExhibit(tx, ref)
			if err != nil {
				return nil, err
			}
			acq, err := allBy(tx, acquisitions, "exhibit", e.ID)
			if err != nil {
				return nil, err
			}
			v := &ExhibitView{Exhibit: *e, Acquisitions: acq}
			for _, a := range acq {
				sig, err := signatures.Get(tx, a.Signature)
				switch {
				case errors.Is(err, store.ErrNotFound) || err == nil && sig.Withdrawn.IsZero():
					continue
				case err != nil:
					return nil, err
				case v.Withdrawn == nil:
					v.Withdrawn = map[string]time.Time{}
				}
				v.Withdrawn[a.Signature] = sig.Withdrawn
			}
			return v, nil
		})
}

// findExhibit accepts what people type: the exhibit number, or the id.
func findExhibit(tx *store.Tx, ref string) (*Exhibit, error) {
	if e, err := exhibits.Get(tx, ref); err == nil {
		return e, nil
	}
	return oneBy(tx, exhibits, "number", ref, "exhibit")
}

// recovered finds the recovered firearm behind a test fire.
func recovered(tx *store.Tx, reference string) (*tracing.Firearm, error) {
	f, err := tracing.Lookup(tx, reference)
	if err != nil {
		return nil, err
	}
	if f.Recovery == nil {
		return nil, desk.Invalid("firearm %s has no recovery on record: only a recovered firearm is test-fired", f.Reference)
	}
	return f, nil
}
