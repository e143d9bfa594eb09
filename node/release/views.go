package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Requests lists the requests of both directions, the newest first.
func (s *Service) Requests(ctx context.Context, who desk.Actor) ([]*Request, error) {
	act := desk.Act{Actor: who, Action: policy.ScanView, Purpose: Purpose, Resource: policy.Resource{Type: policy.Scan}}
	return desk.Read(ctx, s.desk, act, protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.Scan, Event: "scan requests listed"}},
		func(tx *store.Tx) ([]*Request, error) {
			out := []*Request{}
			for _, r := range requests.All(tx) {
				out = append(out, r.view())
			}
			slices.SortFunc(out, func(a, b *Request) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.ID, a.ID)) })
			return out, tx.Err()
		})
}

// Show shows one request, by its number or id.
func (s *Service) Show(ctx context.Context, who desk.Actor, ref string) (*Request, error) {
	act := s.act(who, "", policy.ScanView, ref, nil)
	e := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.Scan, Object: s.idOf(ref), Event: "scan request viewed"}}
	return desk.Read(ctx, s.desk, act, e, func(tx *store.Tx) (*Request, error) {
		r, err := find(tx, ref)
		if err != nil {
			return nil, err
		}
		v := r.view()
		v.Files = slices.Clone(v.Files)
		for i := range v.Files {
			f := &v.Files[i]
			if r.State != Released || r.Direction != Outgoing || !f.Received.IsZero() {
				continue
			}
			n, err := progress(tx, r.ID, i)
			if err != nil {
				return nil, err
			}
			f.Kept = min(int64(n)*r.Release.Scans[i].Chunk, f.Size)
		}
		return v, nil
	})
}

// idOf names the object of an audit entry: the request's id where there is one, otherwise what was asked for.
func (s *Service) idOf(ref string) string {
	id := ref[:min(len(ref), 60)]
	_ = s.desk.Store.View(func(tx *store.Tx) error {
		if r, err := find(tx, ref); err == nil {
			id = r.ID
		}
		return nil
	})
	return id
}

// Saved is a received scan for a file.
type Saved struct {
	Request     string            `json:"request"` // its number
	Land        int               `json:"land,omitempty"`
	SHA256      string            `json:"sha256"`
	Handling    protocol.Handling `json:"handling"`
	RetainUntil time.Time         `json:"retain_until,omitzero"`
	Content     []byte            `json:"content,omitempty"`
	File        string            `json:"file,omitempty"` // where the command line put it

	Of []string `json:"of"` // the documents that released it and that it was asked for
	protocol.Said
}

// Marks implements protocol.Marked.
func (s *Saved) Marks() (protocol.Handling, []string) { return s.Handling, s.Of }

// Save hands out a received scan; land says which of a bullet's, 0 where there is one scan. The entry in the log is durable before a byte is read.
func (s *Service) Save(ctx context.Context, who desk.Actor, ref string, land int) (*Saved, error) {
	act := s.act(who, "", policy.ScanSave, ref, nil)
	e := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.Scan, Object: s.idOf(ref), Event: "scan saved to a file", Details: map[string]string{}}}
	err := s.desk.Store.View(func(tx *store.Tx) error {
		r, f, err := received(tx, ref, land)
		if err == nil {
			e.Counterpart, e.Handling, e.Documents = string(r.Counterpart), r.Handling.Codes(), []string{r.ID}
			e.Details["scan"], e.Details["number"] = f.SHA256, r.Number
		}
		return nil // the authorised view itself says what is wrong
	})
	if err != nil {
		return nil, err
	}
	return desk.Read(ctx, s.desk, act, e, func(tx *store.Tx) (*Saved, error) {
		r, f, err := received(tx, ref, land)
		if err != nil {
			return nil, err
		}
		b, err := tx.Blob(f.SHA256)
		if err != nil {
			return nil, err
		}
		_, about := r.Marks()
		return &Saved{Request: r.Number, Land: f.Land, SHA256: f.SHA256, Handling: r.Handling, RetainUntil: r.RetainUntil, Content: b, Of: about}, nil
	})
}

// received finds a scan that is here.
func received(tx *store.Tx, ref string, land int) (*Request, *File, error) {
	r, err := find(tx, ref)
	if err != nil {
		return nil, nil, err
	}
	if r.Direction != Outgoing {
		return nil, nil, desk.Conflict("request %s is for a scan of this country, which is no foreign one: `proofmark exhibit show %s`", r.Number, r.Exhibit)
	}
	if land == 0 && len(r.Files) > 1 {
		return nil, nil, desk.Invalid("request %s has %d scans, one for each land: name one with --land N", r.Number, len(r.Files))
	}
	for i := range r.Files {
		f := &r.Files[i]
		switch {
		case land != 0 && f.Land != land:
		case r.State == Erased || r.State == Withdrawn:
			return nil, nil, desk.Conflict("the scan of request %s was erased: %s", r.Number, r.Timeline[len(r.Timeline)-1].Event)
		case f.Received.IsZero():
			return nil, nil, desk.Conflict("the scan of request %s is not here yet (%s): `proofmark scan fetch %s`", r.Number, r.State, r.Number)
		default:
			return r, f, nil
		}
	}
	if len(r.Files) > 0 {
		return nil, nil, desk.NotFound("request %s has no scan of land %d: `proofmark scan show %s`", r.Number, land, r.Number)
	}
	return nil, nil, desk.Conflict("request %s is %s: there is no scan", r.Number, r.State)
}

