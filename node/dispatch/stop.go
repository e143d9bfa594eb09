package dispatch

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

// Errors that the network tells.
var (
	// ErrStopped: signed statements contradict each other; people have to decide.
	ErrStopped = errors.New("the exchange is stopped")
	// ErrRestoring: this node was restored and has not yet asked the peer for what came after its backup.
	ErrRestoring = errors.New("this node was restored from a backup, and is being told by its peers what came after it; over the network, not by bundle; it goes on by itself")
)

// Stop says why nothing is exchanged with a country, or with anybody, and what proves it.
type Stop struct {
	Peer     protocol.Country `json:"peer"` // who showed it, or whom it is about
	Here     bool             `json:"here"` // this node is the one whose database is older than what it has signed: nothing is exchanged with anybody
	At       time.Time        `json:"at"`
	Text     string           `json:"text"`
	Evidence []string         `json:"evidence"` // what was signed, compact JWS or a signed note; the second of two is the later statement
}

// Stops holds what stops the exchange: under a country's code what that country did, under hereStop what happened to this node.
var Stops = store.NewCollection[Stop]("exchange-stop")

const hereStop = "here"

// Where the store keeps, for each peer and channel, the last manifest that the peer signed; for each peer the last checkpoint of its log, what it declared
// as restored, and whether it has helped this node after its own restore.
const (
	rawManifest = "exchange/manifest/" // + peer/channel
	rawSeen     = "exchange/seen/"     // + peer
	rawDeclared = "exchange/declared/" // + peer
	rawRestore  = "exchange/restore"
	rawHelped   = "exchange/helped/" // + peer: the id of the restore
)

// mayExchange reports what keeps this node from exchanging with a peer.
func (d *Dispatch) mayExchange(tx *store.Tx, peer protocol.Country) error {
	switch s, err := StopOf(tx, peer); {
	case err != nil:
		return err
	case s != nil:
		return stoppedError{s.Text, s.Here}
	}
	switch r, err := d.restoring(tx, peer); {
	case err != nil:
		return err
	case r != nil:
		return ErrRestoring
	}
	return nil
}

// stoppedError is a stop in this node's own words.
type stoppedError struct {
	text string
	here bool
}

func (e stoppedError) Error() string { return ErrStopped.Error() + ": " + e.text }

func (e stoppedError) Unwrap() error { return ErrStopped }

// Told is what the other country reads of it: what stands in a text as "this node" and "here" would be its own there.
func (e stoppedError) Told() string {
	if e.here {
		return ErrStopped.Error() + ": the database of the other node is older than what it had signed, and its bureau has to bring it back (`proofmark restore`); then this goes on by itself"
	}
	return e.Error()
}

// StopOf says what keeps this node from exchanging with a peer, its own fault first; nil for nothing.
func StopOf(tx *store.Tx, peer protocol.Country) (*Stop, error) {
	for _, id := range []string{hereStop, string(peer)} {
		if s, err := Stops.Get(tx, id); err == nil || !errors.Is(err, store.ErrNotFound) {
			return s, err
		}
	}
	return nil, nil
}

// stop stops the exchange, once for each reason: with one country, or where this node is at fault with all.
func (d *Dispatch) stop(tx *store.Tx, s Stop) error {
	id := string(s.Peer)
	if s.Here {
		id = hereStop
	}
	if known, err := Stops.Has(tx, id); err != nil || known {
		return err
	}
	s.At = tx.Now()
	details := map[string]string{}
	for i, e := range s.Evidence {
		details[fmt.Sprintf("evidence %d", i+1)] = e
	}
	tx.Audit(protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActDeny, Counterpart: string(s.Peer), Decision: "deny", Ground: "rollback"},
		AuditBody:   protocol.AuditBody{Actor: "node", Kind: "exchange", Object: string(s.Peer), Event: "exchange stopped: " + s.Text, Details: details},
	})
	tx.OnCommit(func() {
		d.Log.Error("the exchange is stopped", "peer", s.Peer, "why", s.Text)
		d.refusals.mu.Lock()
		defer d.refusals.mu.Unlock()
		if d.refusals.total == nil {
			d.refusals.total = map[string]uint64{}
		}
		d.refusals.total["rollback"]++
	})
	return Stops.Put(tx, id, &s)
}

// settle forgets what had stopped the exchange.
func settle(tx *store.Tx, id string) error {
	if err := Stops.Delete(tx, id); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}

// Stopped lists what stops the exchange, this node's own fault first.
func (d *Dispatch) Stopped() (out []Stop, err error) {
	err = d.Store.View(func(tx *store.Tx) error {
		out = nil
		for _, s := range Stops.All(tx) {
			if s.Here {
				out = append([]Stop{*s}, out...)
			} else {
				out = append(out, *s)
			}
		}
		return tx.Err()
	})
	return out, err
}

// keepManifest keeps the last batch that a peer signed, once it is applied: what it had sent cannot be denied then.
func keepManifest(tx *store.Tx, from protocol.Country, m *protocol.Manifest, signed string) error {
	head, err := tx.InHead(string(from), string(m.Channel))
	if err != nil || head.Seq != m.First+uint64(m.Count)-1 {
		return err // an older batch again
	}
	return tx.Put(rawManifest+string(from)+"/"+string(m.Channel), []byte(signed))
}

// getText reads a raw key; empty where there is none.
func getText(tx *store.Tx, key string) (string, error) {
	b, err := tx.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return strings.Clone(string(b)), err
}
