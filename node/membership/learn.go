package membership

import (
	"bytes"
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

// Learned tells what came of rosters that arrived over the network.
type Learned struct {
	Added int // versions that came into force
	Forks int // other rosters that were kept as evidence
	Held  error
}

// ErrNotJoined: rosters that arrive by themselves are believed only by a node that has joined a federation with its anchor.
var ErrNotJoined = errors.New("this node has joined no federation: proofmark join --anchor HASH")

// Learn takes in rosters that a member sent, or that the members' table holds: versions that follow the one in force come into force, what was
// signed beside it is kept as evidence, and everything else is refused. from says where they came from.
func (s *Service) Learn(ctx context.Context, from string, documents [][]byte) (Learned, error) {
	docs, err := parse(documents, s.now.Load().roster)
	if err != nil {
		return Learned{}, err
	}
	out, err := s.learn(ctx, from, docs)
	if out.Added > 0 {
		s.changed()
	}
	return out, err
}

func (s *Service) learn(ctx context.Context, from string, docs []document) (Learned, error) {
	s.install.Lock()
	defer s.install.Unlock()
	before := s.now.Load()
	if before.version() == 0 {
		return Learned{}, ErrNotJoined
	}
	found, err := s.evidence(before, docs, from)
	if err != nil {
		return Learned{}, err
	}
	if err := s.keep(ctx, found); err != nil {
		return Learned{}, err
	}
	before = s.now.Load()
	fresh, refusal := follow(before, docs)
	fresh, held, err := s.admit(before, fresh)
	if err != nil {
		return Learned{Forks: len(found)}, err
	}
	out := Learned{Added: len(fresh), Forks: len(found), Held: held}
	if len(fresh) > 0 {
		err = s.desk.Store.Update(ctx, func(tx *store.Tx) error {
			after, err := before.with(tx, desk.Node.Name, fresh)
			if err != nil {
				return err
			}
			audit(tx, desk.Node.Name, from, after)
			tx.OnCommit(func() { s.now.Store(after) })
			return nil
		})
		if err != nil {
			return Learned{Forks: len(found)}, fmt.Errorf("roster from %s: %w", from, err)
		}
	}
	if refusal != nil && len(found) == 0 {
		return out, errors.Join(refusal, s.recordForeign(ctx, from, refusal))
	}
	return out, nil
}

// What a roster is beside those in force.
const (
	Foreign = iota // none of the others: not signed by enough holders, or not to be judged here
	InForce        // a version of the chain in force
	Next           // follows the version in force, signed by enough of its holders
	Beside         // signed by enough holders, beside the chain in force: a fork
)

// Judge tells which version a roster says it is, and what it is beside those in force; it changes nothing.
func (s *Service) Judge(raw []byte) (version, verdict int, err error) {
	st := s.now.Load()
	if st.version() > 0 && bytes.Equal(raw, st.raw) {
		return st.version(), InForce, nil // most of what the members' table shows: it is not kept twice
	}
	d, err := s.judged.read(raw, st.roster)
	if err != nil {
		return 0, Foreign, err
	}
	verdict, err = s.judge(d)
	return d.version, verdict, err
}

func (s *Service) judge(d document) (int, error) {
	st := s.now.Load()
	switch {
	case st.version() == 0:
		return Foreign, nil
	case d.version <= st.version() && st.versions[d.version-1].Hash == d.hash:
		return InForce, nil
	case d.version == st.version()+1 && d.Roster().Previous == st.hash():
		if _, err := d.VerifyNext(st.document); err != nil {
			return Foreign, err
		}
		return Next, nil
	case slices.ContainsFunc(st.forks, func(f Fork) bool { return f.Hash == d.hash }):
		return Beside, nil
	}
	beside, err := s.beside(st, d, []document{d}, nil)
	if beside {
		return Beside, err
	}
	return Foreign, err
}

// follow picks the versions that come next, each verified against the one before, and says why the first of the rest does not.
func follow(st *state, docs []document) (fresh []document, refusal error) {
	prev := st.document
	for _, d := range docs {
		switch {
		case slices.ContainsFunc(st.forks, func(f Fork) bool { return f.Hash == d.hash }) && d.Roster().Previous != prev.Hash():
			// known as evidence
		case d.version <= st.version():
			if d.hash != st.versions[d.version-1].Hash && refusal == nil {
				refusal = refuse("fork", d, desk.Conflict("it has another roster of version %d, with the fingerprint %s, that its key holders have not signed", d.version, d.Fingerprint()))
			}
		case d.version == st.version()+len(fresh)+1 && d.Roster().Previous == prev.Hash():
			if _, err := d.VerifyNext(prev); err != nil {
				ground, _ := explain(err)
				return fresh, refuse(ground, d, desk.Conflict("roster version %d: %v", d.version, err))
			}
			fresh, prev = append(fresh, d), d.Document
		case refusal == nil:
			refusal = refuse("broken-chain", d, desk.Conflict("roster version %d does not follow version %d of this node", d.version, st.version()+len(fresh)))
		}
	}
	return fresh, refusal
}

// recordForeign audits what a member sent and was refused, once an hour for each: a hostile member cannot fill the log.
func (s *Service) recordForeign(ctx context.Context, from string, err error) error {
	now, cerr := s.clock()
	if cerr != nil {
		return cerr
	}
	s.mu.Lock()
	last, known := s.refused[from]
	if known && now.Sub(last) < time.Hour {
		s.mu.Unlock()
		return nil
	}
	s.refused[from] = now
	s.mu.Unlock()
	var r *refusal
	if !errors.As(err, &r) {
		return nil
	}
	return s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		tx.Audit(protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActDeny, Decision: "deny", Ground: r.ground, Counterpart: counterpart(from)},
			AuditBody:   protocol.AuditBody{Actor: desk.Node.Name, Kind: policy.KindRoster, Object: r.hash, Event: fmt.Sprintf("roster version %d from %s refused", r.version, from)},
		})
		return nil
	})
}

