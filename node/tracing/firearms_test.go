package tracing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

func TestAddFirearmOnce(t *testing.T) {
	es := newBureaus(t, "ES")[0]
	first := ok[*Firearm](t)(es.AddFirearm(t.Context(), operator, "k1", soldInGermany))
	if !first.FirstRetailSale.Equal(time.Date(1998, 1, 10, 0, 0, 0, 0, time.UTC)) || first.By != "olga" {
		t.Errorf("%+v", first)
	}
	es.restart()
	elsewhere := soldInGermany
	elsewhere.StatusDate = elsewhere.StatusDate.In(time.FixedZone("CET", 3600)) // the same moment
	elsewhere.Reference = " ES-RA-7 "
	for _, key := range []string{"k2", ""} {
		if again := ok[*Firearm](t)(es.AddFirearm(t.Context(), operator, key, elsewhere)); again.ID != first.ID {
			t.Error("the same content made a second record")
		}
	}
	other := soldInGermany
	other.Calibre = "9x18"
	if _, err := es.AddFirearm(t.Context(), operator, "k3", other); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "ES-RA-7") {
		t.Errorf("other content under the same reference: %v", err)
	}
	if _, err := es.AddFirearm(t.Context(), operator, "k1", other); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("the same key with another request: %v", err)
	}
	if _, err := es.AddFirearm(t.Context(), investigator, "", soldInGermany); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("an investigator records a firearm: %v", err)
	}
	if n := es.events("firearm recorded"); n != 1 {
		t.Errorf("recorded %d times in the log", n)
	}
	got := ok[*Firearm](t)(es.Firearm(t.Context(), operator, first.ID))
	if a, b := ok[[]byte](t)(json.Marshal(got)), ok[[]byte](t)(json.Marshal(first)); string(a) != string(b) {
		t.Errorf("stored as\n%s\nreturned as\n%s", a, b)
	}
	if _, err := es.Firearm(t.Context(), operator, ""); !errors.Is(err, desk.ErrNotFound) {
		t.Errorf("the firearm without a reference: %v", err)
	}
}

func TestFirearmRules(t *testing.T) {
	for _, c := range []struct {
		field  string
		change func(f *NewFirearm)
	}{
		{"reference", func(f *NewFirearm) { f.Reference = "" }},
		{"reference", func(f *NewFirearm) { f.Reference = "a\nb" }},
		{"reference", func(f *NewFirearm) { f.Reference = "0198c0de-0000-7000-8000-000000000001" }},
		{"reference", func(f *NewFirearm) { f.Reference = strings.Repeat("x", 129) }},
		{"status", func(f *NewFirearm) { f.Status = "found" }},
		{"status_date", func(f *NewFirearm) { f.StatusDate = time.Time{} }},
		{"status_date", func(f *NewFirearm) { f.StatusDate = now.AddDate(0, 0, 2) }},
		{"serial", func(f *NewFirearm) { f.Serial = "" }},
		{"serial", func(f *NewFirearm) { f.SerialState = "WORN" }},
		{"make", func(f *NewFirearm) { f.Make, f.Kind = "", "" }},
		{"make", func(f *NewFirearm) { f.Make = "a\x1bb" }},
		{"model", func(f *NewFirearm) { f.Model = strings.Repeat("x", 257) }},
		{"country_of_manufacture", func(f *NewFirearm) { f.CountryOfManufacture = "YU" }},
		{"year", func(f *NewFirearm) { f.Year = 12 }},
		{"case", func(f *NewFirearm) { f.Case = "\u202e" }},
		{"recovery_place", func(f *NewFirearm) { f.Recovery = &Recovery{Occurred: protocol.Interval{From: now, To: now}} }},
		{"recovery_from", func(f *NewFirearm) { f.Recovery = &Recovery{Place: "Porto"} }},
		{"chain_retailer", func(f *NewFirearm) { f.Custody = []protocol.CustodyStep{{Role: "retailer", Country: "XX"}} }},
		{"chain_thief", func(f *NewFirearm) { f.Custody = []protocol.CustodyStep{{Role: "thief", Country: "PT"}} }},
		{"custody", func(f *NewFirearm) { f.Custody = make([]protocol.CustodyStep, 65) }},
		{"first_retail_sale", func(f *NewFirearm) { f.FirstRetailSale = now.AddDate(1, 0, 0) }},
	} {
		f := soldInGermany
		c.change(&f)
		if err := f.Check(now); err == nil || !strings.HasPrefix(err.Error(), c.field+": ") {
			t.Errorf("%v, want a fault of %s", err, c.field)
		}
	}
	f := soldInGermany
	if err := f.Check(now); err != nil {
		t.Error(err)
	}
}

