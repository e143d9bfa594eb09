package membership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Installed tells what an installation came to.
type Installed struct {
	Name        string    `json:"name"` // the federation's
	Version     int       `json:"version"`
	Hash        string    `json:"hash"`
	Fingerprint string    `json:"fingerprint"` // of Hash, for comparing over the phone
	Anchor      string    `json:"anchor"`
	Members     int       `json:"members"`
	ValidUntil  time.Time `json:"valid_until"`
	Added       int       `json:"added"` // versions that were new; 0 if the roster was in force already
	Warnings    []string  `json:"warnings,omitempty"`
}

// Limits on one installation.
const (
	MaxDocuments = 64
	MaxBytes     = 32 << 20 // of all documents together
)

// Install brings a roster into force. documents are signed files in any order: the next version or several; a first installation needs
// all from version 1 on, and the anchor, which is the hash of version 1 ("sha256:…", or its fingerprint of 40 digits). What was
// installed before is skipped, so that repeating it changes nothing.
//
// A wrong anchor, a version with other content than the installed one, an older roster and one that the key holders of the version
// before did not sign are refused, and the refusal is audited. The error (desk.ErrInvalid or desk.ErrConflict) says what to do.
func (s *Service) Install(ctx context.Context, actor desk.Actor, key string, documents [][]byte, anchor string) (*Installed, error) {
	act := desk.Act{Actor: actor, Action: policy.RosterManage, Resource: policy.Resource{Type: policy.KindRoster}}
	if err := s.MayInstall(ctx, actor); err != nil {
		return nil, err
	}
	docs, err := parse(documents, s.now.Load().roster)
	if err != nil {
		return nil, err
	}
	act.Key, act.Request = key, request(docs, anchor)
	in, changed, err := s.put(ctx, act, docs, anchor)
	if changed {
		s.changed()
	}
	return in, err
}

// MayInstall tells whoever may not install rosters so, before anything expensive is done for it.
func (s *Service) MayInstall(ctx context.Context, actor desk.Actor) error {
	act := desk.Act{Actor: actor, Action: policy.RosterManage, Resource: policy.Resource{Type: policy.KindRoster}}
	return s.desk.Allowed(ctx, act)
}

// put decides and records under the lock; callbacks run after it.
func (s *Service) put(ctx context.Context, act desk.Act, docs []document, anchor string) (in *Installed, changed bool, err error) {
	s.install.Lock()
	defer s.install.Unlock()
	// Signatures are checked here and not in the writer; the lock keeps the state until the commit.
	before := s.now.Load()
	fresh, refusal := plan(before, docs, anchor)
	var held error
	if refusal == nil {
		if fresh, held, err = s.admit(before, fresh); err != nil {
			return nil, false, err
		}
		if len(fresh) == 0 {
			refusal = held
		}
	}
	var forks []Fork
	if forks, err = s.evidence(before, docs, act.Actor.Name); err != nil {
		return nil, false, err
	}
	refused := false
	in, err = desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Installed, error) {
		if refusal != nil {
			refused = true // not so for a repeated key, which gets its first result whatever is in force by now
			return nil, refusal
		}
		after, err := before.with(tx, act.Actor.Name, fresh)
		if err != nil {
			return nil, err
		}
		if len(fresh) > 0 {
			audit(tx, act.Actor.Name, "file", after)
			tx.OnCommit(func() {
				s.now.Store(after)
				changed = true
			})
		}
		in := s.describe(after, len(fresh), tx.Now())
		if held != nil {
			in.Warnings = append(in.Warnings, held.Error())
		}
		return in, nil
	})
	if refused {
		err = errors.Join(err, s.recordRefusal(ctx, act.Actor.Name, refusal), s.keep(ctx, forks))
	}
	return in, changed, err
}

// with stores further versions and gives the state that has them.
func (st *state) with(tx *store.Tx, by string, fresh []document) (*state, error) {
	if len(fresh) == 0 {
		return st, nil
	}
	after := &state{versions: slices.Clone(st.versions), forks: slices.Clone(st.forks)}
	for _, d := range fresh {
		blob, err := tx.PutBlob(d.raw)
		if err != nil {
			return nil, fmt.Errorf("store roster version %d: %w", d.version, err)
		}
		v := version{Version: d.version, Hash: d.hash, Fingerprint: d.Fingerprint(), Blob: blob, Installed: tx.Now(), By: by, First: st.version() == 0}
		if err := versions.Insert(tx, versionID(d.version), &v); err != nil {
			return nil, fmt.Errorf("store roster version %d: %w", d.version, err)
		}
		after.versions = append(after.versions, v)
		after.document, after.raw = d.Document, d.raw
	}
	after.roster = after.document.Roster()
	if err := after.resolve(tx, fresh); err != nil {
		return nil, err
	}
	after.settle(tx.Now())
	return after, nil
}

func (s *Service) describe(st *state, added int, now time.Time) *Installed {
	r := st.inForce
	return &Installed{
		Name: r.Name, Version: r.Version, Hash: st.hash(), Fingerprint: st.document.Fingerprint(), Anchor: st.anchor(),
		Members: len(r.Members), ValidUntil: r.ValidUntil, Added: added, Warnings: s.warnings(st, now),
	}
}

func audit(tx *store.Tx, actor, from string, after *state) {
	last := after.versions[len(after.versions)-1]
	tx.Audit(protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActAdminister, Decision: "permit"},
		AuditBody: protocol.AuditBody{
			Actor: actor, Kind: policy.KindRoster, Object: last.Hash, Event: fmt.Sprintf("roster version %d installed", last.Version),
			Details: map[string]string{"federation": after.roster.Name, "from": from, "anchor": after.anchor(), "members": fmt.Sprint(len(after.roster.Members))},
		},
	})
}

// recordRefusal leaves the audit entry of a roster that was refused; what is merely malformed leaves none.
func (s *Service) recordRefusal(ctx context.Context, actor string, err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return nil
	}
	return s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		tx.Audit(protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActDeny, Decision: "deny", Ground: r.ground},
			AuditBody: protocol.AuditBody{
				Actor: actor, Kind: policy.KindRoster, Object: r.hash, Event: fmt.Sprintf("roster version %d refused", r.version),
			},
		})
		return nil
	})
}
