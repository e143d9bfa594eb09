package dispatch

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// TestANoteIsWithheldAndTheDocumentGoes: what a policy withholds stays, the rest arrives, and its reader is told what was withheld; as much where there was
// nothing, so that nobody learns of it.
func TestANoteIsWithheldAndTheDocumentGoes(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	pt.rules(`@redact("note firearm") permit (principal is Country, action == Action::"share", resource is LeadAck);`)
	for _, note := range []string{"Canary-note", ""} {
		id := pt.ack("ES", note)
		for _, batch := range deliver(pt, es, protocol.Urgent) {
			if bytes.Contains(pt.plain(batch), []byte("Canary-note")) {
				t.Error("the note left the country")
			}
		}
		last := es.got[len(es.got)-1]
		if last.Document.ID != id || !slices.Equal(last.Withheld(), []string{"note"}) || !slices.Equal(es.record(id).Terms.Withheld, []string{"note"}) {
			t.Errorf("note %q: arrived with %q withheld", note, last.Withheld())
		}
	}
	pt.rules(`permit (principal is Country, action == Action::"share", resource is LeadAck);`)
	pt.ack("ES", "a note")
	deliver(pt, es, protocol.Urgent)
	if last := es.got[len(es.got)-1]; last.Withheld() != nil || !bytes.Contains(last.Document.Body, []byte("a note")) {
		t.Errorf("where policy withholds nothing: %s, %q", last.Document.Body, last.Withheld())
	}
}

// TestWhatCannotBeWithheldStays: a policy that withholds what a type carries in the open keeps such documents in the country, and says why.
func TestWhatCannotBeWithheldStays(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt := f.bureaus["PT"]
	request := func() error {
		return pt.store.Update(t.Context(), func(tx *store.Tx) error {
			_, err := pt.Issue(tx, protocol.TypeTraceRequest, traceRequest(8), Facts{To: "ES", Actor: "olga"})
			return err
		})
	}
	pt.rules(`@redact("firearm") permit (principal is Country, action == Action::"share", resource is TraceRequest);`)
	if err := request(); !errors.Is(err, desk.ErrForbidden) || !strings.Contains(err.Error(), protocol.Inseparable(protocol.TypeTraceRequest)["firearm"]) {
		t.Errorf("a trace request whose firearm policy withholds: %v", err)
	}
	pt.rules(`@redact("place") permit (principal is Country, action == Action::"share", resource is TraceRequest);`)
	if err := request(); err != nil {
		t.Errorf("one whose place it withholds: %v", err)
	}
}

// TestWithheldNoMore: a release that withholds less tells what there is, and by that what there never was; one that withholds more takes nothing back. What
// a sender discloses is not withheld, whatever it says.
func TestWithheldNoMore(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	jws, all, id := pt.document(protocol.TypeSignature, signature("Lisboa"), nil) // it has no firearm
	c := pt.chainTo("ES", protocol.Bulk)
	for i, step := range []struct{ withheld, disclosed, want string }{
		{"agency firearm place", "", "agency firearm place"},
		{"agency firearm place", "offence", "agency firearm place"},
		{"agency firearm", "place", "agency firearm"},
		{"agency place", "", "agency"},
		{"agency offence", "agency", ""},
	} {
		f.clock.add(time.Hour)
		m := c.add(jws, func(m *protocol.Message) { m.Terms.Withheld = strings.Fields(step.withheld) }, disclosed(t, all, strings.Fields(step.disclosed)...)...)
		if r, err := es.accept(pt, pt.batch("ES", protocol.Bulk, c.seq, nil, m)); err != nil || r.UpTo != c.seq {
			t.Fatal(r, err)
		}
		if got := es.got[len(es.got)-1]; got.Document.ID != id || len(es.got) != i+1 || strings.Join(got.Withheld(), " ") != step.want {
			t.Errorf("message %d: withheld %q, want %q; handled %d times", i+1, got.Withheld(), step.want, len(es.got))
		}
	}
}