func TestSearchFindsByTheLadderAndLeavesItsMark(t *testing.T) {
	es := newBureaus(t, "ES")[0]
	for i, serial := range []string{"AB 10482", "AB10483", "A810482", "AB1048?", "XX99999"} {
		f := soldInGermany
		f.Reference, f.Serial = fmt.Sprintf("R-%d", i), serial
		ok[*Firearm](t)(es.AddFirearm(t.Context(), operator, "", f))
	}
	f := soldInGermany
	f.Reference, f.Make, f.Calibre = "R-yugo", "Yugo", "7.62x25"
	ok[*Firearm](t)(es.AddFirearm(t.Context(), operator, "", f))
	f.Reference, f.Make = "R-glock", "Glock"
	ok[*Firearm](t)(es.AddFirearm(t.Context(), operator, "", f))

	find := func(serial, make string) (out []string) {
		t.Helper()
		q := SearchQuery{FirearmDescription: protocol.FirearmDescription{Serial: serial, Make: make, Calibre: "9 mm Luger"}}
		for _, h := range ok[[]SearchHit](t)(es.SearchFirearms(t.Context(), operator, q)) {
			out = append(out, fmt.Sprintf("%d:%s", h.Rung, h.Firearm.Reference))
			if h.Why == "" || (h.Firearm.Calibre != "9x19") != (len(h.Remarks) > 0) {
				t.Errorf("%s: %s %q", h.Firearm.Reference, h.Why, h.Remarks)
			}
		}
		return out
	}
	for _, c := range []struct{ serial, make, want string }{
		{"ab-10482", "Zastava", "1:R-0 2:R-2 3:R-1 3:R-3 4:R-yugo"},
		{"AB104?2", "Zastava", "3:R-0 3:R-2 3:R-3 4:R-yugo"},
		{"AB10482", "", "1:R-0 1:R-glock 1:R-yugo 2:R-2 3:R-1 3:R-3"},
		{"ZZZ777", "Zastava", ""},
	} {
		if got := strings.Join(find(c.serial, c.make), " "); got != c.want {
			t.Errorf("%s %s found %q, want %q", c.serial, c.make, got, c.want)
		}
	}
	for _, c := range []struct{ serial, state, want string }{{"", "", "serial number"}, {"??12", "", "too few readable"}, {"--", "", "no letter"}, {"A", "X", "is not one of"}} {
		q := SearchQuery{FirearmDescription: protocol.FirearmDescription{Serial: c.serial, SerialState: c.state}}
		if _, err := es.SearchFirearms(t.Context(), operator, q); !errors.Is(err, desk.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("search for %q: %v", c.serial, err)
		}
	}
	if n := es.events("firearm search"); n != 8 { // also those that found nothing or could not be made
		t.Errorf("%d searches in the log, want 8", n)
	}
	if _, err := es.SearchFirearms(t.Context(), technician, SearchQuery{}); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("a technician searches: %v", err)
	}
	denied := ok[[]store.AuditRecord](t)(es.Store.QueryAudit(t.Context(), store.AuditQuery{Decision: "deny", Limit: 5}))
	if len(denied) != 1 || denied[0].Actor != "tina" {
		t.Errorf("the refusal is not in the log: %+v", denied)
	}
}

