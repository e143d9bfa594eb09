package membership

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"proofmark/crypto/roster"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Fork is a roster beside the one that this node goes by: of the same version or a later one, and signed by as many key holders as it needs.
// Holders who sign two rosters of one version lie to somebody, so it is kept as evidence.
type Fork struct {
	Version     int       `json:"version"`
	Hash        string    `json:"hash"`
	Previous    string    `json:"previous"`
	Fingerprint string    `json:"fingerprint"`
	Signers     []string  `json:"signers"`
	Blob        string    `json:"blob"` // the document's bytes
	Met         time.Time `json:"met"`
	From        string    `json:"from"` // the member, person or table that it came from

	Ours            string   `json:"ours,omitempty"` // hash of this node's roster of the version, if it had one
	OursFingerprint string   `json:"ours_fingerprint,omitempty"`
	OursSigners     []string `json:"ours_signers,omitempty"`

	ResolvedBy int `json:"resolved_by,omitempty"` // the version in which the key holders decided; 0: open
}

// maxForks bounds the evidence: more of it proves nothing more.
const maxForks = 32

var forks = store.NewCollection[Fork]("roster-fork")

func forkID(f *Fork) string { return versionID(f.Version) + "-" + f.Hash }

func (st *state) loadForks(tx *store.Tx) error {
	for _, f := range forks.All(tx) {
		st.forks = append(st.forks, *f)
	}
	return tx.Err()
}

// Forks are the rosters beside the one in force that were met, open ones and those that are decided.
func (s *Service) Forks() []Fork { return slices.Clone(s.now.Load().forks) }

// open are the forks that nobody has decided about.
func (st *state) open() []Fork {
	return slices.DeleteFunc(slices.Clone(st.forks), func(f Fork) bool { return f.ResolvedBy > 0 })
}

// admit cuts verified versions off where they must wait for people or for time, and says why. fresh follow what is in force.
func (s *Service) admit(st *state, fresh []document) ([]document, error, error) {
	now, err := s.clock()
	if err != nil {
		return nil, nil, err
	}
	rejected := map[string]bool{}
	for _, d := range fresh {
		for _, h := range d.Roster().Rejects {
			rejected[h] = true
		}
	}
	for _, f := range st.forks { // in the order of their versions: what followed a rejected one goes with it
		rejected[f.Hash] = rejected[f.Hash] || rejected[f.Previous]
	}
	for i, d := range fresh {
		for _, f := range st.open() {
			beside := f.Version == d.version && f.Hash != d.hash || f.Version == d.version-1 && f.Hash != d.Roster().Previous
			if beside && !rejected[f.Hash] {
				return fresh[:i], refuse("fork-open", d, desk.Conflict("roster version %d waits: there are two rosters of version %d, and it does not say that it rejects the one with the fingerprint %s. "+
					"The key holders decide: proofmark roster next FILE --reject OTHER --out FILE2", d.version, f.Version, f.Fingerprint)), nil
			}
		}
		if due, country := st.early(fresh[:i], d, now); !due.IsZero() {
			return fresh[:i], refuse("override-early", d, desk.Conflict("roster version %d waits: it puts other keys in the place of those of %s without its consent, and this node has to have known of that for %d days. It can come into force on %s, in %d days",
				d.version, country, roster.OverrideDelay/(24*time.Hour), due.Format(dateFormat), days(now, due))), nil
		}
	}
	return fresh, nil, nil
}

// evidence finds what its key holders signed beside what this node has. docs are in the order of parse.
func (s *Service) evidence(st *state, docs []document, from string) ([]Fork, error) {
	if st.version() == 0 {
		return nil, nil
	}
	var found []Fork
	others := map[string]*roster.Document{}
	for _, d := range docs {
		if slices.ContainsFunc(st.forks, func(f Fork) bool { return f.Hash == d.hash }) {
			others[d.hash] = d.Document
			continue
		}
		beside, err := s.beside(st, d, docs, others)
		if err != nil {
			return nil, err
		}
		if !beside || len(st.forks)+len(found) >= maxForks {
			continue
		}
		others[d.hash] = d.Document
		f := Fork{Version: d.version, Hash: d.hash, Previous: d.Roster().Previous, Fingerprint: d.Fingerprint(), Signers: signers(d.Document), From: from, Blob: string(d.raw)}
		if d.version <= st.version() {
			ours, err := s.document(st, d.version)
			if err != nil {
				return nil, err
			}
			f.Ours, f.OursFingerprint, f.OursSigners = ours.Hash(), ours.Fingerprint(), signers(ours)
		}
		found = append(found, f)
	}
	return found, nil
}

