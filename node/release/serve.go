package release

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// Source is a scan that a country may have now.
type Source struct {
	Size     int64
	Read     func() ([]byte, error)
	Standing func() error         // an error once the scan may no longer be had
	Sent     func(confirmed bool) // the last byte has left; confirmed: the other side says that it is durable there
}

// Open decides whether a country may have a released scan now, from an offset on. The entry in the log is durable before the first byte is read. Whatever
// stands in the way is ErrNotReleased; refusals are counted in the log by country and minute.
func (s *Service) Open(ctx context.Context, to protocol.Country, release, sha256 string, offset int64) (*Source, error) {
	var src *Source
	err := s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		r, i, err := s.permitted(tx, to, release, sha256)
		if err == nil {
			err = s.allowed(tx, to, release)
		}
		if err != nil {
			return err
		}
		file := &r.Files[i]
		if file.Opened >= maxOpened {
			return fmt.Errorf("%w: opened %d times", ErrNotReleased, file.Opened)
		}
		file.Opened++
		s.record(tx, r, protocol.ActDisclose, "node", "scan stream opened",
			map[string]string{"release": release, "scan": sha256, "offset": strconv.FormatInt(offset, 10), "times": strconv.Itoa(file.Opened)}, r.ID, release)
		src = &Source{Size: file.Size}
		return requests.Put(tx, r.ID, r)
	})
	if errors.Is(err, ErrNotReleased) {
		s.tally.note(to, "no-release", "scan stream: "+err.Error(), s.now())
	}
	if err != nil {
		return nil, err
	}
	src.Read = func() (b []byte, err error) {
		err = s.desk.Store.View(func(tx *store.Tx) error {
			b, err = tx.Blob(sha256)
			return err
		})
		return b, err
	}
	src.Standing = func() error {
		return s.desk.Store.View(func(tx *store.Tx) error {
			_, _, err := s.permitted(tx, to, release, sha256)
			if err == nil {
				err = s.allowed(tx, to, release)
			}
			return err
		})
	}
	src.Sent = func(confirmed bool) {
		if err := s.sent(ctx, to, release, sha256, confirmed); err != nil && ctx.Err() == nil {
			s.desk.Log.Error("record that a scan was sent", "peer", to, "release", release, "error", err)
		}
	}
	return src, nil
}

// permitted finds the request and the file of a release under which a country may have a scan now.
func (s *Service) permitted(tx *store.Tx, to protocol.Country, release, sha256 string) (*Request, int, error) {
	var r *Request
	for _, found := range requests.By(tx, "release", release) {
		r = found
	}
	if err := tx.Err(); err != nil {
		return nil, 0, err
	}
	no := func(why string) (*Request, int, error) { return nil, 0, fmt.Errorf("%w: %s", ErrNotReleased, why) }
	switch {
	case r == nil || r.Direction != Incoming:
		return no("no such release")
	case r.Counterpart != to:
		return no("it is for " + string(r.Counterpart))
	case r.State != Released && r.State != Received:
		return no("the request is " + string(r.State))
	case !tx.Now().Before(r.Release.Expires):
		return no("it expired")
	}
	for _, id := range []string{release, r.Signature} { // what was withdrawn stops at once
		doc, err := dispatch.Documents.Get(tx, id)
		if errors.Is(err, store.ErrNotFound) || err == nil && !standing(doc) {
			return no("withdrawn")
		}
		if err != nil {
			return nil, 0, err
		}
	}
	for i, f := range r.Files {
		if f.SHA256 == sha256 {
			return r, i, nil
		}
	}
	return no("another scan than was released")
}

// sent records the end of a stream that carried a scan to its last byte.
func (s *Service) sent(ctx context.Context, to protocol.Country, release, sha256 string, confirmed bool) error {
	return s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		r, i, err := s.permitted(tx, to, release, sha256)
		if errors.Is(err, ErrNotReleased) {
			return nil // it ended in the very moment
		}
		if err != nil {
			return err
		}
		f := &r.Files[i]
		if !f.Received.IsZero() || !f.Sent.IsZero() && !confirmed {
			return nil
		}
		f.Sent = tx.Now()
		event := "scan sent"
		if confirmed {
			f.Received = tx.Now()
			event = "scan sent and received"
			if whole(r.Files) {
				r.State = Received
			}
		}
		r.note(Step{Event: event, At: tx.Now(), Country: to, Note: sha256[:12]})
		s.record(tx, r, protocol.ActDisclose, "node", event, map[string]string{"release": release, "scan": sha256, "bytes": strconv.FormatInt(f.Size, 10)}, r.ID, release)
		return requests.Put(tx, r.ID, r)
	})
}

func whole(files []File) bool {
	for _, f := range files {
		if f.Received.IsZero() {
			return false
		}
	}
	return true
}

// allowed asks the policy in force once more about what was released and not yet fetched.
func (s *Service) allowed(tx *store.Tx, to protocol.Country, release string) error {
	dec, err := s.out.StillShared(tx, release, to)
	if err == nil && !dec.Allow {
		err = fmt.Errorf("%w: policy does not let it go any more", ErrNotReleased)
	}
	return err
}