func TestListFirearms(t *testing.T) {
	es := newBureaus(t, "ES")[0]
	for i, c := range []struct{ status, make, calibre string }{{"lost", "Glock", "9x19"}, {"stolen", "GLOCK GmbH", "9 mm Luger"}, {"stolen", "Colt", ".45 ACP"}, {"stolen", "Star", ""}} {
		f := soldInGermany
		f.Reference, f.Status, f.Make, f.Calibre = fmt.Sprintf("R-%d", i), c.status, c.make, c.calibre
		ok[*Firearm](t)(es.AddFirearm(t.Context(), operator, "", f))
	}
	for _, c := range []struct {
		f    FirearmFilter
		want string
	}{
		{FirearmFilter{}, "R-0 R-1 R-2 R-3"},
		{FirearmFilter{Status: "stolen"}, "R-1 R-2 R-3"},
		{FirearmFilter{Make: "Glock"}, "R-0 R-1"},
		{FirearmFilter{Calibre: "9 mm Para"}, "R-0 R-1 R-3"}, // an unknown calibre never excludes
		{FirearmFilter{Case: "no such"}, ""},
		{FirearmFilter{Limit: 2}, "R-0 R-1"},
	} {
		var got []string
		list := ok[[]*Firearm](t)(es.ListFirearms(t.Context(), operator, c.f))
		for _, f := range list {
			got = append(got, f.Reference)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v lists %v, want %s", c.f, got, c.want)
		}
		if c.f.Limit == 2 {
			if rest := ok[[]*Firearm](t)(es.ListFirearms(t.Context(), operator, FirearmFilter{After: list[1].ID})); len(rest) != 2 || rest[0].Reference != "R-2" {
				t.Errorf("the next page: %+v", rest)
			}
		}
	}
	if _, err := es.ListFirearms(t.Context(), operator, FirearmFilter{Status: "found"}); !errors.Is(err, desk.ErrInvalid) {
		t.Errorf("an unknown status: %v", err)
	}
}

// file makes a CSV of n good rows.
func file(n int) string {
	var b strings.Builder
	b.WriteString(goodHeader)
	for i := range n {
		fmt.Fprintf(&b, "R-%d,registered,2024-05-31,Glock,17,9x19,AB%05d\n", i, i)
	}
	return b.String()
}

