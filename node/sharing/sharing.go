// Package sharing owns the sharing policy in force and its change while the node runs: proposed by one person, approved by a second where the policy in
// force asks for it, put in place, recorded. It knows neither documents nor members.
package sharing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// States of a proposal.
const (
	Open     = "open"
	InForce  = "in force"
	Replaced = "replaced"
	Rejected = "rejected"
)

// Proposal is a policy that somebody wants in force.
type Proposal struct {
	Version  string            `json:"version"` // of the policy; its identity
	State    string            `json:"state"`
	Replaces string            `json:"replaces"` // the version that was in force when it was proposed
	Files    map[string]string `json:"files,omitempty"`
	Rules    int               `json:"rules"`
	Cases    int               `json:"cases"` // that it was asked, and answered as expected
	Note     string            `json:"note,omitempty"`
	By       string            `json:"by"`
	At       time.Time         `json:"at"`
	Second   string            `json:"second,omitempty"` // who approved or rejected it
	Decided  time.Time         `json:"decided,omitzero"`
}

var proposals = store.NewCollection("policy-proposal",
	store.Index[Proposal]{Name: "at", Keys: func(p *Proposal) []string { return []string{p.At.UTC().Format(time.RFC3339Nano)} }})

// Service changes the policy in force.
type Service struct {
	desk    *desk.Desk
	folder  string
	engine  *atomic.Pointer[policy.Engine]
	now     func() time.Time
	log     *slog.Logger
	changed func() // after a new policy is in force

	turn sync.Mutex // one change of the folder at a time
}

// New returns the service for the policies of a folder, of which engine is what is in force.
func New(d *desk.Desk, folder string, engine *atomic.Pointer[policy.Engine], now func() time.Time, changed func()) *Service {
	return &Service{desk: d, folder: folder, engine: engine, now: now, log: d.Log, changed: changed}
}

// Steady runs what reads the files of the policy in force, while nobody changes them: between the commit of another policy and its folder's place there is
// none to be read.
func (s *Service) Steady(read func() error) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	return read()
}

// maxNote bounds a proposal's note, in bytes.
const maxNote = 4 << 10

// Apply proposes policies, given as files (*.cedar, and cases.toml beside them), and puts them in force at once where the policy in force does not ask for
// a second person. What does not load, or does not decide as its cases expect, is refused.
func (s *Service) Apply(ctx context.Context, who desk.Actor, key string, files map[string]string, note string) (*Proposal, error) {
	if len(note) > maxNote {
		return nil, desk.Invalid("the note has %d bytes, at most %d are kept", len(note), maxNote)
	}
	engine, cases, err := s.examine(files)
	if err != nil {
		return nil, err
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	if err := stage(s.folder, files); err != nil {
		return nil, fmt.Errorf("put the policy beside the one in force: %w", err)
	}
	act := desk.Act{Actor: who, Key: key, Action: policy.PolicyApply, Resource: policy.Resource{Type: policy.KindPolicy, ID: engine.Version()}, Request: files,
		TwoPeople: true} // to propose takes one person; whether a second is needed is looked at below
	before, applied := s.engine.Load(), false
	p, err := desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Proposal, error) {
		applied = false
		inForce := s.engine.Load()
		if engine.Version() == inForce.Version() {
			return nil, desk.Conflict("this policy is in force already (version %s)", engine.Version())
		}
		p := &Proposal{Version: engine.Version(), State: Open, Replaces: inForce.Version(), Files: files, Rules: len(engine.Policies()), Cases: cases, Note: note,
			By: who.Name, At: tx.Now()}
		dec := inForce.Decide(policy.Request{Principal: policy.Principal{User: who.Name, Roles: who.Roles, Country: string(s.desk.Country)}, Action: policy.PolicyApply,
			Resource: act.Resource, Now: tx.Now()})
		if dec.Obligations.Approval != policy.TwoPerson {
			applied = true
			return p, s.enforce(tx, p, engine, who)
		}
		s.audit(tx, p, who, "policy proposed")
		return p, proposals.Put(tx, p.Version, p)
	})
	return p, s.end(err, applied, before)
}

