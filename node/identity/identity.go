// Package identity owns what this node is to the others: its keys, the new ones and those before them, which of them is in use under the roster in
// force, and what the node says of itself, the entry for the roster's key holders and the announcement of its addresses. It refuses to know how
// rosters are installed, and what is signed with the keys.
package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	libp2pcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/desk"
	"proofmark/node/durable"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// How long things hold.
const (
	EntryYears     = 3
	DefaultOverlap = 30 * 24 * time.Hour  // of an old key with the new one
	MaxOverlap     = 365 * 24 * time.Hour // an old key that is never put down is not rotated
	announced      = 365 * 24 * time.Hour // the roster has to have caught up by then
)

// Options assemble a Service.
type Options struct {
	Desk       *desk.Desk
	Keys       *crypto.Keys
	Seal       func(*crypto.Keys) ([]byte, error)
	KeysPath   string
	MemberPath string
	Name       string // of the bureau
	LogOrigin  string
	Addresses  func() ([]string, error) // under which the configuration says that others reach the node
	Roster     func() *roster.Roster    // in force, nil: none
	Now        func() time.Time
	Random     io.Reader
}

// Service is the node's identity. Its methods may be called from any goroutine.
type Service struct {
	o     Options
	keys  atomic.Pointer[crypto.Keys]
	inUse atomic.Pointer[inUse]
	turn  sync.Mutex // one change at a time
}

// inUse remembers which key signs under a roster.
type inUse struct {
	keys   *crypto.Keys
	roster *roster.Roster
	signer *crypto.Signer
}

// New returns the identity of a node with these keys.
func New(o Options) *Service {
	s := &Service{o: o}
	s.keys.Store(o.Keys)
	return s
}

// Keys are all keys of the node.
func (s *Service) Keys() *crypto.Keys { return s.keys.Load() }

func (s *Service) own() (roster.Standing, bool) {
	r := s.o.Roster()
	if r == nil {
		return roster.Standing{}, false
	}
	return r.ByCountry(string(s.o.Desk.Country))
}

// Signer is the key that documents, batches and receipts are signed with: the youngest that the roster in force lists. A new key is used once the
// others know it. Where none is listed it is the youngest of all.
func (s *Service) Signer() *crypto.Signer {
	keys, r := s.keys.Load(), s.o.Roster()
	if known := s.inUse.Load(); known != nil && known.keys == keys && known.roster == r {
		return known.signer
	}
	signer := s.listedSigner(keys)
	if signer == nil {
		signer = keys.Signer()
	}
	s.inUse.Store(&inUse{keys, r, signer})
	return signer
}

// listedSigner is the youngest key that the roster in force lists, nil if there is none.
func (s *Service) listedSigner(keys *crypto.Keys) *crypto.Signer {
	me, ok := s.own()
	if !ok {
		return nil
	}
	for _, signer := range keys.Signers() {
		if slices.ContainsFunc(me.SigningKeys, func(b json.RawMessage) bool { return bytes.Equal(b, signer.JWK()) }) {
			return signer
		}
	}
	return nil
}

// HostKey is the identity to open the libp2p host with: the youngest that the roster in force lists, otherwise the youngest of all. A host keeps its
// identity until the node is started again.
func (s *Service) HostKey() libp2pcrypto.PrivKey {
	keys := s.keys.Load()
	if me, ok := s.own(); ok {
		for _, k := range keys.HostKeys() {
			if id, err := peer.IDFromPrivateKey(k); err == nil && slices.Contains(me.PeerIDs, id.String()) {
				return k
			}
		}
	}
	return keys.HostKey()
}

// Entry is a new entry for the key holders.
type Entry struct {
	Path      string           `json:"path"` // file to hand to the key holders
	Country   protocol.Country `json:"country"`
	Use       crypto.Use       `json:"use,omitempty"` // of the key that was rotated
	Addresses []string         `json:"addresses"`
	From      time.Time        `json:"from"`
	Until     time.Time        `json:"until"`
	Overlap   time.Time        `json:"overlap,omitzero"` // until when the old key is used beside the new one
	Consent   bool             `json:"consent"`          // an old key signed the entry too
	Again     bool             `json:"again,omitempty"`  // the new key had been made before, and is not listed yet
}

