package tracing

import (
	"errors"
	"slices"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// maxBasis bounds what one request or answer may be made of.
const maxBasis = 32

// basis finds the traces and foreign documents that something is made of, and unites what their owners demand.
func (s *Service) basis(tx *store.Tx, refs []string) (protocol.Handling, []string, error) {
	if len(refs) > maxBasis {
		return nil, nil, desk.Invalid("it is based on %d traces and documents, at most %d can be named", len(refs), maxBasis)
	}
	var all protocol.Handling
	var documents []string
	for _, ref := range refs {
		ids := []string{ref}
		tr, err := findTrace(tx, ref)
		switch {
		case err == nil:
			all = protocol.UnionHandling(all, tr.Handling)
			ids = slices.Concat([]string{tr.ID}, tr.documents(), tr.Based)
		case !errors.Is(err, store.ErrNotFound) && !errors.Is(err, desk.ErrNotFound):
			return nil, nil, err
		}
		found := err == nil
		for _, id := range ids {
			doc, err := dispatch.Documents.Get(tx, id)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, nil, err
			}
			found = true
			if doc.Status == dispatch.Own || doc.Status == dispatch.Recalled {
				continue
			}
			all = protocol.UnionHandling(all, doc.Handling(s.desk.Country))
			if !slices.Contains(documents, id) {
				documents = append(documents, id)
			}
		}
		if !found {
			return nil, nil, desk.NotFound("%s is neither a trace nor a document of this node: `proofmark trace list` and `proofmark document list` show them", shorten(ref))
		}
	}
	return all, documents, nil
}

// documents are those of a trace's timeline.
func (t *Trace) documents() []string {
	var out []string
	for _, s := range t.Timeline {
		if s.Document != "" {
			out = append(out, s.Document)
		}
	}
	return out
}
