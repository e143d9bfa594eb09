package witness

import (
	"context"
	"fmt"
	"slices"
	"time"

	"proofmark/crypto/roster"
	rules "proofmark/crypto/witness"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Status is how witnessing stands, both sides of it.
type Status struct {
	Origin    string         `json:"origin"`  // of this node's log
	Entries   int64          `json:"entries"` // of it now
	Wanted    int            `json:"wanted"`  // cosignatures on a checkpoint
	Cosigned  *CosignedView  `json:"cosigned,omitempty"`
	Asked     *Asked         `json:"asked,omitempty"` // the witness asked last, since the start
	Witnesses []WitnessState `json:"witnesses"`       // in the order in which they are chosen, then those that the configuration names
	Logs      []LogState     `json:"logs"`            // of the other members
	Alarms    []Alarm        `json:"alarms"`          // evidence that nothing explains; those that somebody has acknowledged last
	Memory    *MemoryView    `json:"memory,omitempty"`
}

// Asked is a question for a cosignature.
type Asked struct {
	Country protocol.Country `json:"country"`
	At      time.Time        `json:"at"`
}

// MemoryView is how the recovery of a lost memory stands.
type MemoryView struct {
	Why     string             `json:"why"`
	Since   time.Time          `json:"since"`
	Missing []protocol.Country `json:"missing"` // members that have not said yet what they hold
}

// CosignedView is this node's best cosigned checkpoint.
type CosignedView struct {
	Size   int64               `json:"size"`
	By     []rules.Cosignature `json:"by"`
	Enough bool                `json:"enough"`         // as many cosignatures as are wanted
	Note   string              `json:"note,omitempty"` // with all of them
}

// WitnessState is what one witness has cosigned of this node's log.
type WitnessState struct {
	Country   protocol.Country `json:"country"`
	Named     bool             `json:"named"` // by the configuration; else it is chosen
	Connected bool             `json:"connected"`
	Asked     time.Time        `json:"asked,omitzero"` // last, since the start
	Size      int64            `json:"size"`           // of the last checkpoint that it cosigned; 0: none
	At        time.Time        `json:"at,omitzero"`    // by its clock
	Fault     string           `json:"fault,omitempty"`
	Failed    time.Time        `json:"failed,omitzero"`
}

// LogState is what this node, as a witness, knows of a member's log.
type LogState struct {
	Country  protocol.Country `json:"country"`
	Chosen   bool             `json:"chosen"` // this node is one of the witnesses that are chosen for it
	Size     int64            `json:"size"`   // of the checkpoint cosigned last; 0: none
	Since    time.Time        `json:"since,omitzero"`
	At       time.Time        `json:"at,omitzero"`
	Restores int              `json:"restores"` // epochs that began with a declared restore
	Evidence int              `json:"evidence"` // pieces kept, explained or not
	Alarms   int              `json:"alarms"`   // of these neither explained nor acknowledged
	Noted    int              `json:"noted"`    // of these not explained, and acknowledged
	Owed     int              `json:"owed"`     // checkpoints that it has to continue before it is cosigned again
	Refused  string           `json:"refused,omitempty"`
}

// Alarm is one piece of evidence, in a line.
type Alarm struct {
	Country protocol.Country `json:"country"`
	Text    string           `json:"text"`
	At      time.Time        `json:"at"`
	From    protocol.Country `json:"from"`
	ID      string           `json:"id"`

	Acknowledged *Acknowledged `json:"acknowledged,omitempty"`
}

// LogView is all that is known here of one log, with the contradicting checkpoints.
type LogView struct {
	LogState
	Origin   string       `json:"origin"`
	LogKey   string       `json:"log_key"`
	Note     string       `json:"note,omitempty"` // the checkpoint cosigned last
	Evidence []RecordView `json:"evidence"`
	Restores []Restore    `json:"restores"`
	OldKeys  []OldKey     `json:"old_keys,omitempty"`
}

// RecordView is evidence with what it says in words.
type RecordView struct {
	Record
	Text string `json:"text"`
}

// viewing is the act of looking at witnessing: auditors do it as part of verifying the log, others who see members as part of that.
func viewing(who desk.Actor, object string) desk.Act {
	a := desk.Act{Actor: who, Action: policy.PeersView, Resource: policy.Resource{Type: policy.KindPeer, ID: object}}
	if slices.Contains(who.Roles, policy.Auditor) {
		a.Action, a.Resource.Type = policy.AuditVerify, policy.KindAudit
	}
	return a
}

func viewed(object, event string) protocol.AuditEntry {
	return protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: "witness", Object: object, Event: event}}
}

