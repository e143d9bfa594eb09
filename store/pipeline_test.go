package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// gate is a signer at which a commit waits until it is let through, or told to fail.
type gate struct {
	note.Signer
	mu      sync.Mutex
	shut    bool
	waiting chan chan error
}

func (g *gate) Sign(msg []byte) ([]byte, error) {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut {
		answer := make(chan error)
		g.waiting <- answer
		if err := <-answer; err != nil {
			return nil, err
		}
	}
	return g.Signer.Sign(msg)
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
}

func gated(t *testing.T) (*Store, *gate) {
	opt := testOptions(t.TempDir())
	g := &gate{Signer: opt.Signer, waiting: make(chan chan error)}
	opt.Signer = g
	return open(t, opt), g
}

// begin starts an act and returns where its end is told.
func begin(s *Store, act func(*Tx) error) chan error {
	done := make(chan error, 1)
	go func() { done <- s.Update(background, act) }()
	return done
}

func noted(tx *Tx, key string) error {
	tx.Audit(entry(key, key))
	return tx.Put(key, []byte(key))
}

// While a commit is under way the next acts are run on top of it; nobody is told of anything before it is durable, and views see what was committed before.
func TestActsRunBesideACommit(t *testing.T) {
	s, g := gated(t)
	if err := s.Update(background, func(tx *Tx) error {
		return errors.Join(noted(tx, "a0"), noted(tx, "c0"), things.Put(tx, "t", &thing{Name: "first"}))
	}); err != nil {
		t.Fatal(err)
	}
	g.set(true)
	first := begin(s, func(tx *Tx) error {
		return errors.Join(noted(tx, "b1"), tx.Delete("a0"), things.Put(tx, "t", &thing{Name: "second"}))
	})
	flying := <-g.waiting

	ran := make(chan struct{})
	second := begin(s, func(tx *Tx) error {
		defer close(ran)
		if got := strings.Join(scanKeys(tx, "", ""), " "); got != "b1 c0" {
			t.Errorf("an act beside a commit scans %q", got)
		}
		if v, err := things.Get(tx, "t"); err != nil || v.Name != "second" {
			t.Errorf("an act beside a commit reads %v, %v", v, err)
		}
		if _, err := tx.Get("a0"); !errors.Is(err, ErrNotFound) {
			t.Errorf("what was deleted before: %v", err)
		}
		return errors.Join(noted(tx, "d2"), tx.Delete("b1"), tx.Put("a0", nil))
	})
	<-ran
	reading := begin(s, func(tx *Tx) error { _, err := tx.Get("d2"); return err }) // writes nothing, and depends on what is not durable
	view(t, s, func(tx *Tx) error {
		if got := strings.Join(scanKeys(tx, "", ""), " "); got != "a0 c0" {
			t.Errorf("a view beside a commit scans %q", got)
		}
		return nil
	})
	select {
	case err := <-first:
		t.Errorf("acknowledged before it was durable: %v", err)
	case err := <-second:
		t.Errorf("acknowledged before it was durable: %v", err)
	case err := <-reading:
		t.Errorf("acknowledged before what it saw was durable: %v", err)
	default:
	}
	flying <- nil
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	view(t, s, func(tx *Tx) error {
		if got := strings.Join(scanKeys(tx, "", ""), " "); got != "b1 c0" {
			t.Errorf("after the first commit: %q", got)
		}
		return nil
	})
	flying = <-g.waiting // the second one's
	g.set(false)
	flying <- nil
	if err := errors.Join(<-second, <-reading); err != nil {
		t.Fatal(err)
	}
	view(t, s, func(tx *Tx) error {
		if got := strings.Join(scanKeys(tx, "", ""), " "); got != "a0 c0 d2" {
			t.Errorf("after both: %q", got)
		}
		return nil
	})
	if r := verify(t, s); r.Size != 4 {
		t.Errorf("%d audit entries, want 4", r.Size)
	}
}

// Acts that were run on top of a commit that fails fail with it, and leave nothing; those after them stand on what was durable before.
func TestActsBesideAFailedCommit(t *testing.T) {
	s, g := gated(t)
	if err := s.Update(background, func(tx *Tx) error { return noted(tx, "a") }); err != nil {
		t.Fatal(err)
	}
	g.set(true)
	first := begin(s, func(tx *Tx) error { return noted(tx, "b") })
	flying := <-g.waiting
	ran := make(chan struct{})
	hooked := false
	second := begin(s, func(tx *Tx) error {
		defer close(ran)
		tx.OnCommit(func() { hooked = true })
		return noted(tx, "c")
	})
	<-ran
	g.set(false)
	flying <- errors.New("no ink")
	for _, done := range []chan error{first, second} {
		if err := <-done; err == nil || !strings.Contains(err.Error(), "no ink") || errors.Is(err, ErrFailed) {
			t.Errorf("an act of or beside a failed commit: %v", err)
		}
	}
	if hooked {
		t.Error("the hook of an act that was not committed ran")
	}
	if err := s.Update(background, func(tx *Tx) error {
		if got := strings.Join(scanKeys(tx, "", ""), " "); got != "a" {
			t.Errorf("after a failed commit: %q", got)
		}
		return noted(tx, "d")
	}); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, s); r.Size != 2 {
		t.Errorf("%d audit entries, want 2", r.Size)
	}
}

