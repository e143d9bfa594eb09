package ballistics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"proofmark/node/index"
	"proofmark/store"
)

// Snapshot says where the index is kept for the next start, and under which key (32 bytes). The database has the last word over what is in it.
type Snapshot struct {
	Path   string
	Key    []byte
	Random io.Reader
}

// KeepSnapshot has the index kept between starts; to be called before Load.
func (s *Service) KeepSnapshot(k Snapshot) { s.snapshot = k }

// When a snapshot is written while the node runs: soon after the index has grown or shrunk by a quarter; each quarter of an hour if a thousandth came or
// went; and half a day after any change, so that what was erased leaves the file too. A stop writes one in any case.
const (
	snapshotShare  = 4
	snapshotLeast  = 10_000
	snapshotEvery  = 15 * time.Minute
	snapshotTrifle = 1000
	snapshotLatest = 12 * time.Hour
)

// due reports whether to write a snapshot of an index that holds so many signatures, after so many changes and so much time since the last one.
func due(held, changes int, since time.Duration) bool {
	return changes > 0 && (changes >= max(snapshotLeast, held/snapshotShare) || since >= snapshotEvery && changes >= held/snapshotTrifle || since >= snapshotLatest)
}

// Filling says how far the index is: until it is whole, nothing is correlated.
type Filling struct {
	Ready bool  `json:"ready"`
	Held  int64 `json:"held"`
	Of    int64 `json:"of"`
}

func (f Filling) String() string {
	switch {
	case f.Ready:
		return fmt.Sprintf("whole, %d signatures", f.Held)
	case f.Of == f.Held: // the database was not asked yet
		return fmt.Sprintf("being read, %d signatures so far; nothing is correlated until it is whole", f.Held)
	}
	return fmt.Sprintf("being filled, %d of %d signatures (%d %%); nothing is correlated until it is whole", f.Held, f.Of, 100*f.Held/f.Of)
}

// filling is the index's way to being whole.
type filling struct {
	ready  chan struct{} // closed when it is
	once   sync.Once
	of     atomic.Int64
	broken atomic.Int64 // signatures that could not be read
}

// Filling says how far the index is.
func (s *Service) Filling() Filling {
	held, _ := s.index.Len("", "")
	f := Filling{Held: int64(held), Of: max(s.filling.of.Load(), int64(held))}
	select {
	case <-s.filling.ready:
		f.Ready, f.Of = true, f.Held
	default:
	}
	return f
}

// Load fills the index: from its snapshot where there is a good one, and with what the database has beside it.
func (s *Service) Load(ctx context.Context) error {
	began := s.now()
	if err := s.renew(ctx); err != nil {
		return err
	}
	from := "the database"
	if s.snapshot.Path != "" {
		switch err := s.index.RestoreFile(s.snapshot.Path, s.snapshot.Key); {
		case err == nil:
			from = "its snapshot"
		case !errors.Is(err, fs.ErrNotExist):
			s.desk.Log.Warn("the index's snapshot is not used: the index is built again from the database, which takes longer", "file", s.snapshot.Path, "reason", err)
		}
	}
	switch err := s.readmit(ctx); {
	case errors.Is(err, store.ErrDiskReserve): // a node that starts with a full disk is there to be looked at
		s.desk.Log.Warn("signatures that were not compared are looked at again by the next start", "reason", err)
	case err != nil:
		return fmt.Errorf("look again at signatures that were not compared: %w", err)
	}
	restored, _ := s.index.Len("", "")
	missing, err := s.differences(ctx)
	if err != nil {
		return err
	}
	if err := s.fetch(ctx, missing); err != nil {
		return err
	}
	s.index.Filled()
	s.filling.once.Do(func() { close(s.filling.ready) })
	held, _ := s.index.Len("", "")
	s.desk.Log.Info("the index is ready", "from", from, "signatures", held, "restored", restored, "fetched", len(missing), "unreadable", s.filling.broken.Load(),
		"took", s.now().Sub(began).Round(time.Millisecond).String())
	s.nudge()
	return nil
}

// differences lets go of what the database does not hold in this form, and lists what it holds beside the index, the oldest first.
func (s *Service) differences(ctx context.Context) (missing []string, err error) {
	if err := s.reindex(ctx); err != nil {
		return nil, err
	}
	var entries, held int
	err = s.desk.Store.View(func(tx *store.Tx) error {
		for digest, id := range signatures.Entries(tx, heldIndex) {
			if entries++; entries%10_000 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			switch {
			case digest == erasedDigest:
			case s.index.HoldsAs(id, digest):
				held++
			default:
				missing = append(missing, id)
			}
		}
		return tx.Err()
	})
	if err != nil {
		return nil, err
	}
	for _, id := range missing {
		s.index.Drop(id)
	}
	if n, _ := s.index.Len("", ""); n != held {
		if err := s.dropUnknown(missing); err != nil {
			return nil, err
		}
	}
	s.filling.of.Store(int64(held + len(missing)))
	slices.Sort(missing)
	return missing, nil
}

