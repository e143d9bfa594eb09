package tracing

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"proofmark/node/desk"
	"proofmark/node/retention"
	"proofmark/policy"
	"proofmark/store"
)

func (b *bureau) keeping(inUse string) *retention.Service {
	rests := func(*store.Tx, string) (string, error) { return inUse, nil }
	return retention.New(retention.Options{Desk: b.Desk, Dispatch: b.Out, Periods: retention.DefaultPeriods(), Keepers: []retention.Keeper{b.Retained(rests)},
		Prove: func(context.Context, int64) ([]byte, error) { return []byte("bundle"), nil }})
}

// holds counts the places of the whole database, in clear, where a text stands.
func (b *bureau) holds(text string) int {
	b.t.Helper()
	var all bytes.Buffer
	if _, err := b.Store.Backup(b.t.Context(), 0, func(store.BackupHead) (io.Writer, error) { return &all, nil }, nil); err != nil {
		b.t.Fatal(err)
	}
	return bytes.Count(all.Bytes(), []byte(text))
}

// purge has two people decide it, and says how far it is.
func (b *bureau) purge(k *retention.Service, ref string) *retention.Review {
	b.t.Helper()
	ok[*retention.Review](b.t)(k.Purge(b.t.Context(), operator, "", ref, "retention ended"))
	v := ok[*retention.Review](b.t)(k.Purge(b.t.Context(), desk.Actor{Name: "otto", Roles: []string{policy.NCBOperator}}, "", ref, "agreed"))
	for _, p := range ok[[]*retention.Review](b.t)(k.Purges(b.t.Context(), operator)) {
		if p.ID == v.ID {
			return p
		}
	}
	b.t.Fatalf("%s is not among the purges", v.ID)
	return nil
}

func TestFirearmRecordsAndTracesArePurged(t *testing.T) {
	bs := newBureaus(t, "PT", "ES")
	pt, es := bs[0], bs[1]
	f := ok[*Firearm](t)(es.AddFirearm(t.Context(), operator, "", soldInGermany))
	q := ask("ES", "AB10482")
	q.Narrative = "canary-narrative"
	tr := ok[*Trace](t)(pt.NewTrace(t.Context(), investigator, "", q))
	deliver(t, pt, es)
	ok[*Trace](t)(es.Acknowledge(t.Context(), operator, "", tr.Number, ""))
	if list := ok[*retention.List](t)(es.keeping("").Due(t.Context(), operator, retention.Page{Within: 100 * 365 * 24 * time.Hour})).Items; len(list) != 1 || list[0].Kind != policy.KindFirearm {
		t.Errorf("what another country asked and nobody answered is not an own record: %+v", list)
	}
	ok[*Trace](t)(es.Answer(t.Context(), operator, "", tr.ID, Answer{Record: f.Reference}))
	deliver(t, es, pt)

	rule := "firearm"
	if f.Status == "registered" {
		rule = "registered"
	}
	for _, i := range ok[*retention.List](t)(es.keeping("").Due(t.Context(), operator, retention.Page{Within: 100 * 365 * 24 * time.Hour})).Items {
		if years := i.Due.Sub(i.Changed).Hours() / 24 / 365; i.Kind == policy.KindTrace && years != 20 || i.Kind == policy.KindFirearm && (i.Rule != rule || years != map[string]float64{"firearm": 20, "registered": 30}[rule]) {
			t.Errorf("%+v: %v years", i, years)
		}
	}

	if _, err := es.keeping("exhibit E1 was test-fired from it").Purge(t.Context(), operator, "", f.Reference, "x"); err == nil || !strings.Contains(err.Error(), "E1 was test-fired") {
		t.Errorf("a record in use: %v", err)
	}
	ek, pk := es.keeping(""), pt.keeping("")
	if v := es.purge(ek, f.Reference); v.State != retention.Purged || v.Kind != policy.KindFirearm {
		t.Errorf("%+v", v)
	}
	// The answer is withdrawn first: PT erases it and confirms.
	if v := es.purge(ek, "trace/"+tr.Number); v.State != retention.Withdrawing || len(v.Waits) == 0 {
		t.Errorf("%+v", v)
	}
	deliver(t, es, pt)
	deliver(t, pt, es)
	list := ok[[]*retention.Review](t)(ek.Purges(t.Context(), operator))
	for _, v := range list {
		if v.State != retention.Purged {
			t.Errorf("%+v", v)
		}
	}
	if got := ok[*Trace](t)(pt.Trace(t.Context(), operator, tr.ID)); got.Answer != nil && got.SourceWithdrawn.IsZero() {
		t.Errorf("PT holds the answer as if it stood: %+v", got)
	}
	if v := pt.purge(pk, tr.Number); v.State != retention.Withdrawing {
		t.Errorf("%+v", v)
	}
	deliver(t, pt, es)
	deliver(t, es, pt)
	if list := ok[[]*retention.Review](t)(pk.Purges(t.Context(), operator)); len(list) != 1 || list[0].State != retention.Purged || list[0].Purged.Documents != 1 {
		t.Errorf("%+v", list[0])
	}
	for b, texts := range map[*bureau][]string{es: {"canary-narrative", "AB10482", f.Reference}, pt: {"canary-narrative", "AB10482"}} {
		for _, text := range texts {
			if n := b.holds(text); n != 0 {
				t.Errorf("%s: %s still stands in %d places", b.Country, text, n)
			}
		}
	}
}
