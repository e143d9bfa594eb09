package release

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"proofmark/correlate/x3p"
	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// Waits between tries to fetch from one country: they double from least to most while it fails, and begin again when something new can be fetched.
const (
	retryLeast = 200 * time.Millisecond
	retryMost  = time.Minute
)

// errContradiction: every chunk is what was released, and the whole is not. No further try would change it.
var errContradiction = errors.New("the release contradicts itself")

// errChunk: bytes that are not those that were released. Nothing of them is kept.
var errChunk = errors.New("a chunk has another hash than was released")

// carts are the countries from which something is being fetched: one at a time from each, so that a slow one holds up nobody else.
type carts struct {
	mu   sync.Mutex
	busy map[protocol.Country]chan struct{} // told when there is something new
	all  sync.WaitGroup
}

// fetchAll fetches whatever was released until ctx ends.
func (s *Service) fetchAll(ctx context.Context) {
	defer s.carts.all.Wait()
	if s.fetch == nil {
		return
	}
	for ctx.Err() == nil {
		from, err := s.sources()
		if err != nil {
			s.desk.Log.Error("find scans to fetch", "error", err)
		}
		for _, c := range from {
			s.send(ctx, c)
		}
		timer := time.NewTimer(retryMost)
		select {
		case <-ctx.Done():
		case <-s.come:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// sources lists the countries from which something can be fetched.
func (s *Service) sources() (from []protocol.Country, err error) {
	seen := map[protocol.Country]bool{}
	err = s.desk.Store.View(func(tx *store.Tx) error {
		for _, r := range requests.ByPrefix(tx, "fetch", "") {
			if !seen[r.Counterpart] {
				seen[r.Counterpart] = true
				from = append(from, r.Counterpart)
			}
		}
		return tx.Err()
	})
	return from, err
}

// send starts the fetching from a country, or tells the one under way to look again.
func (s *Service) send(ctx context.Context, from protocol.Country) {
	s.carts.mu.Lock()
	defer s.carts.mu.Unlock()
	if s.carts.busy == nil {
		s.carts.busy = map[protocol.Country]chan struct{}{}
	}
	if again := s.carts.busy[from]; again != nil {
		signal(again)
		return
	}
	again := make(chan struct{}, 1)
	s.carts.busy[from] = again
	s.carts.all.Go(func() {
		s.fetchFrom(ctx, from, again)
	})
}

// fetchFrom fetches everything from one country, and tries again what fails, until nothing is left.
func (s *Service) fetchFrom(ctx context.Context, from protocol.Country, again chan struct{}) {
	wait := retryLeast
	for {
		left, err := s.round(ctx, from)
		if err != nil && ctx.Err() == nil {
			s.desk.Log.Info("a scan cannot be fetched yet", "peer", from, "err", err)
		}
		if ctx.Err() != nil || left == 0 && err == nil && s.rest(from, again) {
			return
		}
		if errors.Is(err, ErrRefused) {
			wait = retryMost
		}
		if err == nil {
			wait = retryLeast
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-again:
			wait = retryLeast
		case <-timer.C:
			wait = min(2*wait, retryMost)
		}
		timer.Stop()
	}
}

// rest ends the fetching from a country unless something new came in this moment.
func (s *Service) rest(from protocol.Country, again chan struct{}) bool {
	s.carts.mu.Lock()
	defer s.carts.mu.Unlock()
	select {
	case <-again:
		return false
	default:
		delete(s.carts.busy, from)
		return true
	}
}

// round tries every scan that can be fetched from a country once; left is how many requests are not complete after it.
func (s *Service) round(ctx context.Context, from protocol.Country) (left int, err error) {
	var open []*Request
	err = s.desk.Store.View(func(tx *store.Tx) error {
		for _, r := range requests.By(tx, "fetch", string(from)) {
			open = append(open, r)
		}
		return tx.Err()
	})
	if err != nil {
		return 0, err
	}
	for _, r := range open {
		for i := range r.Files {
			if !r.Files[i].Received.IsZero() {
				continue
			}
			if ferr := s.fetchFile(ctx, r, i); ferr != nil {
				err = errors.Join(err, ferr)
				left++
				if ctx.Err() == nil {
					err = errors.Join(err, s.failed(ctx, r.ID, i, ferr))
				}
				if errors.Is(ferr, errContradiction) {
					break
				}
			}
		}
	}
	return left, err
}

// fetchFile fetches one scan from where it was left.
func (s *Service) fetchFile(ctx context.Context, r *Request, i int) error {
	scan := r.Release.Scans[i]
	at, err := s.progress(r.ID, i)
	if err != nil {
		return err
	}
	t := &taking{s: s, ctx: ctx, request: r.ID, file: i, scan: scan, next: at}
	offset := min(int64(at)*scan.Chunk, scan.Size)
	return s.fetch(ctx, r.Counterpart, r.Release.Document, scan, offset, t.take, func() error { return s.keep(ctx, r.ID, i, scan) })
}

func (s *Service) progress(request string, file int) (chunks int, err error) {
	err = s.desk.Store.View(func(tx *store.Tx) error {
		chunks, err = progress(tx, request, file)
		return err
	})
	return chunks, err
}

func progress(tx *store.Tx, request string, file int) (int, error) {
	b, err := tx.Get(progressKey(request, file))
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(b))
}

// taking gathers the bytes of one stream into chunks, and keeps each once its hash is right.
type taking struct {
	s       *Service
	ctx     context.Context
	request string
	file    int
	scan    protocol.ReleasedScan
	next    int // chunk
	buf     []byte
}

func (t *taking) take(b []byte) error {
	for len(b) > 0 {
		if t.next >= len(t.scan.Chunks) {
			return fmt.Errorf("%w: more bytes than the scan has", errChunk)
		}
		want := min(t.scan.Chunk, t.scan.Size-int64(t.next)*t.scan.Chunk)
		n := min(int64(len(b)), want-int64(len(t.buf)))
		t.buf, b = append(t.buf, b[:n]...), b[n:]
		if int64(len(t.buf)) < want {
			return nil
		}
		if sum := sha256.Sum256(t.buf); hex.EncodeToString(sum[:]) != t.scan.Chunks[t.next] {
			return fmt.Errorf("%w: chunk %d of scan %.12s", errChunk, t.next, t.scan.SHA256)
		}
		if err := t.s.keepChunk(t.ctx, t.request, t.file, t.next, t.buf); err != nil {
			return err
		}
		t.next++
		t.buf = nil // the store keeps it
	}
	return nil
}

// keepChunk makes one chunk durable; it is seen by nobody before the whole is there.
func (s *Service) keepChunk(ctx context.Context, request string, file, chunk int, b []byte) error {
	return s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		if r, err := requests.Get(tx, request); err != nil {
			return err
		} else if r.State != Released {
			return desk.Conflict("request %s is %s", r.Number, r.State)
		}
		switch at, err := progress(tx, request, file); {
		case err != nil:
			return err
		case at != chunk:
			return fmt.Errorf("chunk %d came where %d is wanted", chunk, at)
		}
		if _, err := tx.PutBlob(b); err != nil {
			return err
		}
		return tx.Put(progressKey(request, file), strconv.AppendInt(nil, int64(chunk)+1, 10))
	})
}