// beside tells whether a document is properly signed and not part of this node's chain, nor simply its next version.
func (s *Service) beside(st *state, d document, docs []document, others map[string]*roster.Document) (bool, error) {
	if d.version < 2 || d.version <= st.version() && st.versions[d.version-1].Hash == d.hash {
		return false, nil
	}
	previous := d.Roster().Previous
	var prev *roster.Document
	switch {
	case d.version-1 <= st.version() && st.versions[d.version-2].Hash == previous:
		var err error
		if prev, err = s.document(st, d.version-1); err != nil {
			return false, err
		}
		if d.version == st.version()+1 { // the next version, unless there are two of it
			twin := func(o document) bool {
				if o.version != d.version || o.hash == d.hash {
					return false
				}
				_, err := o.VerifyNext(prev)
				return err == nil
			}
			if !slices.ContainsFunc(docs, twin) {
				return false, nil
			}
		}
	case others[previous] != nil:
		prev = others[previous]
	default:
		i := slices.IndexFunc(st.forks, func(f Fork) bool { return f.Hash == previous })
		if i < 0 {
			return false, nil
		}
		var err error
		if prev, err = s.stored(st.forks[i].Blob); err != nil {
			return false, err
		}
	}
	_, err := d.VerifyNext(prev)
	return err == nil, nil
}

// document reads an installed version.
func (s *Service) document(st *state, version int) (*roster.Document, error) {
	if version == st.version() {
		return st.document, nil
	}
	return s.stored(st.versions[version-1].Blob)
}

func (s *Service) stored(blob string) (*roster.Document, error) {
	var d *roster.Document
	err := s.desk.Store.View(func(tx *store.Tx) error {
		b, err := tx.Blob(blob)
		if err != nil {
			return err
		}
		d, err = roster.Parse(b)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read a roster that was kept: %w", err)
	}
	return d, nil
}

func signers(d *roster.Document) []string {
	var out []string
	for _, s := range d.Signatures() {
		if s.Name != "" {
			out = append(out, s.Name)
		}
	}
	return out
}

// keep makes evidence durable and known. The install lock is held.
func (s *Service) keep(ctx context.Context, found []Fork) error {
	if len(found) == 0 {
		return nil
	}
	return s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		st := *s.now.Load()
		st.forks = slices.Clone(st.forks)
		if err := st.keep(tx, found); err != nil {
			return err
		}
		tx.OnCommit(func() { s.now.Store(&st) })
		return nil
	})
}

func (st *state) keep(tx *store.Tx, found []Fork) error {
	for _, f := range found {
		blob, err := tx.PutBlob([]byte(f.Blob))
		if err != nil {
			return fmt.Errorf("keep the other roster of version %d: %w", f.Version, err)
		}
		f.Blob, f.Met = blob, tx.Now()
		if err := forks.Put(tx, forkID(&f), &f); err != nil {
			return fmt.Errorf("keep the other roster of version %d: %w", f.Version, err)
		}
		st.forks = append(st.forks, f)
		slices.SortStableFunc(st.forks, func(a, b Fork) int { return a.Version - b.Version })
		tx.Audit(protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActDeny, Decision: "deny", Ground: "fork"},
			AuditBody: protocol.AuditBody{Actor: "node", Kind: policy.KindRoster, Object: f.Hash, Event: fmt.Sprintf("another roster of version %d, from %s, kept as evidence", f.Version, f.From),
				Details: map[string]string{"fingerprint": f.Fingerprint, "signers": strings.Join(f.Signers, ", "), "ours": f.Ours, "ours_signers": strings.Join(f.OursSigners, ", ")}},
		})
	}
	return nil
}

// resolve marks the forks that new versions have decided about: those they reject, and what followed these. What has come into force itself is no
// fork any more.
func (st *state) resolve(tx *store.Tx, fresh []document) error {
	ours, gone := map[string]bool{}, map[string]bool{}
	for _, d := range fresh {
		ours[d.hash] = true
		for _, h := range d.Roster().Rejects {
			gone[h] = true
		}
	}
	var left []Fork
	for _, f := range st.forks { // in the order of their versions
		if ours[f.Hash] {
			if err := forks.Delete(tx, forkID(&f)); err != nil {
				return fmt.Errorf("the other roster of version %d is in force now: %w", f.Version, err)
			}
			continue
		}
		if f.ResolvedBy == 0 && (gone[f.Hash] || gone[f.Previous]) {
			f.ResolvedBy = st.version()
			if err := forks.Put(tx, forkID(&f), &f); err != nil {
				return fmt.Errorf("note the decision about the other roster of version %d: %w", f.Version, err)
			}
		}
		gone[f.Hash] = gone[f.Hash] || gone[f.Previous]
		left = append(left, f)
	}
	st.forks = left
	return nil
}

func (st *state) forkWarnings() []string {
	var list []string
	for _, f := range st.open() {
		w := fmt.Sprintf("There are two rosters of version %d, each signed by enough key holders. The other one, met on %s from %s, has the fingerprint %s and the signatures of %s. ",
			f.Version, f.Met.Format(dateFormat), f.From, f.Fingerprint, strings.Join(f.Signers, ", "))
		if f.Ours != "" {
			w += fmt.Sprintf("This node stays with the fingerprint %s, signed by %s. ", f.OursFingerprint, strings.Join(f.OursSigners, ", "))
		} else {
			w += "This node has installed none of that version. "
		}
		list = append(list, w+askHolders)
	}
	return list
}

func (s *Service) clock() (now time.Time, err error) {
	err = s.desk.Store.View(func(tx *store.Tx) error {
		now = tx.Now()
		return nil
	})
	return now, err
}
