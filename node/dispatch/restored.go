package dispatch

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

// restore is this node's own declared restore.
type restore struct {
	protocol.Restored
	Entries int64 `json:"entries"` // of the restored audit log
}

// declaration is what a peer has declared, as its witness keeps it.
type declaration struct {
	protocol.Restored
	Lost string    `json:"lost,omitempty"` // the last checkpoint of its log that was known here before
	Seen time.Time `json:"seen"`
}

// DeclareRestore puts a database that was loaded from a backup made at that time into the state "restored": nothing is exchanged with a member before it
// has been asked for what came after. checkpoint is where the restored log ends. What stopped the exchange in the backup is settled by it.
func DeclareRestore(tx *store.Tx, made time.Time, checkpoint string) error {
	id := make([]byte, 16)
	if _, err := io.ReadFull(tx.Random(), id); err != nil {
		return fmt.Errorf("declare restore: %w", err)
	}
	size, _, err := store.ParseCheckpoint([]byte(checkpoint))
	if err != nil {
		return fmt.Errorf("declare restore: %w", err)
	}
	b, err := json.Marshal(restore{protocol.Restored{ID: hex.EncodeToString(id), At: tx.Now().UTC(), Made: made.UTC(), Checkpoint: checkpoint}, size})
	if err != nil {
		return err
	}
	return errors.Join(settle(tx, hereStop), tx.Put(rawRestore, b))
}

// restoring returns this node's restore while a peer has not helped it; nil otherwise.
func (d *Dispatch) restoring(tx *store.Tx, peer protocol.Country) (*restore, error) {
	b, err := tx.Get(rawRestore)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	var r restore
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		return nil, fmt.Errorf("state of the restore: %w", err)
	}
	helped, err := getText(tx, rawHelped+string(peer))
	if err != nil || helped == r.ID {
		return nil, err
	}
	return &r, nil
}

// RestoringWith lists the members that this node has still to ask after its restore.
func (d *Dispatch) RestoringWith() (out []protocol.Country, err error) {
	err = d.Store.View(func(tx *store.Tx) error {
		out = nil
		for _, peer := range d.members(tx.Now()) {
			r, err := d.restoring(tx, peer)
			if err != nil {
				return err
			}
			if r != nil {
				out = append(out, peer)
			}
		}
		return nil
	})
	return out, err
}

// declared records, as its witness, that a peer was restored, and returns the last checkpoint of its log that was known before. What had stopped the
// exchange with it is settled.
func (d *Dispatch) declared(tx *store.Tx, peer protocol.Country, r *protocol.Restored) (lost string, err error) {
	known, err := d.declaration(tx, peer)
	if err != nil {
		return "", err
	}
	if known != nil && known.ID == r.ID {
		return known.Lost, nil
	}
	entries, _, err := d.openCheckpoint(peer, r.Checkpoint)
	if err != nil {
		return "", fmt.Errorf("%w: the checkpoint of the restored log: %w", ErrForged, err)
	}
	if lost, err = getText(tx, rawSeen+string(peer)); err != nil {
		return "", err
	}
	b, err := json.Marshal(declaration{*r, lost, tx.Now().UTC()})
	if err != nil {
		return "", err
	}
	details := map[string]string{"restore": r.ID, "backup": r.Made.UTC().Format(time.RFC3339), "checkpoint": r.Checkpoint, "entries": strconv.FormatInt(entries, 10)}
	if was, _, err := store.ParseCheckpoint([]byte(lost)); err == nil {
		details["entries known before"], details["checkpoint known before"] = strconv.FormatInt(was, 10), lost
	}
	tx.Audit(protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActReceive, Counterpart: string(peer), Decision: "permit", Ground: "restore"},
		AuditBody: protocol.AuditBody{Actor: "node", Kind: "exchange", Object: string(peer), Details: details,
			Event: fmt.Sprintf("restore declared by %s at checkpoint %d", peer, entries)},
	})
	return lost, errors.Join(settle(tx, string(peer)), tx.Put(rawSeen+string(peer), []byte(r.Checkpoint)), tx.Put(rawDeclared+string(peer), b))
}

func (d *Dispatch) declaration(tx *store.Tx, peer protocol.Country) (*declaration, error) {
	b, err := tx.Get(rawDeclared + string(peer))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	var out declaration
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		return nil, fmt.Errorf("declaration of %s: %w", peer, err)
	}
	return &out, nil
}