// reindex writes the index entries of a database that an earlier program wrote without them.
func (s *Service) reindex(ctx context.Context) error {
	var records, entries int
	err := s.desk.Store.View(func(tx *store.Tx) error {
		for range signatures.Entries(tx, heldIndex) {
			entries++
		}
		var err error
		records, err = signatures.Count(tx)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.reindexLeads(ctx); err != nil || records == entries {
		return err
	}
	s.desk.Log.Info("the database gets an index of its signatures, once", "signatures", records)
	for last, end := "", false; !end; {
		err := s.desk.Store.Update(ctx, func(tx *store.Tx) (err error) {
			last, end, err = signatures.Reindex(tx, last, batch)
			return err
		})
		if err != nil {
			return fmt.Errorf("index signatures: %w", err)
		}
	}
	return nil
}

// reindexLeads does the same for leads, each of which has an entry of its own signature.
func (s *Service) reindexLeads(ctx context.Context) error {
	missing := false
	err := s.desk.Store.View(func(tx *store.Tx) error {
		records, err := leads.Count(tx)
		missing = records > 0
		for range leads.Entries(tx, "signature") {
			missing = false
			break
		}
		return err
	})
	for last, end := "", !missing; err == nil && !end; {
		err = s.desk.Store.Update(ctx, func(tx *store.Tx) (err error) {
			last, end, err = leads.Reindex(tx, last, batch)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("index leads: %w", err)
	}
	return nil
}

// dropUnknown lets go of what the database does not hold any more.
func (s *Service) dropUnknown(missing []string) error {
	ids := s.index.IDs() // before the database is looked at: what arrives meanwhile is in it first
	stored := map[string]bool{}
	err := s.desk.Store.View(func(tx *store.Tx) error {
		for digest, id := range signatures.Entries(tx, heldIndex) {
			stored[id] = digest != erasedDigest
		}
		return tx.Err()
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !stored[id] {
			s.index.Drop(id)
		}
	}
	return nil
}

// batch is how many signatures are read in one view: a view that lasts keeps the database from tidying up.
const batch = 512

// fetch takes signatures from the database into the index, on all cores.
func (s *Service) fetch(ctx context.Context, ids []string) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	work := make(chan *Signature, batch)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for sig := range work {
				if sig.NotCompared != "" {
					s.holdUncompared(sig) // whose bytes may be anything
					continue
				}
				if err := s.index.Hold(entryOf(sig)); err != nil {
					s.filling.broken.Add(1)
					s.desk.Log.Error("a signature cannot be read and is not compared", "signature", sig.ID, "country", sig.Country, "error", err)
				}
			}
		})
	}
	for part := range slices.Chunk(ids, batch) {
		err := s.desk.Store.View(func(tx *store.Tx) error {
			for _, id := range part {
				sig, err := signatures.Get(tx, id)
				if errors.Is(err, store.ErrNotFound) || err == nil && sig.restricted() {
					continue // erased meanwhile
				}
				if err != nil {
					return err
				}
				select {
				case work <- sig:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
		if err != nil {
			stop(err)
			break
		}
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

// signatureBytes reads the signatures of a search's short list: nil for what was erased since the index looked.
func (s *Service) signatureBytes(ctx context.Context, ids []string) ([][]byte, error) {
	out := make([][]byte, 0, len(ids))
	for part := range slices.Chunk(ids, batch) {
		err := s.desk.Store.View(func(tx *store.Tx) error {
			for _, id := range part {
				sig, err := signatures.Get(tx, id)
				switch {
				case errors.Is(err, store.ErrNotFound) || err == nil && sig.restricted():
					out = append(out, nil)
				case err != nil:
					return err
				default:
					out = append(out, sig.Bytes)
				}
			}
			return ctx.Err()
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// entryOf is a signature as the index takes it in.
func entryOf(sig *Signature) index.Entry {
	return index.Entry{ID: sig.ID, Exhibit: sig.Exhibit, Bytes: sig.Bytes, Facts: index.Facts{Country: sig.Country, Own: sig.Own, ROI: sig.ROI, Kind: sig.Kind,
		Origin: sig.Origin, Algorithm: sig.Algorithm, Class: sig.Class}}
}

// saveIndex writes the snapshot. That none could be written costs time at the next start and nothing else.
func (s *Service) saveIndex() {
	if s.snapshot.Path == "" {
		return
	}
	began := s.now()
	s.saved.Store(s.now().UnixNano())
	held, _ := s.index.Len("", "")
	// What is written needs about 1 kB for each signature, beside the file that it will replace.
	if spare, err := s.desk.Store.Spare(); err != nil || spare < uint64(held)*snapshotBytes {
		s.desk.Log.Warn("no snapshot of the index is written: too little disk space is free", "spare_mb", spare>>20, "needed_mb", held*snapshotBytes>>20, "error", err)
		return
	}
	if err := s.index.SaveFile(s.snapshot.Path, s.snapshot.Key, s.snapshot.Random); err != nil {
		s.desk.Log.Warn("no snapshot of the index was written: the next start takes longer", "error", err)
		return
	}
	s.desk.Log.Info("snapshot of the index written", "signatures", held, "took", s.now().Sub(began).Round(time.Millisecond).String())
}

// snapshotBytes bounds what one signature takes in the file.
const snapshotBytes = 2 << 10