// Status says how witnessing stands.
func (s *Service) Status(ctx context.Context, who desk.Actor) (*Status, error) {
	return desk.Read(ctx, s.o.Desk, viewing(who, ""), viewed("", "state of witnessing viewed"), s.status)
}

func (s *Service) status(tx *store.Tx) (*Status, error) {
	out := &Status{Origin: s.o.Own.Name(), Witnesses: []WitnessState{}, Logs: []LogState{}, Alarms: []Alarm{}}
	own, err := s.checkpoint(tx)
	if err != nil {
		return nil, err
	}
	out.Entries = own.N
	ring, r, err := s.keyring()
	if err != nil {
		return out, nil //nolint:nilerr // nobody is there to witness
	}
	asked := s.witnesses(r)
	out.Wanted = s.wanted(len(asked))
	chosen := s.chosen(r, s.o.Own.Name(), s.country, s.o.Chosen)
	for _, c := range asked {
		w := WitnessState{Country: c, Named: !slices.Contains(chosen, c), Connected: s.o.Connected(c), Asked: s.moment(s.asked, c)}
		g, err := optional(tx, Givens, string(c))
		if err != nil {
			return nil, err
		}
		if g != nil {
			w.Size, w.At, w.Fault, w.Failed = g.Size, g.At, g.Fault, g.Failed
		}
		if !w.Asked.IsZero() && (out.Asked == nil || w.Asked.After(out.Asked.At)) {
			out.Asked = &Asked{c, w.Asked}
		}
		out.Witnesses = append(out.Witnesses, w)
	}
	if out.Cosigned, err = s.best(tx, ring, out.Wanted); err != nil {
		return nil, err
	}
	for _, log := range ring.Logs() {
		if log.Country == string(s.country) {
			continue
		}
		l, err := s.logState(tx, log)
		if err != nil {
			return nil, err
		}
		m, ok := r.ByCountry(log.Country)
		l.Chosen = ok && m.Active(s.o.Now()) && slices.Contains(s.chosen(r, log.Origin(), l.Country, rules.Chosen), s.country)
		out.Logs = append(out.Logs, l)
	}
	for _, r := range unexplained(tx, ring) {
		out.Alarms = append(out.Alarms, Alarm{Country: r.Country, Text: r.Text(), At: r.At, From: r.From, ID: r.ID, Acknowledged: r.Acknowledged})
	}
	slices.SortStableFunc(out.Alarms, func(a, b Alarm) int {
		if (a.Acknowledged == nil) == (b.Acknowledged == nil) {
			return 0
		}
		if a.Acknowledged == nil {
			return -1
		}
		return 1
	})
	if out.Memory, err = s.memoryView(tx, r); err != nil {
		return nil, err
	}
	return out, tx.Err()
}

func (s *Service) logState(tx *store.Tx, log rules.Log) (LogState, error) {
	l := LogState{Country: protocol.Country(log.Country)}
	h, err := optional(tx, Holdings, log.Country)
	if err != nil {
		return l, err
	}
	if h != nil && h.LogKey == log.Key {
		l.Size, l.Since, l.At, l.Restores, l.Owed = h.Size, h.Since, h.At, len(h.Restores), len(h.Owed)
		if seen := s.moment(s.seen, l.Country); seen.After(l.At) {
			l.At = seen
		}
		if h.RefusedAt.After(h.At) {
			l.Refused = h.Refused
		}
	}
	for _, r := range Evidences.By(tx, "country", log.Country) {
		l.Evidence++
		switch {
		case r.Explained != "" || r.LogKey != log.Key:
		case r.Acknowledged == nil:
			l.Alarms++
		default:
			l.Noted++
		}
	}
	return l, tx.Err()
}

// moment reads one of the times that are remembered since the start.
func (s *Service) moment(of map[protocol.Country]time.Time, c protocol.Country) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return of[c]
}

