package membership

import (
	"fmt"
	"time"

	"proofmark/crypto/roster"
)

// due is when an override takes effect at this node: it has to have been public here for its days, whatever day the key holders wrote into it.
// A node that joined with it had known no other keys before.
func (st *state) due(o roster.Override) time.Time {
	if o.Version < 1 || o.Version > st.version() {
		return o.Due()
	}
	v := st.versions[o.Version-1]
	if here := v.Installed.Add(roster.OverrideDelay); !v.First && here.After(o.Due()) {
		return here
	}
	return o.Due()
}

// early tells from when on a version may be installed that lists the entry of an override; the zero time if it may be now. before are the new
// versions that come before it.
func (st *state) early(before []document, d document, now time.Time) (due time.Time, country string) {
	if st.version() == 0 {
		return time.Time{}, ""
	}
	prev := st.roster
	if len(before) > 0 {
		prev = before[len(before)-1].Roster()
	}
	entries := map[string]string{}
	for _, l := range d.Roster().Members {
		entries[l.Country] = l.Entry
	}
	for _, a := range prev.Announced() {
		if entries[a.Member.Country] != a.Entry {
			continue
		}
		at := st.due(a.Override)
		if a.Version > st.version() { // this node hears of it only now
			at = now.Add(roster.OverrideDelay)
		}
		if now.Before(at) {
			return at, a.Member.Country
		}
	}
	return time.Time{}, ""
}

// settle works out what is in force at the time.
func (st *state) settle(now time.Time) {
	if st.roster != nil {
		st.inForce = st.roster.Effective(now, st.due)
	}
}

// Tick has what depends on the time take effect, and logs each warning once a day. It is called every minute or so.
func (s *Service) Tick() error {
	now, err := s.clock()
	if err != nil {
		return err
	}
	if s.tick(now) {
		s.changed()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.Warnings(now) {
		if s.desk.Log != nil && now.Sub(s.said[w]) >= 24*time.Hour {
			s.desk.Log.Warn("roster: " + w)
			s.said[w] = now
		}
	}
	for w, at := range s.said {
		if now.Sub(at) > 48*time.Hour {
			delete(s.said, w)
		}
	}
	return nil
}

func (s *Service) tick(now time.Time) (changed bool) {
	s.install.Lock()
	defer s.install.Unlock()
	st := *s.now.Load()
	if st.roster == nil {
		return false
	}
	before := len(st.inForce.Announced())
	st.settle(now)
	if len(st.inForce.Announced()) == before {
		return false
	}
	s.now.Store(&st)
	return true
}

func (st *state) overrideWarnings(now time.Time) []string {
	var list []string
	for _, a := range st.inForce.Announced() {
		at := st.due(a.Override)
		list = append(list, fmt.Sprintf("The key holders announce other keys for %s, which is said to have lost its own: since version %d, in effect from %s, in %d days. If %s has not lost its keys, tell the key holders now.",
			a.Member.Country, a.Version, at.Format(dateFormat), days(now, at), a.Member.Country))
	}
	return list
}

// Figures are what machines watch.
type Figures struct {
	Version    int
	ValidUntil time.Time // of the roster
	EntryUntil time.Time // of this country's entry; zero if it is not listed
	Forks      int       // open
	Overrides  int       // announced, not in effect
	Held       bool      // the roster's grace is over: documents wait
}

// Figures of the roster in force; the zero value without one.
func (s *Service) Figures() Figures {
	st := s.now.Load()
	if st.version() == 0 {
		return Figures{}
	}
	f := Figures{Version: st.version(), ValidUntil: st.roster.ValidUntil, Forks: len(st.open()), Overrides: len(st.inForce.Announced())}
	if me, ok := st.inForce.ByCountry(string(s.desk.Country)); ok {
		f.EntryUntil = me.ValidUntil
	}
	if now, err := s.clock(); err == nil {
		f.Held = st.roster.Held(now)
	}
	return f
}
