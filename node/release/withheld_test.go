package release

import (
	"slices"
	"testing"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

// TestARefusalWithoutItsNote: policy withholds the note of a refusal, even where the reason is that the note says it: the request is refused, and the record
// says what is withheld. Released more widely, the note is there, and nothing happens twice.
func TestARefusalWithoutItsNote(t *testing.T) {
	f, signature, _ := hidden(t)
	es, pt := f.bureaus["ES"], f.bureaus["PT"]
	es.Engine = rules(t, `@redact("note") permit (principal == Country::"PT", action == Action::"share", resource is ScanRefusal);`)
	asked := pt.ask(signature, "ES")
	if _, err := es.Refuse(t.Context(), ncb, "", asked.Number, protocol.ScanOther, "until the trial"); err != nil {
		t.Fatal(err)
	}
	f.Clock.Set(begin.Add(time.Hour))
	if err := es.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.carry("ES", "PT")
	r := pt.show(asked.ID)
	if r.State != Refused || r.Refusal.Code != protocol.ScanOther || r.Refusal.Note != "" || !slices.Equal(r.Refusal.Withheld, []string{"note"}) {
		t.Fatalf("the request is %s, %+v", r.State, r.Refusal)
	}
	es.Engine = rules(t, "")
	document := es.show(asked.ID).Refusal.Document
	err := es.Store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.Enqueue("PT", string(protocol.Urgent), document)
	})
	if err != nil {
		t.Fatal(err)
	}
	f.carry("ES", "PT")
	wide := pt.show(asked.ID)
	last := wide.Timeline[len(wide.Timeline)-1]
	if wide.Refusal.Note != "until the trial" || wide.Refusal.Withheld != nil || len(wide.Timeline) != len(r.Timeline) || last.Note != "until the trial" {
		t.Errorf("after a wider release: %+v, %+v", wide.Refusal, wide.Timeline)
	}
}
