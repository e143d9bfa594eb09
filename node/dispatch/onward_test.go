package dispatch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// about issues a lead acknowledgement that is based on foreign documents.
func (b *bureau) about(to protocol.Country, based ...string) (id string, err error) {
	lead, err := protocol.NewID(begin, b.random)
	if err != nil {
		return "", err
	}
	err = b.store.Update(context.Background(), func(tx *store.Tx) error {
		id, err = b.Issue(tx, protocol.TypeLeadAck, &protocol.LeadAckBody{Lead: lead, Pair: "pair"}, Facts{To: to, Kind: "lead", Object: "pair", Actor: "olga", Based: based})
		return err
	})
	return id, err
}

// What PT gave to ES under H2 leaves ES to nobody but PT, whatever ES's own policy says; PT's permission lets it go, and its end holds what is queued.
func TestOnwardTransfer(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	pt.rules(`@handling("H2") permit (principal is Country, action == Action::"share", resource);`)
	es.rules(`permit (principal is Country, action == Action::"share", resource);`)
	source := pt.publish(signature("x"), attributes())
	deliver(pt, es, protocol.Bulk)

	_, err := es.about("FR", source)
	if !errors.Is(err, desk.ErrForbidden) || !strings.Contains(err.Error(), "it carries H2 of PT, which has not permitted that it is passed on to FR") {
		t.Fatalf("H2 of PT to FR: %v", err)
	}
	if _, err := es.about("PT", source); err != nil {
		t.Fatalf("H2 of PT to PT: %v", err)
	}
	granted := "019ca945-0a00-7b42-a586-06c23b4b5054"
	es.UsePermissions(func(_ *store.Tx, owner, to protocol.Country, about []string) (string, error) {
		if owner == "PT" && to == "FR" && slices.Contains(about, source) {
			return granted, nil
		}
		return "", nil
	})
	passed, err := es.about("FR", source)
	if err != nil {
		t.Fatalf("H2 of PT to FR with permission: %v", err)
	}
	deliver(es, fr, protocol.Urgent)
	if fr.record(passed) == nil || !slices.Equal(fr.record(passed).Handling("FR"), protocol.MarkedBy("PT", "H2")) {
		t.Errorf("FR holds %+v: it must know that PT's permission is needed", fr.record(passed))
	}
	if n := es.entries(func(r store.AuditRecord) bool { return r.Event == "sent" && r.Details["permission_of_PT"] == granted }); n != 1 {
		t.Errorf("%d entries name the permission", n)
	}
	queued, err := es.about("FR", source)
	if err != nil {
		t.Fatal(err)
	}
	es.view(func(tx *store.Tx) error {
		e, err := es.Explain(tx, queued, "FR")
		if err != nil || !e.Allow || !slices.Equal(e.Sources["onward:PT"], []string{granted + " (permission of PT)"}) {
			t.Errorf("explained as %+v, %v", e, err)
		}
		return nil
	})
	es.UsePermissions(nil)
	es.view(func(tx *store.Tx) error {
		e, err := es.Explain(tx, queued, "FR")
		if err != nil || e.Allow || !slices.Equal(e.Policies, []string{"no-onward-transfer-without-PT (built in)"}) || len(e.Errors) == 0 {
			t.Errorf("explained as %+v, %v", e, err)
		}
		return nil
	})
	if sent := deliver(es, fr, protocol.Urgent); len(sent) != 0 || es.delivery(queued, "FR").State != Denied {
		t.Errorf("a permission that ended let %d batches go: %+v", len(sent), es.delivery(queued, "FR"))
	}
}

// An owner that becomes stricter after something was made of its information, and before that leaves, is heeded.
func TestOwnerBecomesStricter(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	es := f.bureaus["ES"]
	es.rules(`permit (principal is Country, action == Action::"share", resource);`)
	source := f.bureaus["PT"].publish(signature("x"), attributes())
	deliver(f.bureaus["PT"], es, protocol.Bulk)
	id, err := es.about("FR", source)
	if err != nil {
		t.Fatal(err)
	}
	es.update(func(tx *store.Tx) error {
		rec, err := Documents.Get(tx, source)
		if err != nil {
			return err
		}
		rec.Terms.Handling = append(rec.Terms.Handling, "H2")
		return Documents.Put(tx, source, rec)
	})
	if sent := deliver(es, f.bureaus["FR"], protocol.Urgent); len(sent) != 0 || es.delivery(id, "FR").State != Denied {
		t.Errorf("%d batches, %+v", len(sent), es.delivery(id, "FR"))
	}
}

// What an earlier program kept of an own document's codes is this country's own demand: policy hears of it, the recipient is bound, nothing is foreign.
func TestCodesOfAnEarlierProgram(t *testing.T) {
	rec := &Record{Facts: &Facts{Attributes: map[string]any{"handling": policy.Native([]any{"H2", "H1"})}}}
	if got := rec.Handling("PT"); !slices.Equal(got, protocol.MarkedBy("PT", "H1", "H2")) || len(got.Without("PT")) != 0 {
		t.Errorf("%v", got)
	}
}
