package custody

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"proofmark/node/backup"
	"proofmark/node/desk"
	"proofmark/node/durable"
	"proofmark/protocol"
	"proofmark/store"
)

// incoming begins the name of what is not yet whole; the file's hash ends it.
const incoming = ".incoming-"

// lookEvery is how many bytes are written between two looks at the free disk space: a database on a full disk dies.
const lookEvery = 16 << 20

// Intake takes in one file of an owner. Only one at a time may be open for an owner.
type Intake struct {
	Receipt string // where the whole file is here already; nothing else may be called then
	Have    int64  // bytes of it that are here
	Prefix  string // their SHA-256, hex

	s       *Service
	owner   protocol.Country
	offer   Offer
	head    *backup.Head
	path    string
	f       *os.File
	written int64 // since the last look at the disk
}

// Take decides on an offer and begins to take it in: Refusal where the owner is told why not.
func (s *Service) Take(ctx context.Context, owner protocol.Country, o Offer) (*Intake, error) {
	if s.o.Grants[owner] <= 0 { // before anything of it is looked at
		_, err := judge(owner, o, nil, nil, 0, 0)
		return nil, err
	}
	if err := errors.Join(protocol.CheckCopyName(o.Name), protocol.CheckCopyHash(o.SHA256)); err != nil {
		return nil, refuse("%v", err)
	}
	if o.Size <= 0 {
		return nil, refuse("%s is offered with %d bytes", o.Name, o.Size)
	}
	head, err := backup.ParseHead(o.Head)
	if err != nil {
		return nil, refuse("%s: %v", o.Name, err)
	}
	keys, err := s.keysOf(owner)
	if err != nil {
		return nil, err
	}
	spare, err := s.spare()
	if err != nil {
		return nil, err
	}
	var kept []held
	if err := s.o.Desk.Store.View(func(tx *store.Tx) error {
		kept, err = s.kept(tx, owner)
		return err
	}); err != nil {
		return nil, err
	}
	known, err := judge(owner, o, head, kept, s.o.Grants[owner], spare)
	if err != nil {
		return nil, err
	}
	if known != nil {
		return &Intake{Receipt: known.Receipt}, nil
	}
	if !keys.Has(head.KeyID()) {
		return nil, refuse("%s is signed with a key that the roster does not name for %s: make a new chain with `proofmark backup --full`", o.Name, owner)
	}
	in := &Intake{s: s, owner: owner, offer: o, head: head, path: filepath.Join(s.folder(owner), incoming+o.SHA256)}
	if err := durable.MakeFolder(s.folder(owner)); err != nil {
		return nil, err
	}
	if err := s.sweep(owner, kept, in.path); err != nil {
		return nil, err
	}
	return in, in.begun()
}

func (s *Service) spare() (int64, error) {
	n, err := s.o.Desk.Store.Spare()
	return int64(min(n, math.MaxInt64)), err
}

// sweep removes files of an owner that no record names and that are not the one being taken in: what a crash, or another transfer that was given up, left.
func (s *Service) sweep(owner protocol.Country, kept []held, but string) error {
	names := map[string]bool{filepath.Base(but): true}
	for _, k := range kept {
		names[k.Name] = true
	}
	entries, err := os.ReadDir(s.folder(owner))
	for _, e := range entries {
		if e.Type().IsRegular() && !names[e.Name()] && (strings.HasPrefix(e.Name(), incoming) || strings.HasSuffix(e.Name(), backup.Suffix)) {
			err = errors.Join(err, os.Remove(filepath.Join(s.folder(owner), e.Name())))
		}
	}
	return err
}

// begun finds out what is there of the file.
func (in *Intake) begun() error {
	f, err := os.Open(in.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	if in.Have, err = io.Copy(sum, f); err != nil {
		return fmt.Errorf("%s: %w", in.path, err)
	}
	if in.Have > in.offer.Size {
		in.Have = 0
		return os.Remove(in.path)
	}
	in.Prefix = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// Start says that the next bytes belong behind the offset; what is there behind it is dropped.
func (in *Intake) Start(offset int64) (err error) {
	if in.f, err = os.OpenFile(in.path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	if err = in.f.Truncate(offset); err == nil {
		_, err = in.f.Seek(offset, io.SeekStart)
	}
	return err
}

// Add takes the next bytes.
func (in *Intake) Add(b []byte) error {
	if in.written += int64(len(b)); in.written >= lookEvery {
		in.written = 0
		spare, err := in.s.spare()
		if err == nil && spare < lookEvery {
			err = refuse("the holder's disk is full: tell its bureau")
		}
		if err != nil {
			return err
		}
	}
	_, err := in.f.Write(b)
	return err
}

// Close keeps what was taken so far for another time.
func (in *Intake) Close() {
	if in.f != nil {
		_ = in.f.Close()
		in.f = nil
	}
}

// Done checks the whole, gives it its name, records and signs that it is kept. Where it begins a new chain the time of the older one begins to run out.
func (in *Intake) Done(ctx context.Context) (receipt string, err error) {
	err = errors.Join(in.f.Sync(), in.f.Close())
	in.f = nil
	if err != nil {
		return "", err
	}
	p, err := backup.Measure(ctx, in.path, nil)
	if err != nil && ctx.Err() != nil {
		return "", err
	}
	if err != nil || p.SHA256 != in.offer.SHA256 || p.Size != in.offer.Size || p.Head.JWS() != in.offer.Head {
		return "", errors.Join(refuse("%s is not the file that was offered: check the folder of backups, and send it again from its start", in.offer.Name), os.Remove(in.path))
	}
	s, h := in.s, in.head
	c := &Copy{CustodyReceipt: protocol.CustodyReceipt{Holder: s.o.Desk.Country, Owner: in.owner, Name: in.offer.Name, ID: h.ID, Chain: h.Chain, Number: h.Number,
		Size: p.Size, SHA256: p.SHA256, At: s.o.Now().UTC().Truncate(time.Millisecond)}, Made: h.Made, Head: in.offer.Head}
	dir := s.folder(in.owner)
	s.files.Lock()
	defer s.files.Unlock()
	if err := os.Rename(in.path, filepath.Join(dir, c.Name)); err != nil {
		return "", err
	}
	if err := durable.SyncFolder(dir); err != nil {
		return "", err
	}
	err = s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		kept, err := s.kept(tx, in.owner)
		if err != nil {
			return err
		}
		if err := s.follow(tx, c, kept); err != nil {
			return err
		}
		tx.Audit(copyEntry(protocol.ActReceive, in.owner, &c.CustodyReceipt, "sealed copy kept"))
		return Copies.Put(tx, recordID(in.owner, c.ID), c)
	})
	if err != nil {
		return "", fmt.Errorf("record the copy %s of %s: %w", c.Name, in.owner, err)
	}
	return c.Receipt, nil
}

// copyEntry is the audit entry of what happens to one copy, at either end.
func copyEntry(act protocol.AuditAction, counterpart protocol.Country, r *protocol.CustodyReceipt, event string) protocol.AuditEntry {
	return protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: act, Counterpart: string(counterpart), Decision: "permit", Ground: "custody"},
		AuditBody: protocol.AuditBody{Actor: desk.Node.Name, Kind: "custody", Object: r.ID, Event: event, Details: map[string]string{"name": r.Name, "chain": r.Chain,
			"number": strconv.Itoa(r.Number), "bytes": strconv.FormatInt(r.Size, 10), "sha256": r.SHA256, "at": r.At.Format(time.RFC3339)}}}
}
