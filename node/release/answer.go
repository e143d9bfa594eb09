package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"proofmark/node/ballistics"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// answersAtOnce bounds the refusals of one transaction.
const answersAtOnce = 256

// Answer sends every refusal whose tick has come. All that differs between them was done before: here each takes the same steps.
func (s *Service) Answer(ctx context.Context) error {
	for more := true; more; {
		err := s.desk.Store.Update(ctx, func(tx *store.Tx) error {
			more = false
			n, now := 0, moment(tx.Now())
			for _, r := range requests.ByPrefix(tx, "due", "") {
				if moment(r.Due) > now {
					break
				}
				if n == answersAtOnce {
					more = true
					break
				}
				n++
				if err := s.sendRefusal(tx, r); err != nil {
					return fmt.Errorf("refuse request %s of %s: %w", r.Number, r.Counterpart, err)
				}
			}
			return tx.Err()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) sendRefusal(tx *store.Tx, r *Request) error {
	body := &protocol.ScanRefusalBody{Request: r.ID, Signature: r.Signature, Code: r.Refusal.Code, Note: r.Refusal.Note}
	// Policy and log are told nothing of the exhibit: what they know must not make a difference here.
	facts := dispatch.Facts{To: r.Counterpart, Purpose: r.Purpose, Kind: policy.Scan, Object: r.ID, Actor: desk.Node.Name}
	doc, err := s.out.Issue(tx, protocol.TypeScanRefusal, body, facts)
	switch {
	case errors.Is(err, desk.ErrForbidden), errors.Is(err, desk.ErrInvalid): // no answer goes to this country now: suspended, or policy denies it
		r.note(Step{Event: "not answered: " + err.Error(), At: tx.Now(), By: desk.Node.Name})
	case err != nil:
		return err
	default:
		r.Refusal.Document = doc
		r.note(Step{Event: "refused", At: tx.Now(), By: r.Refusal.By, Document: doc})
	}
	r.State = Refused
	return requests.Put(tx, r.ID, r)
}

// measure computes what a release says of the scans: their hashes and those of their chunks. It reads all bytes: not within a transaction.
func (s *Service) measure(files []ballistics.BehindFile) ([]protocol.ReleasedScan, error) {
	var out []protocol.ReleasedScan
	chunks := 0
	for _, f := range files {
		var b []byte
		err := s.desk.Store.View(func(tx *store.Tx) (err error) {
			b, err = tx.Blob(f.Hash)
			return err
		})
		if err != nil {
			return nil, err
		}
		scan := protocol.ReleasedScan{Land: f.Land, SHA256: f.Hash, Size: int64(len(b)), MediaType: protocol.MediaX3P, Chunk: s.chunk}
		for len(b) > 0 {
			n := min(int64(len(b)), s.chunk)
			sum := sha256.Sum256(b[:n])
			scan.Chunks = append(scan.Chunks, hex.EncodeToString(sum[:]))
			b = b[n:]
		}
		if chunks += len(scan.Chunks); chunks > protocol.MaxScanChunks {
			return nil, desk.Conflict("the scans behind the signature have more than %d chunks of %d bytes: they cannot be released in one document", protocol.MaxScanChunks, s.chunk)
		}
		out = append(out, scan)
	}
	return out, nil
}

// release issues the signed release, in the caller's transaction.
func (s *Service) release(tx *store.Tx, r *Request, f *findings, v verdict, scans []protocol.ReleasedScan, by desk.Actor) error {
	expires := tx.Now().Add(s.valid).UTC().Truncate(time.Second)
	body := &protocol.ScanReleaseBody{Request: r.ID, Signature: r.Signature, ROI: string(f.behind.ROI), Scans: scans, Handling: v.handling.Texts(s.desk.Country), Expires: expires}
	if until := v.until; v.retain > 0 || !until.IsZero() {
		if end := tx.Now().Add(v.retain); v.retain > 0 && (until.IsZero() || end.Before(until)) {
			until = end
		}
		until = until.UTC().Truncate(time.Second)
		body.RetainUntil = &until
		if until.Before(expires) {
			body.Expires = until
		}
	}
	attrs := map[string]any{}
	for k, a := range f.attrs {
		attrs[k] = a
	}
	delete(attrs, "handling") // dispatch knows it from the markings
	facts := dispatch.Facts{To: r.Counterpart, Purpose: r.Purpose, Kind: policy.Scan, Object: r.ID, Case: r.Case, Actor: by.Name, Attributes: attrs, Event: f.event, Handling: v.handling,
		TwoPeople: len(r.Approvals) >= 2}
	doc, err := s.out.Issue(tx, protocol.TypeScanRelease, body, facts)
	if err != nil {
		return err
	}
	r.State, r.Due, r.Handling = Released, time.Time{}, v.handling
	r.Release = &Release{Document: doc, ROI: body.ROI, Scans: scans, Expires: body.Expires, At: tx.Now()}
	r.Files = nil
	for _, scan := range scans {
		r.Files = append(r.Files, File{Land: scan.Land, SHA256: scan.SHA256, Size: scan.Size})
	}
	r.note(Step{Event: "released", At: tx.Now(), By: by.Name, Document: doc})
	s.record(tx, r, protocol.ActDisclose, by.Name, "scan released", map[string]string{"release": doc, "exhibit": r.Exhibit, "expires": body.Expires.Format(time.RFC3339)}, r.ID, doc)
	return nil
}