// counterpart is the country that something came from, empty for what came from no single one.
func counterpart(from string) string {
	if _, err := protocol.ParseCountry(from); err != nil {
		return ""
	}
	return from
}

// Resolve brings into force what the key holders decided after a fork. documents are the version that rejects one of two rosters, and what lies
// between where this node does not have it. On the side that it follows this is an installation. On the other side the versions that were
// rejected leave their places and are kept as evidence; for that the decision must name this node's roster, must be signed by enough holders of
// both sides, and must be of a later version than the one in force.
func (s *Service) Resolve(ctx context.Context, actor desk.Actor, key string, documents [][]byte) (*Installed, error) {
	if err := s.MayInstall(ctx, actor); err != nil {
		return nil, err
	}
	act := desk.Act{Actor: actor, Key: key, Action: policy.RosterManage, Resource: policy.Resource{Type: policy.KindRoster}}
	docs, err := parse(documents, s.now.Load().roster)
	if err != nil {
		return nil, err
	}
	act.Request = request(docs, "resolve")
	var in *Installed
	changed := true
	if first := s.now.Load().rejectedVersion(docs); first == 0 {
		in, changed, err = s.put(ctx, act, docs, "")
	} else {
		in, err = s.changeSides(ctx, act, docs, first)
	}
	if err == nil && changed {
		s.changed()
	}
	return in, err
}

// rejectedVersion is the first of this node's versions that one of the documents rejects, 0 if none does.
func (st *state) rejectedVersion(docs []document) int {
	for _, v := range st.versions {
		for _, d := range docs {
			if slices.Contains(d.Roster().Rejects, v.Hash) {
				return v.Version
			}
		}
	}
	return 0
}