// FetchNow tries at once what a request was released, and waits until every scan is here or a try has failed.
func (s *Service) FetchNow(ctx context.Context, who desk.Actor, ref string, tell func(done, total int64)) (*Request, error) {
	act := s.act(who, "", policy.ScanSave, ref, nil)
	e := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.Scan, Object: s.idOf(ref), Event: "scan fetched by hand"}}
	r, err := desk.Read(ctx, s.desk, act, e, func(tx *store.Tx) (*Request, error) { return find(tx, ref) })
	if err != nil {
		return nil, err
	}
	if r.Direction != Outgoing || r.State != Released && r.State != Received {
		return nil, desk.Conflict("request %s is %s: there is nothing to fetch", r.Number, r.State)
	}
	signal(s.come)
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	fault := ""
	for tries := 0; ; tries++ {
		var done, total int64
		err := s.desk.Store.View(func(tx *store.Tx) (err error) {
			if r, err = requests.Get(tx, r.ID); err != nil {
				return err
			}
			done, total, err = fetched(tx, r)
			return err
		})
		if err != nil {
			return nil, err
		}
		tell(done, total)
		for _, f := range r.Files {
			if f.LastFault != "" {
				fault = f.LastFault
			}
		}
		switch {
		case r.State == Received:
			return r.view(), nil
		case r.State != Released:
			return nil, desk.Conflict("request %s is %s", r.Number, r.State)
		case fault != "" && tries > 50:
			return nil, desk.Conflict("the scan of request %s cannot be fetched now: %s. It is tried again by itself until %s.", r.Number, fault, r.Release.Expires.Format(time.DateOnly))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-look.C:
		}
	}
}

// fetched counts the bytes that are here of what was released.
func fetched(tx *store.Tx, r *Request) (done, total int64, err error) {
	for i, f := range r.Files {
		total += f.Size
		if !f.Received.IsZero() {
			done += f.Size
			continue
		}
		n, err := progress(tx, r.ID, i)
		if err != nil {
			return 0, 0, err
		}
		done += min(f.Size, int64(n)*r.Release.Scans[i].Chunk)
	}
	return done, total, nil
}

// Expire ends releases that can no longer be used, and erases received scans whose retention has ended.
func (s *Service) Expire(ctx context.Context) error {
	var due []string
	err := s.desk.Store.View(func(tx *store.Tx) error {
		now := moment(tx.Now())
		for id, r := range requests.ByPrefix(tx, "ends", "") {
			if moment(endOf(r)) > now {
				break
			}
			due = append(due, id)
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("find scans whose time has ended: %w", err)
	}
	for _, id := range due {
		if err := s.desk.Store.Update(ctx, func(tx *store.Tx) error { return s.end(tx, id) }); err != nil {
			return fmt.Errorf("end scan request %s: %w", id, err)
		}
	}
	return nil
}

// endOf is the time that the "ends" index sorts a request by.
func endOf(r *Request) time.Time {
	if r.State == Released {
		return r.Release.Expires
	}
	return r.RetainUntil
}

func (s *Service) end(tx *store.Tx, id string) error {
	r, err := requests.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (r.State != Released && r.State != Received || endOf(r).After(tx.Now())) {
		return nil
	}
	if err != nil {
		return err
	}
	if doc, err := dispatch.Documents.Get(tx, r.Release.Document); err == nil && doc.Hold != nil && r.State == Received {
		return nil // a legal hold
	} else if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if r.State == Released {
		r.State = Lapsed
		r.note(Step{Event: "the release expired", At: tx.Now(), By: desk.Node.Name})
		s.record(tx, r, protocol.ActAlter, desk.Node.Name, "release of a scan expired", nil)
	} else {
		r.State = Erased
		r.note(Step{Event: "erased: retention ended", At: tx.Now(), By: desk.Node.Name})
	}
	if r.Direction == Outgoing {
		if err := s.eraseFiles(tx, r, "retention"); err != nil {
			return err
		}
	}
	return requests.Put(tx, r.ID, r)
}

// eraseFiles erases what is here of foreign scans: those that are whole, and the chunks of others.
func (s *Service) eraseFiles(tx *store.Tx, r *Request, ground string) error {
	for i, f := range r.Files {
		if f.Received.IsZero() {
			if err := dropChunks(tx, r.ID, i, r.Release.Scans[i]); err != nil {
				return err
			}
			continue
		}
		if err := tx.DeleteBlob(f.SHA256); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		s.entry(tx, r, protocol.AuditHeader{Action: protocol.ActErase, Decision: "permit", Ground: ground}, desk.Node.Name, "scan erased", map[string]string{"scan": f.SHA256}, r.ID, r.Release.Document)
	}
	return nil
}
