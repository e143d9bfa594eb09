package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"sync"
	"time"

	"proofmark/crypto"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Options assemble a Service.
type Options struct {
	Desk   *desk.Desk
	Signer func() *crypto.Signer
	Master crypto.MasterKey
	Files  func() ([]File, error) // of the data folder
	Now    func() time.Time
	Random io.Reader
}

// Service makes backups of one running node.
type Service struct {
	o    Options
	busy sync.Mutex
}

// New returns a Service.
func New(o Options) *Service { return &Service{o: o} }

// Made records that a backup was written whole: an increment follows one that this database knows, and no other. A database that was put back to an older
// state does not know the later ones.
type Made struct {
	ID      string    `json:"id"`
	Chain   string    `json:"chain"`
	Number  int       `json:"number"`
	UpTo    uint64    `json:"up_to"`
	SHA256  string    `json:"sha256"`
	Size    int64     `json:"size"`
	At      time.Time `json:"at"`
	Entries int64     `json:"entries"` // of the audit log in it
	By      string    `json:"by"`

	Recovery string            `json:"recovery"`
	Records  store.BackupCount `json:"records"`
}

// Backups holds the backups that were made.
var Backups = store.NewCollection("backup",
	store.Index[Made]{Name: "version", Keys: func(m *Made) []string { return []string{fmt.Sprintf("%020d", m.UpTo)} }})

// rawRecovery is where the store keeps the public part of the recovery key.
const rawRecovery = "node/recovery-key"

// ErrNoRecovery: there is no recovery key yet.
var ErrNoRecovery = errors.New("the node has no recovery key: make one with `proofmark recovery init --out FILE`, and keep that file away from this machine")

// RecoveryState says which recovery key backups are for.
type RecoveryState struct {
	KeyID string          `json:"key_id"` // empty: none yet
	Key   json.RawMessage `json:"key,omitempty"`
	Last  *Made           `json:"last_backup,omitempty"`
}

// SetRecovery takes in the public part of a recovery key; backups made from now on are for it. Replacing one must be asked for: backups made before still
// need the old private part.
func (s *Service) SetRecovery(ctx context.Context, who desk.Actor, key string, jwk json.RawMessage, replace bool) (*RecoveryState, error) {
	_, kid, err := crypto.ParseSealingJWK(jwk)
	if err != nil {
		return nil, desk.Invalid("recovery key: %v", err)
	}
	act := desk.Act{Actor: who, Key: key, Action: policy.NodeManage, Resource: policy.Resource{Type: policy.KindNode, ID: kid}, Request: map[string]any{"recovery": string(jwk), "replace": replace}}
	return desk.Do(ctx, s.o.Desk, act, func(tx *store.Tx) (*RecoveryState, error) {
		old, err := recoveryOf(tx)
		if err != nil && !errors.Is(err, ErrNoRecovery) {
			return nil, err
		}
		if old != nil && old.KeyID != kid && !replace {
			return nil, desk.Conflict("the node has the recovery key %s already: to replace it, add --replace, and keep the old file for the backups made so far", old.KeyID)
		}
		details := map[string]string{"key": kid}
		if old != nil {
			details["old"] = old.KeyID
		}
		tx.Audit(protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActAdminister, Decision: "permit", Ground: "policy"},
			AuditBody: protocol.AuditBody{Actor: who.Name, Kind: "recovery-key", Object: kid, Event: "recovery key set: backups are for it from now on", Details: details}})
		return &RecoveryState{KeyID: kid, Key: jwk}, tx.Put(rawRecovery, jwk)
	})
}

// Recovery says which recovery key is in use, and which backup was the last.
func (s *Service) Recovery(ctx context.Context, who desk.Actor) (*RecoveryState, error) {
	act := desk.Act{Actor: who, Action: policy.NodeManage, Resource: policy.Resource{Type: policy.KindNode}}
	entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: "recovery-key", Event: "recovery key and last backup viewed"}}
	return desk.Read(ctx, s.o.Desk, act, entry, func(tx *store.Tx) (*RecoveryState, error) {
		st, err := recoveryOf(tx)
		if errors.Is(err, ErrNoRecovery) {
			return &RecoveryState{}, nil
		}
		if err != nil {
			return nil, err
		}
		for _, id := range Backups.Entries(tx, "version") {
			if st.Last, err = Backups.Get(tx, id); err != nil {
				return nil, err
			}
		}
		return st, tx.Err()
	})
}

func recoveryOf(tx *store.Tx) (*RecoveryState, error) {
	jwk, err := tx.Get(rawRecovery)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrNoRecovery
	}
	if err != nil {
		return nil, err
	}
	_, kid, err := crypto.ParseSealingJWK(jwk)
	return &RecoveryState{KeyID: kid, Key: jwk}, err
}

// Request asks for a backup.
type Request struct {
	Since string `json:"since,omitempty"` // id of the backup that it follows; empty for a full one
}

// ErrUnknownParent: this database did not make the backup that an increment is to follow.
var ErrUnknownParent = errors.New("this database does not know the backup that the increment is to follow")

