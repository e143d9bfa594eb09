package control

import (
	"context"
	"errors"
	"net/http"
	"time"

	"proofmark/node/agenda"
	"proofmark/node/ballistics"
	"proofmark/node/membership"
	"proofmark/node/people"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// None is the request or result of a command that needs or says nothing.
type None struct{}

// routes registers every command.
func (s *Server) routes(mux *http.ServeMux) {
	s.routePeople(mux)
	s.routeFederation(mux)
	s.routeRosters(mux)
	s.routeIdentity(mux)
	s.routeBundles(mux)
	s.routeDocuments(mux)
	s.routePolicy(mux)
	s.routeSharing(mux)
	s.routeWithdrawals(mux)
	s.routeBallistics(mux)
	s.routeLeads(mux)
	s.routeTracing(mux)
	s.routeOperations(mux)
	s.routeScans(mux)
	s.routeAudit(mux)
	s.routeAuditProof(mux)
	s.routeAuditExport(mux)
	s.routeBackup(mux)
	s.routeCustody(mux)
	s.routeWitness(mux)
	s.routeBudget(mux)
	s.routePermissions(mux)
	s.routeApprovals(mux)
	s.routeRetention(mux)
}

// LoginRequest opens a session; with a code it is the first login, which sets the person's own secret.
type LoginRequest struct {
	Name   string `json:"name"`
	Secret string `json:"secret"`
	Code   string `json:"code,omitempty"`
}

// SecretRequest replaces the own secret of whoever's session it comes with.
type SecretRequest struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// UserRequest names an account and what to do with it.
type UserRequest struct {
	Name     string   `json:"name"`
	FullName string   `json:"full_name,omitempty"`
	Roles    []string `json:"roles,omitempty"`
}

// UserCode is a one-time enrolment code, for the person alone.
type UserCode struct {
	Name string `json:"name"`
	Code string `json:"code"`
}

// Identity is who a session belongs to, in which node.
type Identity struct {
	Country protocol.Country `json:"country"`
	Node    string           `json:"node"`
	Name    string           `json:"name"`
	Roles   []string         `json:"roles"`
	Resets  []people.Reset   `json:"resets,omitempty"` // of the own secret, in the last 30 days
}

func (s *Server) routePeople(mux *http.ServeMux) {
	p := s.services.People
	handleOpen(s, mux, "login", func(ctx context.Context, _ call, r LoginRequest) (*people.Session, error) {
		if r.Code != "" {
			return p.Enrol(ctx, r.Name, r.Code, []byte(r.Secret))
		}
		return p.Login(ctx, r.Name, []byte(r.Secret))
	})
	handle(s, mux, "logout", func(ctx context.Context, c call, _ None) (None, error) { return None{}, p.Logout(ctx, c.token) })
	handle(s, mux, "secret", func(ctx context.Context, c call, r SecretRequest) (*people.Changed, error) {
		return p.ChangeSecret(ctx, c.token, []byte(r.Old), []byte(r.New))
	})
	handle(s, mux, "whoami", func(_ context.Context, c call, _ None) (Identity, error) {
		resets, err := p.Resets(c.actor.Name)
		return Identity{Country: s.services.Country, Node: s.services.Name, Name: c.actor.Name, Roles: c.actor.Roles, Resets: resets}, err
	})
	handle(s, mux, "user.add", func(ctx context.Context, c call, r UserRequest) (UserCode, error) {
		code, err := p.Add(ctx, c.actor, c.key, r.Name, r.FullName, r.Roles)
		return UserCode{r.Name, code}, err
	})
	handle(s, mux, "user.code", func(ctx context.Context, c call, r UserRequest) (UserCode, error) {
		code, err := p.ResetCode(ctx, c.actor, c.key, r.Name)
		return UserCode{r.Name, code}, err
	})
	handle(s, mux, "user.roles", func(ctx context.Context, c call, r UserRequest) (None, error) {
		return None{}, p.SetRoles(ctx, c.actor, c.key, r.Name, r.Roles)
	})
	handle(s, mux, "user.disable", func(ctx context.Context, c call, r UserRequest) (None, error) {
		return None{}, p.Disable(ctx, c.actor, c.key, r.Name)
	})
	handle(s, mux, "user.enable", func(ctx context.Context, c call, r UserRequest) (None, error) {
		return None{}, p.Enable(ctx, c.actor, c.key, r.Name)
	})
	handle(s, mux, "user.list", func(ctx context.Context, c call, _ None) ([]people.View, error) { return p.List(ctx, c.actor) })
}

// InstallRequest brings rosters into force.
type InstallRequest struct {
	Documents [][]byte `json:"documents"`
	Anchor    string   `json:"anchor,omitempty"`
}

// RosterInForce is the roster that the node goes by.
type RosterInForce struct {
	Document []byte   `json:"document"`
	Hash     string   `json:"hash"`
	Anchor   string   `json:"anchor"`
	Warnings []string `json:"warnings,omitempty"`

	Forks     []membership.Fork             `json:"forks,omitempty"`     // other rosters that were met
	Announced map[protocol.Country][]string `json:"announced,omitempty"` // addresses that members announced since their entries were made
}

// Status says how the node is, to anybody on this machine who may open the socket: nothing about content.
type Status struct {
	Country   protocol.Country `json:"country"`
	Name      string           `json:"name"`
	PeerID    string           `json:"peer_id"`
	Addresses []string         `json:"addresses"`
	Roster    string           `json:"roster,omitempty"`
	Version   int              `json:"roster_version,omitempty"`
	Warnings  []string         `json:"roster_warnings,omitempty"`
	Now       time.Time        `json:"now"`
	Idle      bool             `json:"idle"`             // nothing waits to be correlated or delivered
	Alarms    []string         `json:"alarms,omitempty"` // what is wrong with sealed copies at holders

	Calibrations []string `json:"calibrations"` // what likelihood ratios rest on

	Index ballistics.Filling `json:"index"` // until it is whole, nothing is correlated

	Witness WitnessSummary `json:"witness"`

	Stopped []string `json:"stopped,omitempty"` // what stops the exchange: signed statements that contradict each other

	Notices []agenda.Notice `json:"notices,omitempty"` // what waits for people, lapses or is used up; nothing of content
}

func (s *Server) routeFederation(mux *http.ServeMux) {
	m, x := s.services.Membership, s.services.Exchange
	handleOpen(s, mux, "status", func(_ context.Context, _ call, _ None) (Status, error) {
		idle, err := s.idle()
		alarms, aerr := s.services.Custody.Alarms()
		err = errors.Join(err, aerr)
		var models []string
		for _, c := range s.services.Ballistics.Calibrations() {
			models = append(models, c.Name())
		}
		if err != nil {
			return Status{}, err
		}
		witnessed, err := s.witnessSummary()
		waits, werr := s.services.Agenda()
		stopped, serr := s.stopped()
		err = errors.Join(err, werr, serr)
		return Status{Stopped: stopped, Witness: witnessed, Notices: waits.Notices(), Calibrations: models, Index: s.services.Ballistics.Filling(), Country: s.services.Country, Name: s.services.Name, PeerID: x.PeerID(), Addresses: x.Addresses(), Roster: m.Hash(), Version: m.Figures().Version,
			Warnings: s.warnings(), Now: s.services.Now(), Idle: idle, Alarms: alarms}, err
	})
	handle(s, mux, "roster.install", func(ctx context.Context, c call, r InstallRequest) (*membership.Installed, error) {
		return m.Install(ctx, c.actor, c.key, r.Documents, r.Anchor)
	})
	handle(s, mux, "roster.show", func(ctx context.Context, c call, _ None) (RosterInForce, error) {
		return read1(ctx, s, c, policy.RosterView, policy.KindRoster, "roster viewed", func(*store.Tx) (RosterInForce, error) {
			return RosterInForce{Document: m.Document(), Hash: m.Hash(), Anchor: m.Anchor(), Warnings: s.warnings(),
				Forks: m.Forks(), Announced: m.Announced(s.services.Now())}, nil
		})
	})
	handle(s, mux, "peers", func(ctx context.Context, c call, _ None) ([]Peer, error) {
		return read1(ctx, s, c, policy.PeersView, policy.KindPeer, "peers viewed", s.peers)
	})
}

// idle reports whether every signature is correlated and every document delivered.
func (s *Server) idle() (bool, error) {
	done, err := s.services.Ballistics.Idle()
	if err != nil || !done {
		return false, err
	}
	idle := true
	err = s.services.Store.View(func(tx *store.Tx) error {
		queues, err := tx.QueueLengths()
		for _, q := range queues {
			idle = idle && q.Intents == 0 && q.Unacknowledged == 0
		}
		return err
	})
	return idle, err
}

// Ref names one object by what people type.
type Ref struct {
	Ref string `json:"ref"`
}

// CaseRef names a case; empty for all.
type CaseRef struct {
	Case string `json:"case,omitempty"`
}

func (s *Server) routeBallistics(mux *http.ServeMux) {
	b := s.services.Ballistics
	handle(s, mux, "case.add", func(ctx context.Context, c call, r ballistics.NewCase) (*ballistics.Case, error) {
		return b.AddCase(ctx, c.actor, c.key, r)
	})
	handle(s, mux, "case.list", func(ctx context.Context, c call, _ None) ([]*ballistics.Case, error) { return b.Cases(ctx, c.actor) })
	handle(s, mux, "incident.add", func(ctx context.Context, c call, r ballistics.NewIncident) (*ballistics.Incident, error) {
		return b.AddIncident(ctx, c.actor, c.key, r)
	})
	handle(s, mux, "incident.list", func(ctx context.Context, c call, r CaseRef) ([]*ballistics.Incident, error) {
		return b.Incidents(ctx, c.actor, r.Case)
	})
	handle(s, mux, "exhibit.add", func(ctx context.Context, c call, r ballistics.NewExhibit) (*ballistics.Exhibit, error) {
		return b.AddExhibit(ctx, c.actor, c.key, r)
	})
	handle(s, mux, "exhibit.list", func(ctx context.Context, c call, r CaseRef) ([]*ballistics.ExhibitView, error) {
		return b.Exhibits(ctx, c.actor, r.Case)
	})
	handle(s, mux, "exhibit.show", func(ctx context.Context, c call, r Ref) (*ballistics.ExhibitView, error) {
		return b.Exhibit(ctx, c.actor, r.Ref)
	})
	handle(s, mux, "acquire", func(ctx context.Context, c call, r ballistics.NewAcquisition) (*ballistics.Acquisition, error) {
		if err := r.Take(c.body); err != nil {
			return nil, err
		}
		return b.Acquire(ctx, c.actor, c.key, r)
	})
	handle(s, mux, "candidates.list", func(ctx context.Context, c call, r ballistics.CandidateFilter) ([]*ballistics.CandidateView, error) {
		return b.Candidates(ctx, c.actor, r)
	})
	handle(s, mux, "candidates.fused", func(ctx context.Context, c call, r ballistics.CandidateFilter) (*ballistics.Fused, error) {
		return b.Fused(ctx, c.actor, r)
	})
	handle(s, mux, "candidates.show", func(ctx context.Context, c call, r Ref) (*ballistics.CandidateView, error) {
		return b.Candidate(ctx, c.actor, r.Ref)
	})
	handle(s, mux, "candidates.picture", func(ctx context.Context, c call, r Ref) (*ballistics.Picture, error) {
		return b.Picture(ctx, c.actor, r.Ref)
	})
	handle(s, mux, "candidates.review", func(ctx context.Context, c call, r ballistics.NewReview) (*ballistics.CandidateView, error) {
		return b.Review(ctx, c.actor, c.key, r)
	})
}

// LeadRequest is an act on a lead.
type LeadRequest struct {
	Pair string `json:"pair"`
	Code string `json:"code,omitempty"` // of feedback
	Text string `json:"text,omitempty"` // narrative, note or reason
}

func (s *Server) routeLeads(mux *http.ServeMux) {
	b := s.services.Ballistics
	handle(s, mux, "lead.release", func(ctx context.Context, c call, r LeadRequest) (*ballistics.Lead, error) {
		return b.ReleaseLead(ctx, c.actor, c.key, r.Pair, r.Text)
	})
	handle(s, mux, "lead.list", func(ctx context.Context, c call, _ None) ([]*ballistics.Lead, error) { return b.Leads(ctx, c.actor) })
	handle(s, mux, "lead.show", func(ctx context.Context, c call, r Ref) (*ballistics.Lead, error) { return b.Lead(ctx, c.actor, r.Ref) })
	handle(s, mux, "lead.ack", func(ctx context.Context, c call, r LeadRequest) (*ballistics.Lead, error) {
		return b.AcknowledgeLead(ctx, c.actor, c.key, r.Pair, r.Text)
	})
	handle(s, mux, "lead.retract", func(ctx context.Context, c call, r LeadRequest) (*ballistics.Lead, error) {
		return b.RetractLead(ctx, c.actor, c.key, r.Pair, r.Text)
	})
	handle(s, mux, "lead.feedback", func(ctx context.Context, c call, r LeadRequest) (*ballistics.Lead, error) {
		return b.GiveFeedback(ctx, c.actor, c.key, r.Pair, r.Code, r.Text)
	})
	handle(s, mux, "hit.confirm", func(ctx context.Context, c call, r ballistics.NewConfirmation) (*ballistics.Lead, error) {
		return b.ConfirmHit(ctx, c.actor, c.key, r)
	})
}
