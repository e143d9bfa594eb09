package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"

	"github.com/dgraph-io/badger/v4"
)

// request is one act on its way through the writer.
type request struct {
	act   func(*Tx) error
	small bool  // see UpdateSmall
	err   error // the act's own
	hooks []func()
	done  chan error
}

// writer is the state of the one goroutine that runs acts. While one fold is being made durable by a goroutine of its own, acts are run on the next.
type writer struct {
	tree    auditTree // as committed
	fault   error     // why nothing can be appended to the audit log
	broken  error     // why nothing can be written any more
	fold    *fold     // the transaction being filled
	flying  *fold     // the one whose commit is under way
	landed  chan landing
	current *request // the act being run
}

// landing is how a commit ended.
type landing struct {
	err    error // none of the fold's writes was made
	broken error // why nothing can be written any more
}

// fold is a transaction that several acts share.
type fold struct {
	snap    *snapshot // nil if refused
	base    *overlay  // of the fold before, if that may be missing in snap
	writes  *overlay
	before  int64 // entries in the audit log without this fold
	tree    auditTree
	acts    []*request
	refusal error // nothing can be written at present
}

const (
	foldActs  = 4096     // acts in one transaction
	firstActs = 16       // in one that nothing keeps from being committed: more acts gather while it is
	foldBytes = 64 << 20 // bytes of one transaction held in memory, large values included
	// What a commit adds to the acts' own writes: the checkpoint (a note of a few hundred bytes) and Badger's end mark.
	commitSize  = 4 << 10
	commitCount = 4
)

// Update runs act in the single writer and returns when what it changed is durable. Acts that wait at the same time share one Badger
// transaction and one fsync, but not their fate: an act that fails or panics leaves nothing behind and harms no other. Each act sees
// what the acts before it did, also while that is still on its way to the disk; should it not get there, what was run on top of it has failed too.
//
// act runs on the writer's goroutine: it must do no slow work, and must not call Update (it would wait for itself). Bytes handed to
// the transaction must not be changed before Update returns. If ctx ends while the act still waits for its turn, it is not run and
// Update returns ctx's error; once it has begun, Update waits for its end. An error that is not act's own means that the act's changes
// were not made, with one exception: after ErrFailed, only a restart tells.
func (s *Store) Update(ctx context.Context, act func(*Tx) error) error {
	return s.update(ctx, &request{act: act})
}

// UpdateSmall is Update for acts that must be possible although writes have stopped at the disk reserve, because something depends on them that needs no
// room: the audit entry of a view, a session, a withdrawal. They may use up half of the reserve; more than 64 KiB of changes are as any other act's.
func (s *Store) UpdateSmall(ctx context.Context, act func(*Tx) error) error {
	return s.update(ctx, &request{act: act, small: true})
}

func (s *Store) update(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.users.Done()
	r.done = make(chan error, 1)
	select {
	case s.queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return ErrClosed
	}
	if err := <-r.done; err != nil {
		return err
	}
	for _, f := range r.hooks {
		f()
	}
	return nil
}

func (s *Store) write() {
	w := &s.w
	defer func() {
		if r := w.current; r != nil {
			// runtime.Goexit inside an act (a test's FailNow does it) ends this goroutine and cannot be held up: another takes over.
			w.current = nil
			r.err = errors.New("the act ended its goroutine")
			w.fold.acts = append(w.fold.acts, r)
			go s.write()
			return
		}
		close(s.stopped)
	}()
	for {
		if w.flying == nil && w.fold != nil {
			if s.fill(); w.flying == nil {
				s.launch()
			}
		}
		queue := s.queue
		if w.fold.full() {
			queue = nil
		}
		select {
		case r := <-queue:
			s.run(r)
		case l := <-w.landed:
			s.settle(l)
		case c := <-s.chores:
			s.finish()
			c.done <- c.do()
		case <-s.closing:
			s.finish()
			return
		}
	}
}