// Create makes a backup and writes it to w as it is read; begun (may be nil) is told the head first. A backup that is not written to its end is known to
// nobody.
func (s *Service) Create(ctx context.Context, who desk.Actor, r Request, w io.Writer, begun func(*Head)) (*Made, error) {
	if !s.busy.TryLock() {
		return nil, desk.Conflict("another backup is being made: wait for its end and try again")
	}
	defer s.busy.Unlock()
	jwk, parent, err := s.prepare(ctx, who, r)
	if err != nil {
		return nil, err
	}
	var key crypto.MasterKey
	if key, err = crypto.NewMasterKey(s.o.Random); err != nil {
		return nil, err
	}
	defer clear(key[:])
	head, err := s.head(jwk, parent, key)
	if err != nil {
		return nil, err
	}
	out := &counted{w: w, sum: sha256.New()}
	var body *bodyWriter
	n, err := s.o.Desk.Store.Backup(ctx, head.Since, func(b store.BackupHead) (io.Writer, error) {
		// The database is read as it is at this moment, the files after it: keys and policies that are younger than the database says are found by the start of a
		// restored node, older ones would be taken for a change by hand, and be in force again.
		files, err := s.o.Files()
		if err != nil {
			return nil, err
		}
		head.UpTo, head.Checkpoint = b.Version, string(b.Checkpoint)
		raw, err := head.seal(s.o.Signer())
		if err != nil {
			return nil, err
		}
		if begun != nil {
			begun(head)
		}
		if _, err := out.Write(raw); err != nil {
			return nil, err
		}
		if body, err = newBodyWriter(out, head, key, s.o.Random); err != nil {
			return nil, err
		}
		return body, body.files(s.o.Master, files)
	}, nil)
	if err == nil {
		err = body.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	m := &Made{ID: head.ID, Chain: head.Chain, Number: head.Number, UpTo: head.UpTo, SHA256: hex.EncodeToString(out.sum.Sum(nil)), Size: out.n, At: head.Made,
		Entries: entriesOf(head.Checkpoint), By: who.Name, Recovery: head.Recovery, Records: n}
	return m, s.record(ctx, m)
}

// prepare asks policy, leaves the audit entry of what is about to be read, and finds what the backup is for and follows.
func (s *Service) prepare(ctx context.Context, who desk.Actor, r Request) (jwk json.RawMessage, parent *Made, err error) {
	act := desk.Act{Actor: who, Action: policy.NodeManage, Resource: policy.Resource{Type: policy.KindNode, ID: "backup"}}
	entry := protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActAdminister, Ground: "policy"},
		AuditBody: protocol.AuditBody{Kind: "backup", Event: "backup begun", Details: map[string]string{"since": r.Since}}}
	_, err = desk.Read(ctx, s.o.Desk, act, entry, func(tx *store.Tx) (struct{}, error) {
		st, err := recoveryOf(tx)
		if errors.Is(err, ErrNoRecovery) {
			return struct{}{}, desk.Conflict("%v", err)
		}
		if err != nil {
			return struct{}{}, err
		}
		jwk = st.Key
		if r.Since == "" {
			return struct{}{}, nil
		}
		parent, err = Backups.Get(tx, r.Since)
		if errors.Is(err, store.ErrNotFound) || err == nil && parent.Number+1 >= maxChain {
			return struct{}{}, desk.Conflict("%v (%.32s): make a full backup; if this node was not restored on purpose, find out why its database is older", ErrUnknownParent, r.Since)
		}
		return struct{}{}, err
	})
	return jwk, parent, err
}

func (s *Service) head(jwk json.RawMessage, parent *Made, key crypto.MasterKey) (*Head, error) {
	_, kid, err := crypto.ParseSealingJWK(jwk)
	if err != nil {
		return nil, err
	}
	sealed, err := crypto.SealFor(jwk, crypto.TypeBackupKey, key[:])
	if err != nil {
		return nil, err
	}
	id := make([]byte, 16)
	if _, err := io.ReadFull(s.o.Random, id); err != nil {
		return nil, err
	}
	h := &Head{Version: version, Country: s.o.Desk.Country, ID: hex.EncodeToString(id), Made: s.o.Now().UTC().Truncate(time.Second), Recovery: kid, Key: sealed, Signing: s.o.Signer().JWK()}
	h.Chain = h.ID
	if parent != nil {
		h.Chain, h.Number, h.Parent, h.Since = parent.Chain, parent.Number+1, parent.SHA256, parent.UpTo
	}
	return h, nil
}

func (s *Service) record(ctx context.Context, m *Made) error {
	err := s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		tx.Audit(protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActAdminister, Decision: "permit", Ground: "policy"},
			AuditBody: protocol.AuditBody{Actor: m.By, Kind: "backup", Object: m.ID, Event: "backup made", PolicyVer: s.o.Desk.Policy().Version(), Details: map[string]string{"chain": m.Chain, "number": strconv.Itoa(m.Number),
				"sha256": m.SHA256, "bytes": strconv.FormatInt(m.Size, 10), "recovery": m.Recovery, "entries": strconv.FormatInt(m.Entries, 10)}}})
		return Backups.Put(tx, m.ID, m)
	})
	if err != nil {
		return fmt.Errorf("record the backup: %w", err)
	}
	return nil
}

// entriesOf reads the size of the audit log from its checkpoint; 0 where it says none.
func entriesOf(checkpoint string) int64 {
	size, _, err := store.ParseCheckpoint([]byte(checkpoint))
	if err != nil {
		return 0
	}
	return size
}

// Entries is the number of entries of the audit log in the backup.
func (h *Head) Entries() int64 { return entriesOf(h.Checkpoint) }

// counted hashes and counts what passes.
type counted struct {
	w   io.Writer
	sum hash.Hash
	n   int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.sum.Write(p[:n])
	c.n += int64(n)
	return n, err
}

// Forget removes the records of backups, whose versions are of another database: a restored one begins a chain of its own.
func Forget(tx *store.Tx) error {
	for id := range Backups.All(tx) {
		if err := Backups.Delete(tx, id); err != nil {
			return err
		}
	}
	return tx.Err()
}