func TestImportIsAllOrNothing(t *testing.T) {
	es := newBureaus(t, "ES")[0]
	broken := file(3) + "R-9,gone,2024-05-31,Glock,17,9x19,1\n"
	report, err := es.ImportFirearms(t.Context(), operator, "k0", "guns.csv", []byte(broken))
	if !errors.Is(err, desk.ErrInvalid) || !strings.Contains(err.Error(), `guns.csv: nothing was stored, faults found: 1.`) || !strings.Contains(err.Error(), `line 5, status "gone"`) {
		t.Fatalf("%v", err)
	}
	if len(report.Faults) != 1 || report.Rows != 3 || report.ID != "" || es.stored() != 0 {
		t.Fatalf("%+v, %d stored", report, es.stored())
	}
	for name, data := range map[string]string{"header.csv": goodHeader, "utf.csv": "\xff\xfe", "empty.csv": ""} {
		if _, err := es.ImportFirearms(t.Context(), operator, "", name, []byte(data)); !errors.Is(err, desk.ErrInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := es.ImportFirearms(t.Context(), investigator, "", "guns.csv", []byte(file(1))); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("an investigator imports: %v", err)
	}

	n := 2*importAtOnce + 7 // more than one transaction
	report = ok[*ImportReport](t)(es.ImportFirearms(t.Context(), operator, "k1", "guns.csv", []byte(file(n)+"R-0,registered,2024-05-31,Glock,17,9x19,AB00000\n")))
	if report.Added != n || report.Unchanged != 1 || report.Rows != n || report.ID == "" || es.stored() != n {
		t.Fatalf("%+v, %d stored", report, es.stored())
	}
	es.restart()
	again := ok[*ImportReport](t)(es.ImportFirearms(t.Context(), operator, "k1", "guns.csv", []byte(file(n)+"R-0,registered,2024-05-31,Glock,17,9x19,AB00000\n")))
	if again.ID != report.ID || again.Added != n {
		t.Errorf("a retried command: %+v", again)
	}
	if _, err := es.ImportFirearms(t.Context(), operator, "k1", "guns.csv", []byte(file(n))); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("the same key with another file: %v", err)
	}
	same := ok[*ImportReport](t)(es.ImportFirearms(t.Context(), operator, "k2", "guns.csv", []byte(file(n))))
	if same.Added != 0 || same.Unchanged != n {
		t.Errorf("the same records again: %+v", same)
	}
	conflict := strings.Replace(file(n+1), "R-3,registered", "R-3,lost", 1)
	report, err = es.ImportFirearms(t.Context(), operator, "k3", "guns.csv", []byte(conflict))
	if !errors.Is(err, desk.ErrInvalid) || len(report.Faults) != 1 || report.Faults[0].Line != 5 || !strings.Contains(report.Faults[0].Reason, "conflict") || es.stored() != n {
		t.Errorf("%+v, %v, %d stored", report, err, es.stored())
	}
	hits := ok[[]SearchHit](t)(es.SearchFirearms(t.Context(), operator, SearchQuery{FirearmDescription: protocol.FirearmDescription{Serial: "A8-OO107", Make: "Glock"}}))
	if len(hits) == 0 || hits[0].Firearm.Reference != "R-107" || hits[0].Rung != LookAlike {
		t.Errorf("an imported record is not found: %+v", hits)
	}
	if es.events("import of firearm records begun") != 2 || es.events("import of firearm records finished") != 2 {
		t.Error("the log does not show two imports")
	}
}

func (b *bureau) stored() (n int) {
	b.t.Helper()
	err := b.Store.View(func(tx *store.Tx) (err error) {
		n, err = firearms.Count(tx)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// A crash between the transactions of an import leaves no half: the next start stores the rest.
func TestInterruptedImportIsFinished(t *testing.T) {
	es := newBureaus(t, "ES")[0]
	n := 3 * importAtOnce
	data := []byte(file(n))
	sum := sha256.Sum256(data)
	act := desk.Act{Actor: operator, Key: "k1", Action: policy.FirearmImport, Resource: policy.Resource{Type: policy.KindFirearm}, Request: []string{"guns.csv", hex.EncodeToString(sum[:])}}
	report := &ImportReport{Name: "guns.csv", SHA256: hex.EncodeToString(sum[:]), Rows: n}
	begun := ok[*load](t)(es.begin(t.Context(), act, report, data))
	p := ok[*parsed](t)(parseCSV(data, now))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := es.finish(ctx, begun.ID, p.Rows); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "to finish it") {
		t.Fatalf("an import that is interrupted at once: %v", err)
	}
	if es.stored() == n {
		t.Fatal("nothing was interrupted")
	}
	// While it is interrupted somebody records two of its firearms, one of them otherwise.
	same, other := p.Rows[n-1].Firearm, p.Rows[n-2].Firearm
	other.Status = "stolen"
	ok[*Firearm](t)(es.AddFirearm(t.Context(), operator, "", same))
	ok[*Firearm](t)(es.AddFirearm(t.Context(), operator, "", other))
	es.restart()
	if es.stored() != n {
		t.Fatalf("%d stored after the restart, want %d", es.stored(), n)
	}
	got := ok[*ImportReport](t)(es.ImportFirearms(t.Context(), operator, "k1", "guns.csv", data))
	if got.ID != begun.ID || got.Added != n-2 || got.Unchanged != 1 || len(got.Faults) != 1 || got.Faults[0].Line != n {
		t.Errorf("%+v", got)
	}
	if err := es.Store.View(func(tx *store.Tx) error { _, err := tx.Blob(begun.SHA256); return err }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the file was not let go: %v", err)
	}
}