// Approve puts a proposal in force; it is another person's act than the proposal.
func (s *Service) Approve(ctx context.Context, who desk.Actor, key, version string) (*Proposal, error) {
	known, err := s.proposed(ctx, who, version)
	if err != nil {
		return nil, err
	}
	engine, _, err := s.examine(known.Files) // the program may have become another since
	if err != nil {
		return nil, err
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	if err := stage(s.folder, known.Files); err != nil {
		return nil, fmt.Errorf("put the policy beside the one in force: %w", err)
	}
	before, applied := s.engine.Load(), false
	p, err := desk.Do(ctx, s.desk, s.second(who, key, "approve", known), func(tx *store.Tx) (*Proposal, error) {
		applied = false
		p, err := s.undecided(tx, known.Version, who)
		if err != nil {
			return nil, err
		}
		if !maps.Equal(p.Files, known.Files) { // its cases are no part of its version
			return nil, desk.Conflict("this policy was proposed anew at this moment, with other files: look at it, and approve it again")
		}
		if now := before.Version(); now != p.Replaces {
			return nil, desk.Conflict("another policy came into force since this one was proposed (%s, then %s): compare again and propose it again", p.Replaces, now)
		}
		p.Second, p.Decided = who.Name, tx.Now()
		applied = true
		return p, s.enforce(tx, p, engine, who)
	})
	return p, s.end(err, applied, before)
}

// Reject ends a proposal; whoever made it may take it back.
func (s *Service) Reject(ctx context.Context, who desk.Actor, key, version, why string) (*Proposal, error) {
	known, err := s.proposed(ctx, who, version)
	if err != nil {
		return nil, err
	}
	return desk.Do(ctx, s.desk, s.second(who, key, "reject", known), func(tx *store.Tx) (*Proposal, error) {
		p, err := proposals.Get(tx, known.Version)
		if err != nil {
			return nil, err
		}
		if p.State != Open {
			return nil, desk.Conflict("this policy is %s, nobody waits for a decision", p.State)
		}
		p.State, p.Second, p.Decided = Rejected, who.Name, tx.Now()
		if why = strings.TrimSpace(why); why != "" {
			p.Note = strings.TrimSpace(p.Note + "\nRejected: " + why[:min(len(why), maxNote)])
		}
		s.audit(tx, p, who, "policy rejected")
		return p, proposals.Put(tx, p.Version, p)
	})
}

// proposed finds a proposal for somebody's decision about it. Of one that is not there the log keeps who asked.
func (s *Service) proposed(ctx context.Context, who desk.Actor, version string) (*Proposal, error) {
	p, err := s.Get(version)
	if errors.Is(err, desk.ErrNotFound) {
		act := s.second(who, "", "find", &Proposal{Version: version[:min(len(version), 80)]})
		_, err = desk.Do(ctx, s.desk, act, func(*store.Tx) (*Proposal, error) { return nil, err })
	}
	return p, err
}

// second is an act on a proposal. Who made it is asked in the act: the same policy may be proposed anew by somebody else.
func (s *Service) second(who desk.Actor, key, what string, p *Proposal) desk.Act {
	res := policy.Resource{Type: policy.KindPolicy, ID: p.Version}
	return desk.Act{Actor: who, Key: key, Action: policy.PolicyApply, Request: what, TwoPeople: true, Resource: res, Describe: func(tx *store.Tx) (policy.Resource, error) {
		of := res
		now, err := proposals.Get(tx, p.Version)
		switch {
		case err == nil:
			of.Attributes = map[string]any{"reviewers": []string{now.By}}
		case !errors.Is(err, store.ErrNotFound):
			return of, err
		}
		return of, nil
	}}
}

// undecided is a proposal that waits for somebody else's decision.
func (s *Service) undecided(tx *store.Tx, version string, who desk.Actor) (*Proposal, error) {
	p, err := proposals.Get(tx, version)
	switch {
	case err != nil:
		return nil, err
	case p.State != Open:
		return nil, desk.Conflict("this policy is %s, nobody waits for a decision", p.State)
	case p.By == who.Name:
		return nil, desk.SamePerson("you proposed this policy yourself: a second person approves it")
	}
	return p, nil
}

// enforce makes a proposal the policy in force, as the last thing of an act: what runs after it is decided by the new policy.
func (s *Service) enforce(tx *store.Tx, p *Proposal, engine *policy.Engine, who desk.Actor) error {
	if before, err := proposals.Get(tx, p.Replaces); err == nil {
		before.State = Replaced
		if err := proposals.Put(tx, before.Version, before); err != nil {
			return err
		}
	}
	p.State = InForce
	s.audit(tx, p, who, "policy put in force")
	if err := tx.Put(rawPolicyVersion, []byte(p.Version)); err != nil {
		return err
	}
	if err := proposals.Put(tx, p.Version, p); err != nil {
		return err
	}
	s.engine.Store(engine)
	return nil
}

// end follows a commit, or takes back what enforce did where there was none.
func (s *Service) end(err error, applied bool, before *policy.Engine) error {
	if err != nil {
		s.engine.Store(before)
	}
	if err != nil || !applied {
		if rerr := os.RemoveAll(s.folder + nextSuffix); rerr != nil {
			s.log.Warn("a policy that was not put in force could not be removed", "error", rerr)
		}
		return err
	}
	if err := promote(s.folder); err != nil {
		s.log.Error("the policy is in force, but its files are not in place yet; the next start puts them there", "folder", s.folder, "error", err)
	}
	s.changed()
	return nil
}

func (s *Service) audit(tx *store.Tx, p *Proposal, who desk.Actor, event string) {
	details := map[string]string{"old": p.Replaces, "new": p.Version, "proposed_by": p.By, "files": strings.Join(slices.Sorted(maps.Keys(p.Files)), " ")}
	tx.Audit(protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActAlter, Decision: "permit"},
		AuditBody: protocol.AuditBody{Actor: who.Name, Kind: policy.KindPolicy, Object: p.Version, Event: event, PolicyVer: s.engine.Load().Version(),
			Details: details},
	})
}