func (s *Service) memoryView(tx *store.Tx, r *roster.Roster) (*MemoryView, error) {
	m, err := s.memory(tx)
	if err != nil || m == nil {
		return nil, err
	}
	out := &MemoryView{Why: m.Why, Since: m.Since, Missing: []protocol.Country{}}
	for _, e := range r.Active(s.o.Now()) {
		if c := protocol.Country(e.Country); c != s.country && m.Heard[c].IsZero() {
			out.Missing = append(out.Missing, c)
		}
	}
	return out, nil
}

// best is the newest checkpoint with as many cosignatures as are wanted, else the one with most; nil where there is none. What it carries is verified again
// by the roster in force.
func (s *Service) best(tx *store.Tx, ring *rules.Keyring, wanted int) (*CosignedView, error) {
	var found *Cosigned
	for _, k := range Checkpoints.All(tx) {
		if found == nil || min(len(k.By), wanted) >= min(len(found.By), wanted) {
			found = k
		}
	}
	if err := tx.Err(); err != nil || found == nil || len(found.By) == 0 {
		return nil, err
	}
	c, err := rules.OpenCheckpoint(found.Note, s.o.Own)
	if err != nil {
		return nil, fmt.Errorf("cosigned checkpoint of %s: %w", entries(found.Size), err)
	}
	var by []rules.Cosignature
	for _, w := range found.By {
		if sig, err := ring.Cosigned(c, w.Country, w.Line); err == nil { // a witness whose key was changed since counts no more
			by = append(by, sig)
		}
	}
	return &CosignedView{Size: c.N, By: by, Enough: len(by) >= wanted, Note: rules.Assemble(c, by)}, nil
}

// Best is this node's best cosigned checkpoint, for those who prove entries by it; nil where no witness has cosigned yet.
func (s *Service) Best(tx *store.Tx) (*CosignedView, error) {
	ring, r, err := s.keyring()
	if err != nil {
		return nil, err
	}
	return s.best(tx, ring, s.wanted(len(s.witnesses(r))))
}

// Save gives this node's best cosigned checkpoint.
func (s *Service) Save(ctx context.Context, who desk.Actor) (*CosignedView, error) {
	entry := viewed("", "cosigned checkpoint of the audit log taken out")
	entry.Action = protocol.ActDisclose
	return desk.Read(ctx, s.o.Desk, viewing(who, ""), entry, func(tx *store.Tx) (*CosignedView, error) {
		c, err := s.Best(tx)
		if err == nil && c == nil {
			err = desk.NotFound("no member has cosigned a checkpoint of this node yet: `proofmark witness status` shows whom it asks and what they say")
		}
		return c, err
	})
}

// Show says all that is known here of one country's log; of this node's own what others have proved against it.
func (s *Service) Show(ctx context.Context, who desk.Actor, country string) (*LogView, error) {
	c, err := protocol.ParseCountry(country)
	if err != nil {
		return nil, desk.Invalid("%v: name a member by its code, such as FR", err)
	}
	return desk.Read(ctx, s.o.Desk, viewing(who, country), viewed(country, "what is known of an audit log viewed"), func(tx *store.Tx) (*LogView, error) {
		ring, _, err := s.keyring()
		if err != nil {
			return nil, desk.NotFound("no roster is in force, so nobody's log is known: `proofmark join` says how to install one")
		}
		log, ok := ring.Log(string(c))
		if !ok {
			return nil, desk.NotFound("%s is not in the roster in force: `proofmark witness status` lists the members", c)
		}
		return s.logView(tx, log)
	})
}

func (s *Service) logView(tx *store.Tx, log rules.Log) (*LogView, error) {
	out := &LogView{Origin: log.Origin(), LogKey: log.Key, Evidence: []RecordView{}, Restores: []Restore{}}
	var err error
	if out.LogState, err = s.logState(tx, log); err != nil {
		return nil, err
	}
	h, err := optional(tx, Holdings, log.Country)
	if err != nil {
		return nil, err
	}
	if h != nil && h.LogKey == log.Key {
		out.Note, out.Restores, out.OldKeys = h.Note, append(out.Restores, h.Restores...), h.OldKeys
	}
	var list []Record
	for _, r := range Evidences.By(tx, "country", log.Country) {
		list = append(list, *r)
	}
	sortRecords(list)
	for _, r := range list {
		out.Evidence = append(out.Evidence, RecordView{r, r.Text()})
	}
	return out, tx.Err()
}