// fill runs what waits, as long as that is worth its while: with the first acts on their way to the disk the next ones cost nobody time.
func (s *Store) fill() {
	for s.w.fold == nil || len(s.w.fold.acts) < firstActs && !s.w.fold.full() {
		select {
		case r := <-s.queue:
			s.run(r)
		default:
			return
		}
	}
}

func (f *fold) full() bool {
	return f != nil && (len(f.acts) >= foldActs || f.writes.bytes >= foldBytes)
}

// beginFold begins the next transaction, on top of the one whose commit is under way.
func (s *Store) beginFold() {
	w := &s.w
	w.fold = &fold{writes: newOverlay(), tree: w.tree}
	if w.broken != nil {
		// Badger is not asked any more: in this state it may let a new transaction wait for ever.
		w.fold.refusal = fmt.Errorf("%w: %w", ErrFailed, w.broken)
		return
	}
	if w.flying != nil {
		w.fold.base, w.fold.tree = w.flying.writes, w.flying.tree
	}
	w.fold.before = w.fold.tree.size
	w.fold.snap = s.acquire()
}

// run runs one act and, if it succeeded, adds its writes to the fold; a fold that would grow beyond what Badger takes is committed
// first. The act's result is made known when the fold is committed.
func (s *Store) run(r *request) {
	w := &s.w
	select {
	case l := <-w.landed:
		s.settle(l)
	default:
	}
	if w.fold == nil {
		s.beginFold()
	}
	own, tree, err := s.try(r)
	if err == nil && own.len() > 0 && !s.fits(w.fold.writes, own) {
		// The act has seen what is on its way now, so its writes stand on the next transaction as well.
		if err = s.land(); err == nil {
			s.launch()
			s.beginFold()
		}
	}
	if w.fold == nil {
		s.beginFold()
	}
	if err == nil {
		w.fold.writes.merge(own)
		w.fold.tree = tree
	}
	r.err = err
	w.fold.acts = append(w.fold.acts, r)
}

// try runs one act over the fold and returns what it wrote and the audit log's tree after it.
func (s *Store) try(r *request) (*overlay, auditTree, error) {
	f := s.w.fold
	if f.refusal != nil {
		return nil, auditTree{}, f.refusal
	}
	free := uint64(math.MaxUint64)
	if s.opt.Reserve > 0 { // for each act: the disk may have been filled since the fold was begun
		var err error
		if free, err = s.free(s.opt.Dir); err != nil {
			return nil, auditTree{}, err
		}
	}
	if err := s.leaves(free, 0, s.floor(r.small)); err != nil {
		return nil, auditTree{}, err
	}
	tx := &Tx{s: s, snap: f.snap, under: f.writes, base: f.base, own: newOverlay(), now: s.opt.Now()}
	defer tx.end()
	if err := s.call(r, tx); err != nil {
		return nil, auditTree{}, err
	}
	if tx.err != nil {
		return nil, auditTree{}, tx.err
	}
	tree := f.tree
	if err := tx.appendAudit(&tree); err != nil {
		return nil, auditTree{}, err
	}
	if !s.fits(&overlay{}, tx.own) {
		return nil, auditTree{}, fmt.Errorf("%w: the act changes %d keys and %d bytes, the limit is %d keys and %d bytes: split it",
			ErrTooLarge, tx.own.len(), tx.own.size, s.db.MaxBatchCount()-commitCount, s.db.MaxBatchSize()-commitSize)
	}
	if err := s.leaves(free, f.bytes()+tx.own.bytes, s.floor(r.small && tx.own.bytes <= smallAct)); err != nil && tx.own.bytes > 0 {
		return nil, auditTree{}, err
	}
	r.hooks = tx.hooks
	return tx.own, tree, nil
}

func (s *Store) fits(under, own *overlay) bool {
	return int64(under.len()+own.len())+commitCount < s.db.MaxBatchCount() && under.size+own.size+commitSize < s.db.MaxBatchSize() &&
		(under.len() == 0 || under.bytes+own.bytes <= 2*foldBytes)
}