// examine loads files and asks their cases.
func (s *Service) examine(files map[string]string) (engine *policy.Engine, cases int, err error) {
	rules := maps.Clone(files)
	delete(rules, policy.CasesFile)
	if engine, err = policy.LoadTexts(rules); err != nil {
		return nil, 0, desk.Invalid("%v", err)
	}
	text, there := files[policy.CasesFile]
	if !there {
		return engine, 0, nil
	}
	list, err := policy.ParseCases([]byte(text))
	if err != nil {
		return nil, 0, desk.Invalid("%v", err)
	}
	outcomes, err := engine.Try(list, s.now())
	if err != nil {
		return nil, 0, err
	}
	for _, o := range outcomes {
		if len(o.Wrong) > 0 {
			return nil, 0, desk.Invalid("the policy does not decide as its cases expect: %s: %s (proofmark policy test names them all)", o.Name, o.Wrong[0])
		}
	}
	return engine, len(list), nil
}

// Get finds a proposal by its version or the beginning of it.
func (s *Service) Get(version string) (found *Proposal, err error) {
	err = s.desk.Store.View(func(tx *store.Tx) error {
		for id, p := range proposals.All(tx) {
			if version == "" || !strings.HasPrefix(id, version) {
				continue
			}
			if found != nil {
				return desk.Invalid("more than one proposal begins with %.20q: write more of it", version)
			}
			found = p
		}
		return tx.Err()
	})
	if err == nil && found == nil {
		err = desk.NotFound("there is no proposed policy %.80q: proofmark policy proposals lists them", version)
	}
	return found, err
}

// List lists the proposals, the youngest first, without their files.
func (s *Service) List(tx *store.Tx) ([]*Proposal, error) {
	out := []*Proposal{}
	for _, p := range proposals.ByPrefix(tx, "at", "") {
		p.Files = nil
		out = append(out, p)
	}
	slices.Reverse(out)
	return out, tx.Err()
}
