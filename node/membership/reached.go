package membership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"proofmark/store"
)

// atReached is where a member's host was reached, the latest first. It is this node's own experience, for its next start: what the roster and the members'
// table say may be stale by then.
type atReached struct {
	Addresses []string  `json:"addresses"`
	At        time.Time `json:"at"`
}

var reached = store.NewCollection[atReached]("peer-reached")

// maxReached bounds the addresses that are kept of a host, maxReachedSize one of them in bytes.
const (
	maxReached     = 4
	maxReachedSize = 512
)

// Reached lists the addresses at which a host was reached before, by its peer ID, the latest first.
func (s *Service) Reached(peer string) (addresses []string, err error) {
	err = s.desk.Store.View(func(tx *store.Tx) error {
		r, err := reached.Get(tx, peer)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err == nil {
			addresses = r.Addresses
		}
		return err
	})
	return addresses, err
}

// KeepReached keeps an address at which a host was reached now.
func (s *Service) KeepReached(ctx context.Context, peer, address string) error {
	if len(address) > maxReachedSize {
		return fmt.Errorf("an address of %d bytes", len(address))
	}
	known, err := s.Reached(peer)
	if err != nil || len(known) > 0 && known[0] == address {
		return err
	}
	return s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		var known []string // others may have been reached at this moment
		if r, err := reached.Get(tx, peer); err == nil {
			known = r.Addresses
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		list := append([]string{address}, slices.DeleteFunc(slices.Clone(known), func(a string) bool { return a == address })...)
		return reached.Put(tx, peer, &atReached{Addresses: list[:min(len(list), maxReached)], At: tx.Now()})
	})
}