// keep puts a scan together whose chunks are all there, and makes it visible in one transaction if it is what was released.
func (s *Service) keep(ctx context.Context, request string, file int, scan protocol.ReleasedScan) error {
	select {
	case s.whole <- struct{}{}:
		defer func() { <-s.whole }()
	case <-ctx.Done():
		return ctx.Err()
	}
	b, err := s.assemble(scan)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	if hex.EncodeToString(sum[:]) != scan.SHA256 {
		return fmt.Errorf("%w: scan %.12s has the hash %x", errContradiction, scan.SHA256, sum)
	}
	unopened := ""
	if _, err := x3p.Decode(b, x3p.Options{}); err != nil {
		unopened = err.Error()
	}
	return s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		r, err := requests.Get(tx, request)
		if err != nil {
			return err
		}
		if r.State != Released || !r.Files[file].Received.IsZero() {
			return desk.Conflict("request %s is %s", r.Number, r.State)
		}
		if _, err := tx.PutBlob(b); err != nil {
			return err
		}
		if err := dropChunks(tx, request, file, scan); err != nil {
			return err
		}
		f := &r.Files[file]
		f.Received, f.Unopened, f.LastFault = tx.Now(), unopened, ""
		if whole(r.Files) {
			r.State = Received
		}
		r.note(Step{Event: "scan received", At: tx.Now(), By: desk.Node.Name, Note: scan.SHA256[:12]})
		s.record(tx, r, protocol.ActReceive, desk.Node.Name, "scan received",
			map[string]string{"release": r.Release.Document, "scan": scan.SHA256, "bytes": strconv.FormatInt(scan.Size, 10)}, r.ID, r.Release.Document)
		return requests.Put(tx, r.ID, r)
	})
}

// assemble reads the chunks of a scan; each is checked against its hash by the store.
func (s *Service) assemble(scan protocol.ReleasedScan) ([]byte, error) {
	var whole bytes.Buffer
	whole.Grow(int(scan.Size))
	for _, h := range scan.Chunks {
		err := s.desk.Store.View(func(tx *store.Tx) error {
			b, err := tx.Blob(h)
			whole.Write(b)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("put scan %.12s together: %w", scan.SHA256, err)
		}
	}
	return whole.Bytes(), nil
}

// dropChunks forgets the chunks that were kept of a scan.
func dropChunks(tx *store.Tx, request string, file int, scan protocol.ReleasedScan) error {
	n, err := progress(tx, request, file)
	if err != nil {
		return err
	}
	for _, h := range scan.Chunks[:min(n, len(scan.Chunks))] {
		if err := tx.DeleteBlob(h); err != nil {
			return err
		}
	}
	return tx.Delete(progressKey(request, file))
}

// failed notes why a try failed. A release that contradicts itself ends there, with an entry in the log; it is the owner's to answer for.
func (s *Service) failed(ctx context.Context, request string, file int, fault error) error {
	return s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		r, err := requests.Get(tx, request)
		if err != nil || r.State != Released {
			return err
		}
		text := cut(fault.Error())
		if !errors.Is(fault, errContradiction) {
			if r.Files[file].LastFault == text {
				return nil
			}
			if errors.Is(fault, errChunk) {
				s.tally.note(r.Counterpart, "wrong-bytes", "scan stream: "+text, s.now())
			}
			r.Files[file].LastFault = text
			return requests.Put(tx, r.ID, r)
		}
		for i, scan := range r.Release.Scans {
			if r.Files[i].Received.IsZero() {
				if err := dropChunks(tx, r.ID, i, scan); err != nil {
					return err
				}
			}
		}
		r.State, r.Files[file].LastFault = Failed, text
		r.note(Step{Event: "failed", At: tx.Now(), By: desk.Node.Name, Note: text})
		s.entry(tx, r, protocol.AuditHeader{Action: protocol.ActDeny, Decision: "deny", Ground: "wrong-bytes"}, desk.Node.Name, "scan not taken in: "+text, nil, r.ID, r.Release.Document)
		return requests.Put(tx, r.ID, r)
	})
}

func cut(s string) string { return s[:min(len(s), 400)] }
