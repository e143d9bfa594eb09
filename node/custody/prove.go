package custody

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

// Question asks a holder for one block of a copy.
type Question struct {
	SHA256 string // of the whole file, hex
	Block  int64  // counted from 0
}

// Proof answers it.
type Proof struct {
	Missing string   // why the holder does not have the copy as it signed for it; the rest is empty then
	Path    [][]byte // hashes, from the block upwards
	Block   []byte
}

// budget bounds what is read to prove copies to one owner: each answer reads a whole file.
type budget struct {
	mu    sync.Mutex
	spent map[protocol.Country]spent
}

type spent struct {
	since time.Time
	bytes int64
}

// provingShare times what is granted may be read for proofs within provingTime.
const (
	provingShare = 4
	provingTime  = 24 * time.Hour
)

func (b *budget) take(c protocol.Country, bytes, limit int64, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent == nil {
		b.spent = map[protocol.Country]spent{}
	}
	s := b.spent[c]
	if now.Sub(s.since).Abs() >= provingTime {
		s = spent{since: now}
	}
	if s.bytes+bytes > limit {
		return false
	}
	s.bytes += bytes
	b.spent[c] = s
	return true
}

// Prove answers an owner's question. The whole file is read: one that is not as it was signed for is marked, so that its owner can send it again.
func (s *Service) Prove(ctx context.Context, owner protocol.Country, q Question) (Proof, error) {
	var c *held
	var used int64
	if err := s.o.Desk.Store.View(func(tx *store.Tx) error {
		kept, err := s.kept(tx, owner)
		for i := range kept {
			used += kept[i].Size
			if kept[i].SHA256 == q.SHA256 {
				c = &kept[i]
			}
		}
		return err
	}); err != nil {
		return Proof{}, err
	}
	switch {
	case c == nil:
		return Proof{Missing: "no such copy is kept here"}, nil
	case !c.Damaged.IsZero():
		return Proof{Missing: fmt.Sprintf("the holder's disk has changed %s, found on %s: send it again", c.Name, c.Damaged.UTC().Format(time.DateOnly))}, nil
	case q.Block < 0 || q.Block >= blocks(c.Size):
		return Proof{}, refuse("%s has %d blocks, numbered from 0", c.Name, blocks(c.Size))
	case !s.proofs.take(owner, c.Size, provingShare*max(s.o.Grants[owner], used), s.o.Now()):
		return Proof{}, refuse("this node has read %d times what is granted to %s within a day: ask again tomorrow", provingShare, owner)
	}
	p, sum, err := prove(ctx, filepath.Join(s.folder(owner), c.Name), c.Size, q.Block)
	switch {
	case ctx.Err() != nil:
		return Proof{}, ctx.Err()
	case errors.Is(err, os.ErrNotExist):
		s.o.Log.Error("a sealed copy is missing", "owner", owner, "name", c.Name)
		return Proof{Missing: c.Name + " is missing on the holder's disk: send it again"}, nil
	case err == nil && sum == c.SHA256:
		return p, nil
	}
	s.o.Log.Error("a sealed copy is damaged", "owner", owner, "name", c.Name, "error", err)
	return Proof{Missing: fmt.Sprintf("the holder's disk has changed %s: send it again", c.Name)}, s.damaged(ctx, &c.Copy)
}

// prove reads a file whole; sum is its SHA-256.
func prove(ctx context.Context, path string, size, block int64) (p Proof, sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return p, "", err
	}
	defer f.Close()
	h := sha256.New()
	_, hashes, content, err := tree(io.TeeReader(until{ctx, f}, h), size, block)
	if err != nil {
		return p, "", fmt.Errorf("%s: %w", path, err)
	}
	p.Block, p.Path = content, make([][]byte, len(hashes))
	for i := range hashes {
		p.Path[i] = hashes[i][:]
	}
	return p, hex.EncodeToString(h.Sum(nil)), nil
}

// until reads as long as its context lasts.
type until struct {
	ctx context.Context
	r   io.Reader
}

func (u until) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(b)
}

func (s *Service) damaged(ctx context.Context, found *Copy) error {
	return s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		c, err := Copies.Get(tx, recordID(found.Owner, found.ID))
		if errors.Is(err, store.ErrNotFound) || err == nil && (c.Receipt != found.Receipt || !c.Damaged.IsZero()) {
			return nil // removed, sent again or marked meanwhile
		}
		if err != nil {
			return err
		}
		c.Damaged = tx.Now()
		tx.Audit(copyEntry(protocol.ActAlter, c.Owner, &c.CustodyReceipt, "sealed copy found damaged"))
		return Copies.Put(tx, recordID(c.Owner, c.ID), c)
	})
}