// Rotate makes a new key of one use and an entry with it, signed by the old key too; the old one stays in use until the overlap's end. The new one is
// used as soon as a roster lists it. Where a new key of that use waits to be listed no other is made: the entry is made again.
func (s *Service) Rotate(ctx context.Context, actor desk.Actor, key string, use crypto.Use, overlap time.Duration) (*Entry, error) {
	if use != crypto.ForSigning && use != crypto.ForSealing && use != crypto.ForHost {
		return nil, desk.Invalid("%.20q is no key that is rotated: name %s, %s or %s", use, crypto.ForSigning, crypto.ForSealing, crypto.ForHost)
	}
	if overlap < 24*time.Hour || overlap > MaxOverlap {
		return nil, desk.Invalid("an overlap of %v: want 1 to %d days", overlap, MaxOverlap/(24*time.Hour))
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	me, listed := s.own()
	if !listed {
		return nil, desk.Conflict("%s is not listed in the roster in force: nobody knows its keys yet, and there is nothing to rotate", s.o.Desk.Country)
	}
	if s.listedSigner(s.keys.Load()) == nil {
		return nil, desk.Conflict("the roster lists %s with signing keys that this node does not have: nothing that it signs is believed. If the keys are lost, the key holders announce new ones (roster override)", s.o.Desk.Country)
	}
	act := desk.Act{Actor: actor, Key: key, Action: policy.NodeManage, Resource: policy.Resource{Type: policy.KindNode}, Request: []any{use, overlap}}
	return desk.Do(ctx, s.o.Desk, act, func(tx *store.Tx) (*Entry, error) {
		keys := s.keys.Load()
		again := pending(keys, me.Member, use)
		if !again {
			next, err := keys.Rotate(use, s.o.Random)
			if err != nil {
				return nil, err
			}
			sealed, err := s.o.Seal(next)
			if err != nil {
				return nil, err
			}
			// The new key is on the disk before anything is signed with it; one that is left over by a crash is found as waiting.
			if err := durable.Replace(s.o.KeysPath, sealed, 0o600); err != nil {
				return nil, fmt.Errorf("write the keys: %w", err)
			}
			s.keys.Store(next)
			keys = next
		}
		e, err := s.write(tx, actor, keys, tx.Now().Add(overlap), nil, fmt.Sprintf("new %s key", use))
		if err != nil {
			return nil, err
		}
		e.Use, e.Again = use, again
		if use != crypto.ForSealing {
			e.Overlap = tx.Now().Add(overlap).UTC().Truncate(time.Second)
		}
		return e, nil
	})
}

// pending tells whether the youngest key of a use is not listed.
func pending(keys *crypto.Keys, m roster.Member, use crypto.Use) bool {
	switch use {
	case crypto.ForSigning:
		return !bytes.Equal(m.SigningKeys[0], keys.SigningJWK())
	case crypto.ForSealing:
		return !bytes.Equal(m.SealingKeys[0], keys.SealingJWK())
	}
	id, err := peer.IDFromPrivateKey(keys.HostKey())
	return err == nil && m.PeerIDs[0] != id.String()
}

// Renew makes an entry with the present keys and addresses that is valid anew: before the old one ends, or to have the roster catch up with
// addresses.
func (s *Service) Renew(ctx context.Context, actor desk.Actor, key string) (*Entry, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	act := desk.Act{Actor: actor, Key: key, Action: policy.NodeManage, Resource: policy.Resource{Type: policy.KindNode}, Request: "renew"}
	return desk.Do(ctx, s.o.Desk, act, func(tx *store.Tx) (*Entry, error) {
		return s.write(tx, actor, s.keys.Load(), tx.Now().Add(DefaultOverlap), nil, "entry renewed")
	})
}

// Announcement signs where the node is now, for the members to know at once, and writes an entry that says the same, for the key holders. Without
// addresses those of the configuration are announced.
func (s *Service) Announcement(ctx context.Context, actor desk.Actor, addresses []string) (record string, e *Entry, err error) {
	if len(addresses) == 0 {
		if addresses, err = s.o.Addresses(); err != nil {
			return "", nil, err
		}
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	now := s.o.Now()
	a := roster.AddressRecord{Country: string(s.o.Desk.Country), Addresses: addresses, Issued: now, Until: now.Add(announced)}
	if record, err = roster.SignAddresses(a, s.Signer()); err != nil {
		return "", nil, desk.Invalid("%v", err)
	}
	act := desk.Act{Actor: actor, Action: policy.NodeManage, Resource: policy.Resource{Type: policy.KindNode}}
	e, err = desk.Do(ctx, s.o.Desk, act, func(tx *store.Tx) (*Entry, error) {
		return s.write(tx, actor, s.keys.Load(), tx.Now().Add(DefaultOverlap), addresses, "addresses announced")
	})
	return record, e, err
}

// write signs an entry and writes the file for the key holders.
func (s *Service) write(tx *store.Tx, actor desk.Actor, keys *crypto.Keys, overlap time.Time, addresses []string, event string) (*Entry, error) {
	var err error
	if addresses == nil {
		if addresses, err = s.o.Addresses(); err != nil {
			return nil, err
		}
	}
	entry, consent, m, err := s.sign(keys, addresses, tx.Now(), overlap)
	if err != nil {
		return nil, desk.Invalid("%v", err)
	}
	if err := durable.Replace(s.o.MemberPath, roster.MemberFile(entry, consent), 0o600); err != nil {
		return nil, fmt.Errorf("write the entry: %w", err)
	}
	tx.Audit(protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActAdminister, Decision: "permit"},
		AuditBody: protocol.AuditBody{Actor: actor.Name, Kind: policy.KindNode, Object: m.Country, Event: event,
			Details: map[string]string{"signing": keys.Signer().KeyID(), "peer": m.PeerIDs[0], "addresses": fmt.Sprint(addresses)}},
	})
	return &Entry{Path: s.o.MemberPath, Country: s.o.Desk.Country, Addresses: m.Addresses, From: m.ValidFrom, Until: m.ValidUntil, Consent: consent != ""}, nil
}