// call turns a panic of the act into its error.
func (s *Store) call(r *request, tx *Tx) (err error) {
	s.w.current = r
	normal := false
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in an act: %v", p)
			s.log.Error("store: panic in an act", "panic", p, "stack", string(debug.Stack()))
			normal = true
		}
		if normal {
			s.w.current = nil
		}
	}()
	err = r.act(tx)
	normal = true
	return err
}

// bytes is what the fold and the one before it are still to write.
func (f *fold) bytes() int64 {
	if f.base == nil {
		return f.writes.bytes
	}
	return f.base.bytes + f.writes.bytes
}

// launch begins to make the fold durable, which the writer does not wait for: the next acts are run meanwhile. No other commit is under way.
func (s *Store) launch() {
	w := &s.w
	f := w.fold
	w.fold, w.flying = nil, f
	landed := make(chan landing, 1)
	w.landed = landed
	if f.writes.len() == 0 { // what its acts have seen is durable, as the fold before has landed
		landed <- landing{}
		f.tell(nil)
		return
	}
	go func() {
		l := s.commit(f)
		if l.err == nil {
			s.renew()
		}
		landed <- l // first: an act of somebody who knows of a failure is not run on top of it
		f.tell(l.err)
	}()
}

// tell tells the fold's acts how they ended. An error means that none of its writes was made.
func (f *fold) tell(err error) {
	for _, r := range f.acts {
		if err != nil {
			r.err = err
		}
		r.done <- r.err
	}
}

// land waits for the commit that is under way, if there is one.
func (s *Store) land() error {
	if s.w.flying == nil {
		return nil
	}
	l := <-s.w.landed
	s.settle(l)
	return l.err
}

// settle takes note of how a commit ended. Acts that were run on top of one that failed have failed with it.
func (s *Store) settle(l landing) {
	w := &s.w
	f := w.flying
	w.flying, w.landed = nil, nil
	s.leave(f)
	if l.err == nil {
		w.tree = f.tree
		return
	}
	if l.broken != nil {
		w.broken = l.broken
	}
	if next := w.fold; next != nil {
		w.fold = nil
		s.leave(next)
		next.tell(fmt.Errorf("what was to be written before it could not be: %w", l.err))
	}
}

func (s *Store) leave(f *fold) {
	if f.snap != nil {
		s.release(f.snap)
	}
}

// finish commits all that was run.
func (s *Store) finish() {
	_ = s.land()
	if s.w.fold != nil {
		s.launch()
		_ = s.land()
	}
}

// commit makes a fold durable, beside the writer: it changes nothing of the fold, nor of the writer's state.
func (s *Store) commit(f *fold) landing {
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	if err := s.fillTxn(txn, f); err != nil {
		return landing{err: err}
	}
	if err := txn.Commit(); err != nil {
		// Whether the bytes reached the disk is unknown, and a second fsync would not tell (the kernel forgets the failure).
		s.log.Error("store: commit failed, writing stops until a restart", "error", err)
		return landing{err: fmt.Errorf("%w: %w", ErrFailed, err), broken: err}
	}
	s.commits.Add(1)
	s.acts.Add(int64(len(f.acts)))
	return landing{}
}

func (s *Store) fillTxn(txn *badger.Txn, f *fold) error {
	if f.tree.size != f.before {
		checkpoint, err := signCheckpoint(s.opt.Signer, &f.tree)
		if err == nil {
			err = txn.Set([]byte(keyCheckpoint), checkpoint)
		}
		if err != nil {
			return fmt.Errorf("write the audit log's checkpoint: %w", err)
		}
	}
	for _, block := range f.writes.blocks {
		for _, key := range block {
			var err error
			if change := f.writes.writes[key]; change.deleted {
				err = txn.Delete([]byte(key))
			} else {
				err = txn.Set([]byte(key), change.value)
			}
			if errors.Is(err, badger.ErrTxnTooBig) {
				err = fmt.Errorf("%w: %w", ErrTooLarge, err)
			}
			if err != nil {
				return fmt.Errorf("write: %w", err)
			}
		}
	}
	return nil
}
