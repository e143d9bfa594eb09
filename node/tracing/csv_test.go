package tracing

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const goodHeader = "reference,status,status_date,make,model,calibre,serial\n"

func TestParseCSVReadsEveryColumn(t *testing.T) {
	data := "\ufeffReference;Status;status date;kind;action;make;manufacturer;importer;model;calibre;serial;serial-state;country_of_manufacture;year;marks;case;" +
		"recovery_place;recovery_from;recovery_to;recovery_circumstances;recovery_case;recovery_received;chain_manufacturer;chain_retailer;chain_first_purchaser\r\n" +
		"R-1;Stolen;2024-05-31;pistol;semi-automatic;Zastava;Zastava Arms;Century;CZ 99;9 mm Luger;AB-12?;partial;RS;1998;\"proof; BNP\";C-7;" +
		"Porto;2024-06-01;;hidden in a car;C-8;2024-06-02T10:00:00Z;RS 1998-02-01 Zastava Arms;DE  2001-03-04  Waffen  Huber;DE 2001-04-05\r\n"
	p, err := parseCSV([]byte(data), now)
	if err != nil || len(p.Faults) > 0 || len(p.Rows) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	f := p.Rows[0].Firearm
	if f.Reference != "R-1" || f.Status != "stolen" || !f.StatusDate.Equal(time.Date(2024, 5, 31, 0, 0, 0, 0, time.UTC)) || f.Make != "Zastava" ||
		f.Importer != "Century" || f.Serial != "AB-12?" || f.SerialState != Partial || f.Year != 1998 || f.Marks != "proof; BNP" || f.Case != "C-7" {
		t.Errorf("%+v", f)
	}
	if f.Recovery == nil || f.Recovery.Place != "Porto" || f.Recovery.Occurred.To.Sub(f.Recovery.Occurred.From) != 24*time.Hour-time.Second || f.Recovery.Received.IsZero() {
		t.Errorf("recovery %+v", f.Recovery)
	}
	if len(f.Custody) != 3 || f.Custody[1].Name != "Waffen Huber" || f.Custody[1].Country != "DE" || !f.FirstRetailSale.Equal(time.Date(2001, 4, 5, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("custody %+v, first retail sale %v", f.Custody, f.FirstRetailSale)
	}
}

func TestParseCSVReportsEveryBrokenRow(t *testing.T) {
	data := goodHeader +
		"R-1,lost,2024-05-31,Glock,17,9x19,AB123\n" + // good
		"R-2,gone,2024-05-31,Glock,17,9x19,AB124\n" +
		"R-3,lost,31.05.2024,Glock,17,9x19,AB125\n" +
		",lost,2024-05-31,Glock,17,9x19,AB126\n" +
		"R-5,lost,2024-05-31,Glock,17\n" +
		"R-6,lost,2027-05-31,Glock,17,9x19,\n" +
		"R-7,lost,2024-05-31,Gl\"ock,17,9x19,AB128\n" +
		"R-1,lost,2024-05-31,Glock,17,9x19,AB123\n" + // the same again
		"R-1,lost,2024-05-31,Glock,17,9x19,AB129\n" +
		"R-9,lost,2024-05-31,Glock,17,9x19,\"AB\x07129\"\n" +
		"\"R-\n10\",lost,2024-05-31,Glock,17,9x19,AB130\n" + // a line break in a quoted field
		"R-11,lost,2024-05-31,Glock,17,9x19,\"AB131\n"
	p, err := parseCSV([]byte(data), now)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range p.Faults {
		got = append(got, f.String())
	}
	want := []string{
		`line 3, status "gone": "gone" is not one of`,
		`line 4, status_date "31.05.2024": not a date`,
		`line 5, reference: missing`,
		`line 6: 5 fields, the header has 7`,
		`line 7, status_date "2027-05-31": 2027-05-31 is in the future`,
		`line 7, serial: missing: give it as read`,
		`line 8: bare "`,
		`line 10, reference "R-1": stands in line 2 with other content`,
		`line 11, serial "AB` + "\ufffd" + `129": contains the control character U+0007`,
		`line 12, reference "R-` + "\ufffd" + `10": has a line break`,
		`line 14: extraneous or missing "`,
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i], want[i]) {
			t.Fatalf("faults:\n%s\nwant beginnings:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if len(p.Rows) != 1 || p.Repeated != 1 {
		t.Errorf("%d good rows and %d repeated, want 1 and 1", len(p.Rows), p.Repeated)
	}
}

func TestParseCSVRefusesFiles(t *testing.T) {
	for _, c := range []struct{ name, data, want string }{
		{"empty", "", "empty"},
		{"only a mark of order", "\ufeff", "empty"},
		{"UTF-16", "\xff\xfer\x00e\x00", "UTF-16"},
		{"Latin-1", goodHeader + "R-1,lost,2024-05-31,\xc9,1,1,1\n", "line 2 is not valid UTF-8"},
		{"unknown column", "reference,status,status_date,colour\n", `column 4, "colour", is not known`},
		{"column twice", "reference,status,status_date,make,Make\n", "column make stands twice, as number 4 and 5"},
		{"column missing", "reference,status\n", "column status_date is missing"},
		{"no header", "R-1,lost,2024-05-31\n", "is not known"},
		{"too many columns", strings.Repeat("make,", 64) + "make\n", "65 columns, the limit is 64"},
		{"broken header", "reference,\"status\n", "header"},
		{"too large", strings.Repeat("x", MaxImport+1), "split the file"},
		{"too many rows", "reference,status,status_date\n" + strings.Repeat("a,b\n", maxImportRows+1), "more than 250000 rows"},
	} {
		if p, err := parseCSV([]byte(c.data), now); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v; want an error with %q", c.name, p, err, c.want)
		}
	}
}