// Many writers that read what others wrote, with failures between: each number is taken once, in order, and the log has an entry for each.
func TestManyWritersInAPipeline(t *testing.T) {
	s := openTest(t)
	const writers, each = 16, 25
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				err := s.Update(background, func(tx *Tx) error {
					n := len(scanKeys(tx, "n/", ""))
					if err := noted(tx, fmt.Sprintf("n/%04d", n)); err != nil {
						return err
					}
					if (w+i)%5 == 0 {
						return errors.New("thought better of it")
					}
					return nil
				})
				if (err != nil) != ((w+i)%5 == 0) {
					t.Error(err)
				}
				view(t, s, func(tx *Tx) error {
					head, err := tx.auditHead()
					if n := len(scanKeys(tx, "n/", "")); err == nil && int64(n) != head.size {
						t.Errorf("a view sees %d keys and a log of %d", n, head.size)
					}
					return err
				})
			}
		})
	}
	wg.Wait()
	want := writers * each * 4 / 5
	view(t, s, func(tx *Tx) error {
		keys := scanKeys(tx, "n/", "")
		if len(keys) != want || keys[want-1] != fmt.Sprintf("n/%04d", want-1) {
			t.Errorf("%d keys, want %d", len(keys), want)
		}
		return nil
	})
	if r := verify(t, s); r.Size != int64(want) {
		t.Errorf("%d audit entries, want %d", r.Size, want)
	}
}

// A chore is done between two commits, also while acts come without a pause.
func TestChoreBetweenCommits(t *testing.T) {
	s := openTest(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := s.Update(background, func(tx *Tx) error { return tx.Put(fmt.Sprint(w, i), nil) }); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 20 {
		if err := s.alone(background, func() error {
			if s.w.fold != nil || s.w.flying != nil {
				t.Error("a chore beside a commit")
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}

// An act that began while a commit was under way, and still runs when that has landed, knows what views have shown since: a member that was shown a
// checkpoint is quick to ask about it.
func TestActsBesideACommitKnowWhatViewsShow(t *testing.T) {
	s, g := gated(t)
	g.set(true)
	first := begin(s, func(tx *Tx) error { return noted(tx, "a") })
	flying := <-g.waiting
	began, asked := make(chan struct{}), make(chan struct{})
	second := begin(s, func(tx *Tx) error {
		close(began)
		<-asked
		shown, err := s.Checkpoint()
		if err != nil {
			return err
		}
		size, root, err := ParseCheckpoint(shown)
		if err != nil || size != 1 {
			return fmt.Errorf("a view shows %d entries: %w", size, err)
		}
		own, err := tx.Checkpoint()
		if err != nil || string(own) != string(shown) {
			t.Errorf("a view shows %q, the act %q, %v", shown, own, err)
		}
		if known, err := tx.AuditRootAt(size); err != nil || known != root {
			t.Errorf("the log had the root %v, the act knows %v, %v", root, known, err)
		}
		return noted(tx, "b")
	})
	<-began
	g.set(false)
	flying <- nil
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	close(asked)
	if err := <-second; err != nil {
		t.Fatal(err)
	}
}

// The disk may be filled while a transaction gathers acts beside a commit: each act goes by what is free when it runs.
func TestActsBesideACommitSeeTheDiskFill(t *testing.T) {
	opt := testOptions(t.TempDir())
	opt.Reserve = 1 << 20
	g := &gate{Signer: opt.Signer, waiting: make(chan chan error)}
	opt.Signer = g
	s := open(t, opt)
	var free atomic.Uint64
	free.Store(1 << 40)
	s.free = func(string) (uint64, error) { return free.Load(), nil }
	g.set(true)
	first := begin(s, func(tx *Tx) error { return noted(tx, "a") })
	flying := <-g.waiting
	ran := make(chan struct{})
	second := begin(s, func(tx *Tx) error {
		defer close(ran)
		return noted(tx, "b")
	})
	<-ran
	free.Store(opt.Reserve - 1)
	third := begin(s, func(tx *Tx) error { return noted(tx, "c") })
	small, looked := make(chan error, 1), make(chan struct{}) // may still write, and comes behind the third
	go func() {
		small <- s.UpdateSmall(background, func(tx *Tx) error {
			defer close(looked)
			return noted(tx, "d")
		})
	}()
	<-looked
	g.set(false)
	flying <- nil
	if err := errors.Join(<-first, <-second, <-small); err != nil {
		t.Error(err)
	}
	if err := <-third; !errors.Is(err, ErrDiskReserve) {
		t.Errorf("on a full disk: %v", err)
	}
}