func (s *Service) changeSides(ctx context.Context, act desk.Act, docs []document, first int) (*Installed, error) {
	s.install.Lock()
	defer s.install.Unlock()
	before := s.now.Load()
	if before.rejectedVersion(docs) != first {
		return nil, desk.Conflict("another roster came into force meanwhile: look at it with `proofmark roster show`")
	}
	chain, refusal := s.otherSide(before, docs, first)
	in, err := desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Installed, error) {
		if refusal != nil {
			return nil, refusal
		}
		left, err := before.leave(tx, first)
		if err != nil {
			return nil, err
		}
		after, err := left.with(tx, act.Actor.Name, chain)
		if err != nil {
			return nil, err
		}
		last := chain[len(chain)-1]
		tx.Audit(protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActAdminister, Decision: "permit"},
			AuditBody: protocol.AuditBody{Actor: act.Actor.Name, Kind: policy.KindRoster, Object: last.hash,
				Event:   fmt.Sprintf("roster version %d installed; version %d and what followed it here was rejected by the key holders", last.version, first),
				Details: map[string]string{"rejected": before.versions[first-1].Hash, "left": before.hash()}},
		})
		tx.OnCommit(func() { s.now.Store(after) })
		return s.describe(after, len(chain), tx.Now()), nil
	})
	if refusal != nil {
		err = errors.Join(err, s.recordRefusal(ctx, act.Actor.Name, refusal))
	}
	return in, err
}

// otherSide puts the versions from the fork on together and verifies them. The documents of forks that were met before need not be given again.
func (s *Service) otherSide(st *state, docs []document, first int) ([]document, error) {
	have := map[string]document{}
	for _, f := range st.forks {
		d, err := s.stored(f.Blob)
		if err != nil {
			return nil, err
		}
		raw, err := d.Marshal()
		if err != nil {
			return nil, err
		}
		have[f.Hash] = document{Document: d, raw: raw, version: f.Version, hash: f.Hash}
	}
	for _, d := range docs {
		have[d.hash] = d
	}
	last := docs[len(docs)-1]
	chain := []document{last}
	for chain[0].version > first {
		d, ok := have[chain[0].Roster().Previous]
		if !ok {
			return nil, desk.Invalid("version %d of the other side is needed too: give it together with the decision", chain[0].version-1)
		}
		chain = append([]document{d}, chain...)
	}
	if first < 2 || chain[0].version != first {
		return nil, refuse("broken-chain", last, desk.Conflict("the decision does not follow another roster of version %d: %s", first, askHolders))
	}
	prev, err := s.document(st, first-1)
	if err != nil {
		return nil, err
	}
	rejected, err := s.document(st, first)
	if err != nil {
		return nil, err
	}
	for _, d := range chain {
		if _, err := d.VerifyNext(prev); err != nil {
			ground, advice := explain(err)
			return nil, refuse(ground, d, desk.Conflict("roster version %d is refused: %v. %s", d.version, err, advice))
		}
		prev = d.Document
		if slices.Contains(d.Roster().Rejects, rejected.Hash()) {
			if err := d.SignedBy(rejected); err != nil {
				return nil, refuse("too-few-signatures", d, desk.Conflict("the decision is not signed by enough key holders of the roster that it rejects: %v", err))
			}
		}
	}
	if last.version <= st.version() {
		return nil, refuse("older-version", last, desk.Conflict("the decision is version %d, and version %d is in force here: ask the key holders for one that is later than both", last.version, st.version()))
	}
	return chain, nil
}

// leave takes the versions from first on out of the chain and keeps them as evidence.
func (st *state) leave(tx *store.Tx, first int) (*state, error) {
	left := &state{versions: slices.Clone(st.versions[:first-1]), forks: slices.Clone(st.forks)}
	for _, v := range st.versions[first-1:] {
		raw, err := tx.Blob(v.Blob)
		if err != nil {
			return nil, fmt.Errorf("version %d: %w", v.Version, err)
		}
		docs, err := parse([][]byte{raw}, st.roster)
		if err != nil {
			return nil, err
		}
		d := docs[0]
		f := Fork{Version: v.Version, Hash: v.Hash, Previous: d.Roster().Previous, Fingerprint: v.Fingerprint, Signers: signers(d.Document), Blob: string(raw), From: "this node, installed by " + v.By}
		if err := left.keep(tx, []Fork{f}); err != nil {
			return nil, err
		}
		if err := versions.Delete(tx, versionID(v.Version)); err != nil {
			return nil, err
		}
	}
	return left, nil
}
