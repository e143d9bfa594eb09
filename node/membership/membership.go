// Package membership owns which roster is in force on this node: it installs what the key holders signed, keeps every version from the
// anchor on, and refuses another federation's, a forked or an older one. It refuses to know what a roster is used for, and how its
// signatures are checked, which is crypto/roster's.
package membership

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"proofmark/crypto/roster"
	"proofmark/node/desk"
	"proofmark/store"
)

// version is one installed version of the roster; its bytes are a blob, so that the list of versions stays small.
type version struct {
	Version     int       `json:"version"`
	Hash        string    `json:"hash"`        // of the roster's content, see roster.Document.Hash
	Fingerprint string    `json:"fingerprint"` // the same for a person's ear
	Blob        string    `json:"blob"`        // the document's bytes
	Installed   time.Time `json:"installed"`
	By          string    `json:"by"`
	First       bool      `json:"first,omitempty"` // part of the first installation: this node had known nothing before
}

var versions = store.NewCollection[version]("roster-version")

func versionID(n int) string { return fmt.Sprintf("%010d", n) } // ids sort as the versions do

// state is what is in force; it is replaced as a whole and never changed. The zero state has no roster.
type state struct {
	versions []version // ascending from version 1, none missing
	document *roster.Document
	roster   *roster.Roster // as the document has it
	inForce  *roster.Roster // with the overrides that are in effect
	raw      []byte
	forks    []Fork
}

func (s *state) version() int { return len(s.versions) }

func (s *state) anchor() string {
	if len(s.versions) == 0 {
		return ""
	}
	return s.versions[0].Hash
}

func (s *state) hash() string {
	if len(s.versions) == 0 {
		return ""
	}
	return s.versions[len(s.versions)-1].Hash
}

// Self is what the node knows of its own identity, to be compared with what the roster says of its country.
type Self struct {
	KeyID  string // of the signing key
	PeerID string // of the libp2p host
}

// Service owns the roster in force. Its methods may be called from any goroutine.
type Service struct {
	desk *desk.Desk
	self func() Self // nil: not known

	now     atomic.Pointer[state]
	judged  readings
	placed  atomic.Pointer[map[string]placed] // addresses that members announced, by country; replaced as a whole
	install sync.Mutex                        // one installation at a time

	mu       sync.Mutex
	onChange []func()
	said     map[string]time.Time // warnings by when they were logged
	refused  map[string]time.Time // members by when a refusal of what they sent was audited
}

// Option adjusts a Service.
type Option func(*Service)

// WithSelf has warnings also say where the roster does not name the keys that this node uses.
func WithSelf(self func() Self) Option { return func(s *Service) { s.self = self } }

// New loads what was installed before.
func New(d *desk.Desk, options ...Option) (*Service, error) {
	s := &Service{desk: d, said: map[string]time.Time{}, refused: map[string]time.Time{}}
	for _, o := range options {
		o(s)
	}
	err := d.Store.View(func(tx *store.Tx) error {
		st, err := load(tx)
		s.now.Store(st)
		if err != nil {
			return err
		}
		return s.loadPlaced(tx)
	})
	if err != nil {
		return nil, fmt.Errorf("load the installed roster: %w", err)
	}
	return s, nil
}

// errDamaged says that the store holds something that was not installed by this package.
var errDamaged = errors.New("the installed rosters contradict each other: restore the data folder from a backup, then verify the audit log")

func load(tx *store.Tx) (*state, error) {
	st := &state{}
	for _, v := range versions.All(tx) {
		st.versions = append(st.versions, *v)
		if v.Version != len(st.versions) {
			return st, fmt.Errorf("version %d is followed by %d: %w", len(st.versions)-1, v.Version, errDamaged)
		}
	}
	if err := tx.Err(); err != nil || len(st.versions) == 0 {
		return st, err
	}
	last := st.versions[len(st.versions)-1]
	raw, err := tx.Blob(last.Blob)
	if err != nil {
		return st, fmt.Errorf("version %d: %w", last.Version, err)
	}
	st.raw = raw
	if st.document, err = roster.Parse(raw); err != nil {
		return st, fmt.Errorf("version %d: %w", last.Version, err)
	}
	if st.document.Hash() != last.Hash {
		return st, fmt.Errorf("version %d has another hash than when it was installed: %w", last.Version, errDamaged)
	}
	st.roster = st.document.Roster()
	if err := st.loadForks(tx); err != nil {
		return st, err
	}
	st.settle(tx.Now())
	return st, nil
}

// Current is the roster in force, with the overrides that are in effect; nil if there is none. It must not be changed. It takes no lock.
func (s *Service) Current() *roster.Roster { return s.now.Load().inForce }

// Hash is the hash of the roster in force, "" if there is none.
func (s *Service) Hash() string { return s.now.Load().hash() }

// Anchor is the hash of version 1, "" if there is no roster.
func (s *Service) Anchor() string { return s.now.Load().anchor() }

// Document is the roster in force as its signed file, nil if there is none. It must not be changed.
func (s *Service) Document() []byte { return s.now.Load().raw }

// Chain gives the signed files of all versions from 1 on: what a newcomer needs besides the anchor.
func (s *Service) Chain() ([][]byte, error) { return s.chain(0, math.MaxInt, math.MaxInt) }

// After gives the signed files of the versions that follow one, as many as one installation takes.
func (s *Service) After(version int) ([][]byte, error) {
	return s.chain(version, MaxDocuments, MaxBytes)
}

// Hashes are those of all versions in force, from 1 on.
func (s *Service) Hashes() []string {
	st := s.now.Load()
	out := make([]string, len(st.versions))
	for i, v := range st.versions {
		out[i] = v.Hash
	}
	return out
}

func (s *Service) chain(after, most, room int) ([][]byte, error) {
	st := s.now.Load()
	var chain [][]byte
	err := s.desk.Store.View(func(tx *store.Tx) error {
		for _, v := range st.versions[min(max(after, 0), len(st.versions)):] {
			b, err := tx.Blob(v.Blob)
			if err != nil {
				return fmt.Errorf("version %d: %w", v.Version, err)
			}
			if room -= len(b); room < 0 || len(chain) == most {
				return nil
			}
			chain = append(chain, b)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the chain of rosters: %w", err)
	}
	return chain, nil
}

// OnChange has f called after another roster came into force, on the goroutine of whoever installed it. It should return soon.
func (s *Service) OnChange(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onChange = append(s.onChange, f)
}

func (s *Service) changed() {
	s.mu.Lock()
	calls := slices.Clone(s.onChange)
	s.mu.Unlock()
	for _, f := range calls {
		f()
	}
}