// sign makes the entry: the youngest key of each use first, and after it what the roster lists and has not ended. Signing keys stay in it after their
// end, because they prove what was signed with them.
func (s *Service) sign(keys *crypto.Keys, addresses []string, now, overlap time.Time) (entry, consent string, m roster.Member, err error) {
	id, err := peer.IDFromPrivateKey(keys.HostKey())
	if err != nil {
		return "", "", m, err
	}
	m = roster.Member{Country: string(s.o.Desk.Country), Name: s.o.Name, PeerIDs: []string{id.String()}, Addresses: addresses,
		SigningKeys: []json.RawMessage{keys.SigningJWK()}, SealingKeys: []json.RawMessage{keys.SealingJWK()}, LogKey: keys.LogVerifierKey(s.o.LogOrigin),
		ValidFrom: now.UTC().Truncate(time.Second), ValidUntil: now.UTC().Truncate(time.Second).AddDate(EntryYears, 0, 0)}
	me, listed := s.own()
	if listed {
		if !m.ValidFrom.After(me.ValidFrom) { // entries of one second are made by people who correct themselves
			m.ValidFrom = me.ValidFrom.Add(time.Second)
		}
		carry(&m, me.Member, now, overlap.UTC().Truncate(time.Second))
		if old := s.listedSigner(keys); old != nil && old.KeyID() != keys.Signer().KeyID() {
			defer func() {
				if err == nil {
					consent, err = roster.Consent(entry, old)
				}
			}()
		}
	}
	entry, err = roster.SignMember(m, keys.Signer())
	return entry, consent, m, err
}

// carry takes over the listed keys that are older than the current ones, each with its end.
func carry(m *roster.Member, old roster.Member, now, overlap time.Time) {
	end := func(key string) {
		until := overlap
		for _, e := range old.Ends {
			if e.Key == key {
				until = e.Until
			}
		}
		m.Ends = append(m.Ends, roster.KeyEnd{Key: key, Until: until})
	}
	for _, b := range old.SigningKeys {
		_, kid, err := crypto.ParseSigningJWK(b)
		if err == nil && !bytes.Equal(b, m.SigningKeys[0]) && len(m.SigningKeys) < roster.MaxKeys {
			m.SigningKeys = append(m.SigningKeys, b)
			end(kid)
		}
	}
	for _, id := range old.PeerIDs {
		if id != m.PeerIDs[0] && !old.Ended(id, now) && len(m.PeerIDs) < roster.MaxPeerIDs {
			m.PeerIDs = append(m.PeerIDs, id)
			end(id)
		}
	}
}

// Warnings says what waits: keys that the roster does not list yet, a host that goes by an old key. host is the peer ID in use.
func (s *Service) Warnings(now time.Time, host string) []string {
	me, ok := s.own()
	if !ok {
		return nil
	}
	keys := s.keys.Load()
	if s.listedSigner(keys) == nil {
		return nil // that the keys are others is said elsewhere
	}
	var list []string
	for _, use := range []crypto.Use{crypto.ForSigning, crypto.ForSealing, crypto.ForHost} {
		if pending(keys, me.Member, use) {
			list = append(list, fmt.Sprintf("A new %s key waits until a roster lists it: the old one is in use meanwhile. Hand %s to the key holders.", use, s.o.MemberPath))
		}
	}
	if host != "" && me.PeerIDs[0] != host && !pending(keys, me.Member, crypto.ForHost) {
		for _, e := range me.Ends {
			if e.Key == host {
				list = append(list, fmt.Sprintf("The node still goes by its old host key, which ends on %s: start it again before, and it goes by the new one.", e.Until.Format(time.DateOnly)))
			}
		}
	}
	return list
}
