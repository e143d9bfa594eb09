package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

// ErrQuota: the member has sent so much of what this node cannot read that the rest must wait for another day.
var ErrQuota = errors.New("this node keeps no more of a member's unread documents today; they wait with their sender until tomorrow (UTC)")

// quota bounds what one member makes this node keep in a day (UTC) without any use for it.
type quota struct {
	refused      int   // documents
	refusedBytes int64 // of messages
	unreadBytes  int64 // of messages
}

// A thousand refused documents tell an operator what is wrong with a member's policy or program; a newcomer's whole holding of a type that only a
// newer node knows comes over several days.
var usualQuota = quota{refused: 1000, refusedBytes: 16 << 20, unreadBytes: 128 << 20}

// useless is what is kept of a member that was not accepted, counted by the day.
type useless struct {
	Peer         protocol.Country `json:"peer"`
	Day          string           `json:"day"` // YYYY-MM-DD in UTC
	Refused      int              `json:"refused"`
	RefusedBytes int64            `json:"refused_bytes"`
	UnreadBytes  int64            `json:"unread_bytes"`

	// Refused beyond the quota and not yet in the log.
	Beyond int       `json:"beyond,omitempty"`
	Since  time.Time `json:"since,omitzero"` // the last entry about such
	Last   string    `json:"last,omitempty"` // why the last one was refused
}

var uselessOf = store.NewCollection[useless]("useless")

func (d *Dispatch) uselessFrom(tx *store.Tx, peer protocol.Country) (*useless, error) {
	u, err := uselessOf.Get(tx, string(peer))
	if errors.Is(err, store.ErrNotFound) {
		u, err = &useless{Peer: peer}, nil
	}
	if err != nil {
		return nil, err
	}
	if today := tx.Now().UTC().Format(time.DateOnly); u.Day != today {
		u.Day, u.Refused, u.RefusedBytes, u.UnreadBytes = today, 0, 0, 0
	}
	return u, nil
}

// room counts a document that was not accepted against its sender's quota. Beyond it a refused document is not kept: the message takes its place in
// the channel, and the log counts it, one entry a minute. An unread one is never dropped: ErrQuota holds its channel until tomorrow.
func (d *Dispatch) room(tx *store.Tx, peer protocol.Country, rec *Record) (keep bool, err error) {
	u, err := d.uselessFrom(tx, peer)
	if err != nil {
		return false, err
	}
	size := int64(len(rec.JWS))
	for _, s := range rec.Disclosures {
		size += int64(len(s))
	}
	if rec.Status == Unread {
		if u.UnreadBytes += size; u.UnreadBytes > d.quota.unreadBytes {
			return false, fmt.Errorf("%w (%s)", ErrQuota, rec.Reason)
		}
		return true, uselessOf.Put(tx, string(peer), u)
	}
	keep = u.Refused < d.quota.refused && u.RefusedBytes+size <= d.quota.refusedBytes
	if keep {
		u.Refused++
		u.RefusedBytes += size
	} else {
		u.Beyond++
		u.Last = rec.Reason
		u.log(tx)
	}
	return keep, uselessOf.Put(tx, string(peer), u)
}

// log writes the entry about what was refused beyond the quota, unless there was one within the window.
func (u *useless) log(tx *store.Tx) {
	if u.Beyond == 0 || tx.Now().Sub(u.Since) < refusalWindow && !tx.Now().Before(u.Since) {
		return
	}
	tx.Audit(protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActDeny, Counterpart: string(u.Peer), Decision: "deny", Ground: "quota"},
		AuditBody: protocol.AuditBody{Actor: "node", Kind: "exchange", Object: string(u.Peer),
			Event:   "refused and not kept, beyond the day's quota; the last: " + u.Last,
			Details: map[string]string{"times": strconv.Itoa(u.Beyond)}},
	})
	u.Beyond, u.Since = 0, tx.Now()
}

// flushQuota writes what was refused beyond quotas and is not yet in the log.
func (d *Dispatch) flushQuota(ctx context.Context) error {
	due := false
	err := d.Store.View(func(tx *store.Tx) error {
		for _, u := range uselessOf.All(tx) {
			due = due || u.Beyond > 0
		}
		return tx.Err()
	})
	if err != nil || !due {
		return err
	}
	return d.Store.Update(ctx, func(tx *store.Tx) error {
		for id, u := range uselessOf.All(tx) {
			before := u.Beyond
			if u.log(tx); u.Beyond == before {
				continue
			}
			if err := uselessOf.Put(tx, id, u); err != nil {
				return err
			}
		}
		return tx.Err()
	})
}