func TestParseCSVBoundsItsReport(t *testing.T) {
	data := goodHeader + strings.Repeat("R-1,gone,2024-05-31,Glock,17,9x19,1\n", maxRowFaults+7) +
		"R-1,lost,2024-05-31,Glock,17,9x19," + strings.Repeat("1", maxImportField+1) + "\n"
	p, err := parseCSV([]byte(data), now)
	if err != nil || len(p.Faults) != maxRowFaults || p.Unlisted != 8 {
		t.Fatalf("%d listed, %d not, %v; want %d and 8", len(p.Faults), p.Unlisted, err, maxRowFaults)
	}
}

func FuzzParseCSV(f *testing.F) {
	f.Add([]byte(goodHeader + "R-1,lost,2024-05-31,Glock,17,9x19,AB123\n"))
	f.Add([]byte("\ufeffreference;status;status_date;kind;chain_retailer\r\nR;seized;2020-01-01;rifle;PT 2019-01-01 X\r\n"))
	f.Add([]byte("reference,status,status_date,recovery_from,recovery_to\nR,seized,2020-01-01,2020-01-02,2020-01-01\n"))
	f.Add([]byte("reference,status,status_date\n\"R\n\n\",,\n"))
	f.Add([]byte("\xef\xbb"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parseCSV(data, now)
		if err != nil {
			return
		}
		for _, row := range p.Rows {
			if err := row.Firearm.Check(now); err != nil || row.Line < 2 {
				t.Fatalf("line %d was taken: %v", row.Line, err)
			}
		}
		for _, x := range p.Faults {
			if x.Line < 1 || x.Reason == "" || strings.ContainsAny(x.Value, "\x1b\n") {
				t.Fatalf("fault %+v", x)
			}
		}
	})
}

func BenchmarkParseCSV(b *testing.B) {
	var buf bytes.Buffer
	w := csv.NewWriter(&buf)
	_ = w.Write(strings.Split(strings.TrimSpace(goodHeader), ","))
	for i := range 10_000 {
		_ = w.Write([]string{fmt.Sprintf("R-%d", i), "registered", "2024-05-31", "Glock", "17", "9x19", fmt.Sprintf("AB%06d", i)})
	}
	w.Flush()
	b.SetBytes(int64(buf.Len()))
	for b.Loop() {
		if _, err := parseCSV(buf.Bytes(), now); err != nil {
			b.Fatal(err)
		}
	}
}
