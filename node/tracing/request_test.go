package tracing

import (
	"strings"
	"testing"
	"time"

	"proofmark/protocol"
)

func TestMissingAndAdvice(t *testing.T) {
	full := protocol.FirearmDescription{Kind: "pistol", Make: "Glock", Model: "17", Calibre: "9x19", Serial: "ABC123", CountryOfManufacture: "AT"}
	recovered := &protocol.Interval{From: now, To: now}
	for _, c := range []struct {
		name            string
		change          func(f *protocol.FirearmDescription)
		recovered       *protocol.Interval
		missing, advice []string // words of each line, in order
	}{
		{"full", func(*protocol.FirearmDescription) {}, recovered, nil, nil},
		{"no date", func(*protocol.FirearmDescription) {}, nil, nil, []string{"time to crime"}},
		{"nothing", func(f *protocol.FirearmDescription) { *f = protocol.FirearmDescription{} }, recovered,
			[]string{"kind", "make", "calibre", "serial number"}, []string{"model", "country of manufacture"}},
		{"manufacturer for make", func(f *protocol.FirearmDescription) { f.Make, f.Manufacturer = "", "Glock" }, recovered, nil, nil},
		{"printed gun", func(f *protocol.FirearmDescription) {
			f.Make, f.Serial, f.SerialState, f.Marks = "", "", NotMarked, "printed frame"
		}, recovered, nil, nil},
		{"printed gun, not described", func(f *protocol.FirearmDescription) { f.Make, f.Serial, f.SerialState = "", "", NotMarked }, recovered, []string{"marks"}, nil},
		{"obliterated", func(f *protocol.FirearmDescription) {
			f.Serial, f.SerialState, f.Marks = "", Obliterated, "crown over N"
		}, recovered, nil, []string{"restore"}},
		{"hardly readable", func(f *protocol.FirearmDescription) { f.Serial = "A?1?2" }, recovered, nil, []string{"too few characters"}},
		{"no digit", func(f *protocol.FirearmDescription) { f.Serial = "PARA" }, recovered, nil, []string{"no digit"}},
		{"a design for a make", func(f *protocol.FirearmDescription) { f.Make = "Colt M1911A1" }, recovered, nil, []string{"names a design"}},
		{"antique", func(f *protocol.FirearmDescription) { f.Year = 1899 }, recovered, nil, []string{"antique"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := full
			c.change(&f)
			checkLines(t, "missing", missing(f), c.missing)
			checkLines(t, "advice", advice(f, c.recovered), c.advice)
		})
	}
}

func checkLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !strings.Contains(got[i], want[i]) {
			t.Errorf("%s: %q, want lines with %q", what, got, want)
			return
		}
	}
}

func TestTimeToCrime(t *testing.T) {
	day := func(s string) time.Time {
		d, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	sale := day("2020-02-28T00:00:00Z")
	for _, c := range []struct {
		from string
		sale time.Time
		want int // -1: none
	}{
		{"2020-02-28T09:00:00Z", sale, 0},
		{"2020-02-29T00:00:00Z", sale, 1},
		{"2020-03-01T23:59:59Z", sale, 2}, // a leap year
		{"2021-02-28T00:00:00Z", sale, 366},
		{"2020-02-27T00:00:00Z", sale, -1},
		{"2020-02-29T00:30:00+01:00", sale, 0}, // still the 28th in UTC
		{"2020-02-28T09:00:00Z", time.Time{}, -1},
	} {
		got := timeToCrime(&protocol.Interval{From: day(c.from), To: day(c.from)}, c.sale)
		if got == nil && c.want != -1 || got != nil && *got != c.want {
			t.Errorf("from %v to %s: %v, want %d", c.sale, c.from, got, c.want)
		}
	}
	if timeToCrime(nil, sale) != nil {
		t.Error("a time to crime without a recovery")
	}
}

func TestDiversion(t *testing.T) {
	sold := time.Date(2001, 4, 5, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		f    NewFirearm
		want string
	}{
		{NewFirearm{}, ""},
		{NewFirearm{Status: "registered", Custody: []protocol.CustodyStep{{Role: "manufacturer", Country: "AT"}, {Role: "first-purchaser", Country: "DE", Date: sold}}},
			"the legal chain ends with the first purchaser in DE on 2001-04-05"},
		{NewFirearm{Status: "lost", StatusDate: sold, Custody: []protocol.CustodyStep{{Role: "wholesaler", Country: "FR"}}},
			"the legal chain ends with the wholesaler in FR; reported lost on 2001-04-05"},
	} {
		if got := diversion(&Firearm{NewFirearm: c.f}); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
