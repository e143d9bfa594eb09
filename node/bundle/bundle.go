// Package bundle carries the exchange on a medium where no network reaches: what a batch would take over the wire, sealed for its one recipient. It owns
// the sealing and who may do it; what a bundle holds, and what becomes of it, is dispatch's.
package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// MaxFile bounds a sealed bundle: base64 of MaxBundle, and its headers.
const MaxFile = protocol.MaxBundle*4/3 + 4<<10

// maxHead bounds what is read of a file's first part to say what it is.
const maxHead = 4096

// Service makes and reads bundles for one country.
type Service struct {
	desk     *desk.Desk
	dispatch *dispatch.Dispatch
	roster   func() *roster.Roster // nil while none is installed
	keys     func() *crypto.Keys
}

// New returns a Service.
func New(d *desk.Desk, mail *dispatch.Dispatch, r func() *roster.Roster, keys func() *crypto.Keys) *Service {
	return &Service{desk: d, dispatch: mail, roster: r, keys: keys}
}

// Exported is a bundle ready for a medium.
type Exported struct {
	To protocol.Country `json:"to"`
	dispatch.Bundled
	SHA256 string `json:"sha256"` // of the file, hex
	File   string `json:"file"`   // compact JWE
}

// Export makes a bundle for a member. Doing it again makes another one with at least the same content, until the member's receipt comes back.
func (s *Service) Export(ctx context.Context, who desk.Actor, to string) (*Exported, error) {
	peer, err := protocol.ParseCountry(to)
	if err != nil {
		return nil, desk.Invalid("%v", err)
	}
	act := desk.Act{Actor: who, Action: policy.BundleExport, Resource: policy.Resource{Type: policy.KindPeer, ID: string(peer)}}
	entry := protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActDisclose, Counterpart: string(peer), Ground: "policy"},
		AuditBody: protocol.AuditBody{Kind: "bundle", Object: string(peer), Event: "bundle exported"}}
	if _, err := desk.Read(ctx, s.desk, act, entry, func(*store.Tx) (struct{}, error) { return struct{}{}, nil }); err != nil {
		return nil, err
	}
	key, err := s.sealingKey(peer)
	if err != nil {
		return nil, err
	}
	b, what, err := s.dispatch.Bundle(ctx, peer)
	if err != nil {
		return nil, err
	}
	plain, err := b.Encode()
	if err != nil {
		return nil, fmt.Errorf("bundle for %s: %w", peer, err)
	}
	sealed, err := crypto.SealFor(key, crypto.TypeBundle, plain)
	if err != nil {
		return nil, fmt.Errorf("bundle for %s: %w", peer, err)
	}
	return &Exported{To: peer, Bundled: what, SHA256: hash(sealed), File: sealed}, nil
}

// sealingKey is the current X25519 key of a member.
func (s *Service) sealingKey(peer protocol.Country) ([]byte, error) {
	r := s.roster()
	if r == nil {
		return nil, desk.Conflict("no roster is installed: there is nobody to make a bundle for")
	}
	m, ok := r.ByCountry(string(peer))
	if !ok || peer == s.desk.Country {
		return nil, desk.NotFound("%s is not another member of the roster in force", peer)
	}
	return m.SealingKeys[0], nil
}

// Imported says what a bundle brought.
type Imported struct {
	dispatch.Unbundled
	SHA256 string `json:"sha256"` // of the file, hex
}

// Import opens a bundle and takes it in. The same file again changes nothing.
func (s *Service) Import(ctx context.Context, who desk.Actor, file []byte) (*Imported, error) {
	sealed := strings.Join(strings.Fields(string(file)), "") // media and mail add line ends
	sum := hash(sealed)
	act := desk.Act{Actor: who, Action: policy.BundleImport, Resource: policy.Resource{Type: policy.KindPeer}}
	entry := protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActCollect, Ground: "policy"},
		AuditBody: protocol.AuditBody{Kind: "bundle", Object: sum, Event: "bundle read"}}
	if _, err := desk.Read(ctx, s.desk, act, entry, func(*store.Tx) (struct{}, error) { return struct{}{}, nil }); err != nil {
		return nil, err
	}
	plain, err := s.keys().Unseal(sealed, crypto.TypeBundle, MaxFile)
	if err != nil {
		return nil, unreadable(sealed, err, s.desk.Country)
	}
	b, err := protocol.DecodeBundle(plain)
	if err != nil {
		return nil, desk.Invalid("the bundle is sealed for this country, and what is in it is no bundle (%v): its sender makes another one with `proofmark bundle export --to %s FILE`", err, s.desk.Country)
	}
	got, err := s.dispatch.AcceptBundle(ctx, b)
	switch {
	case errors.Is(err, dispatch.ErrForged):
		return nil, desk.Invalid("%v: nothing was taken in", err)
	case errors.Is(err, dispatch.ErrNotMember):
		return nil, desk.Invalid("%v: install the roster that lists the sender first", err)
	case err != nil:
		return nil, err
	}
	return &Imported{*got, sum}, nil
}

// unreadable says why a file cannot be opened, and what to do: one that is damaged is copied again, anything else is another file than was meant.
func unreadable(sealed string, err error, own protocol.Country) error {
	var header struct {
		Type string `json:"typ"`
	}
	head, _, _ := strings.Cut(sealed, ".")
	raw, headErr := base64.RawURLEncoding.DecodeString(head[:min(len(head), maxHead)])
	headErr = errors.Join(headErr, json.Unmarshal(raw, &header))
	switch {
	case errors.Is(err, crypto.ErrNotForUs):
		return desk.Invalid("this bundle is sealed for another country, or for a key of this one that was replaced: ask its sender for one for %s", own)
	case errors.Is(err, crypto.ErrTooLarge):
		return desk.Invalid("this is no bundle: a file has %d bytes at most", MaxFile)
	case sealed == "":
		return desk.Invalid("the file is empty: copy it from its medium again, or have its sender make another one (`proofmark bundle export --to %s FILE`)", own)
	case headErr != nil || header.Type != crypto.TypeBundle:
		return desk.Invalid("this is no bundle, or its beginning is damaged: a bundle is the file that `proofmark bundle export` made. If it is the right one, copy it from its medium again; nothing of it was taken in")
	}
	return desk.Invalid("the bundle is damaged: it was cut off or altered on its way. Copy it from its medium again, or have its sender make another one (`proofmark bundle export --to %s FILE`); nothing of it was taken in", own)
}

func hash(sealed string) string {
	sum := sha256.Sum256([]byte(sealed))
	return hex.EncodeToString(sum[:])
}
