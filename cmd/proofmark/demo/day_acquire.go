package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"proofmark/node/ballistics"
	"proofmark/node/desk"
	"proofmark/node/tracing"
	"proofmark/protocol"
)

// roi is the region that the scans show.
const roi = "breech-face"

// acquire opens cases, enters exhibits and scans them, in all three bureaus at the same time.
func (f *federation) acquire(ctx context.Context) error {
	m, err := f.gather()
	if err != nil {
		return err
	}
	f.result.Source, f.result.Exhibits = m.origin, len(m.scans)
	f.lots = deal(m.scans, countries, caseRefs())
	if f.testFire, err = stageTestFire(f.lots, es, pt, recoveryCase); err != nil {
		return err
	}
	if err := f.all(func(b *bureau) error { return f.openCases(ctx, b) }); err != nil {
		return err
	}
	near := 0
	for _, list := range events {
		for _, e := range list {
			if e.km <= 80 {
				near++
			}
		}
	}
	f.say("%d cases with an incident each are open, %d of the incidents within 80 km of a border. In ES a pistol was recovered (%s) and test-fired.",
		len(countries)*len(events[pt]), near, recoveryPlace)
	if err := f.scanAll(ctx); err != nil {
		return err
	}
	if err := f.setAside(); err != nil {
		return err
	}
	total := 0
	for _, l := range f.lots {
		f.marks[l.signature] = mark{l.country, l.source, l.origin}
		total += l.bytes
	}
	f.result.SignaturesPublished = len(f.marks)
	f.result.BytesPerSignature = (total + len(f.lots)/2) / len(f.lots)
	err = f.verify(len(f.marks) == len(f.lots), "%d cartridge cases have a signature each, %d bytes on the average; the scans they were made of have %d and stay at home.",
		len(f.lots), f.result.BytesPerSignature, f.meanScan())
	if err != nil {
		return err
	}
	return f.scanBullets(ctx)
}

// gather finds the scans of the day, or simulates them.
func (f *federation) gather() (*material, error) {
	if f.o.Scans != "" {
		m, err := readScans(f.o.Scans)
		if err == nil {
			f.say("%d real scans from %s, dealt over the three bureaus.", len(m.scans), f.o.Scans)
		}
		return m, err
	}
	f.say("Simulating %d firearms of %d makers, %d shots each (seed %d): turned, shifted, some with partial contact.", f.o.firearms, makersOfDay, shotsOfFirearm, f.o.Seed)
	return generate(filepath.Join(f.root, "scans"), f.o.Seed, f.o.firearms, func(done, total int) { f.progress("scans simulated", done, total) })
}

// daysAgo is a moment some days before the day began, the same for every call.
func (f *federation) daysAgo(n int) time.Time {
	return f.day.UTC().Truncate(time.Hour).AddDate(0, 0, -n)
}

// openCases enters the bureau's cases and incidents, and the recovered firearm where the story has it.
func (f *federation) openCases(ctx context.Context, b *bureau) error {
	agency := agencyOf(b.country)
	for _, e := range events[b.country] {
		if _, err := call[*ballistics.Case](ctx, b.technician, "case.add", ballistics.NewCase{Reference: e.caseRef, Agency: agency, Title: e.title}); err != nil {
			return err
		}
		km := e.km
		at := f.daysAgo(e.daysAgo)
		_, err := call[*ballistics.Incident](ctx, b.technician, "incident.add", ballistics.NewIncident{Case: e.caseRef, Place: e.place, Precision: "town",
			Offence: e.offence, BorderKM: &km, Occurred: protocol.Interval{From: at, To: at.Add(2 * time.Hour)}, Trafficking: e.offence == "arms trafficking"})
		if err != nil {
			return err
		}
	}
	if b.country != es {
		return nil
	}
	if _, err := call[*ballistics.Case](ctx, b.technician, "case.add", ballistics.NewCase{Reference: recoveryCase, Agency: agency, Title: "Pistol recovered at a road check"}); err != nil {
		return err
	}
	at := f.daysAgo(recoveryDays)
	_, err := call[*tracing.Firearm](ctx, b.operator, "firearm.add", tracing.NewFirearm{Reference: recoveryRef, Status: "recovered", StatusDate: at, Case: recoveryCase,
		FirearmDescription: protocol.FirearmDescription{Kind: "pistol", Action: "semi-automatic", Make: "Ruger", Model: "P95", Calibre: calibre, Serial: serialRead, CountryOfManufacture: "US"},
		Recovery: &tracing.Recovery{Place: recoveryPlace, Occurred: protocol.Interval{From: at, To: at.Add(time.Hour)}, Circumstances: "under the driver's seat", Case: recoveryCase,
			Received: at.Add(20 * time.Hour)}})
	return err
}

func agencyOf(c protocol.Country) string {
	for _, one := range casts {
		if one.country == c {
			return one.agency
		}
	}
	return ""
}

// scanAll has the three technicians enter and scan their exhibits.
func (f *federation) scanAll(ctx context.Context) error {
	var mu sync.Mutex
	done := 0
	return f.all(func(b *bureau) error {
		for _, l := range f.lots {
			if l.country != b.country {
				continue
			}
			if err := f.scan(ctx, b, l); err != nil {
				return err
			}
			mu.Lock()
			done++
			f.progress("exhibits entered and scanned", done, len(f.lots))
			mu.Unlock()
		}
		return nil
	})
}

func (f *federation) scan(ctx context.Context, b *bureau, l *lot) error {
	n := ballistics.NewExhibit{Number: l.number, Case: l.caseRef, Kind: protocol.CartridgeCase, Origin: l.origin, Calibre: calibre, FiringPin: "circular"}
	if l.origin == protocol.TestFire {
		n.Firearm = recoveryRef
	}
	if _, err := call[*ballistics.Exhibit](ctx, b.technician, "exhibit.add", n); err != nil {
		return err
	}
	file, err := os.ReadFile(l.path)
	if err != nil {
		return fmt.Errorf("scan of %s: %w", l.number, err)
	}
	a, err := upload[*ballistics.Acquisition](ctx, b.technician, "acquire", ballistics.NewAcquisition{Exhibit: l.number, ROI: roi, Scans: []ballistics.File{{Name: l.name, Size: int64(len(file))}}}, file)
	if errors.Is(err, desk.ErrInvalid) { // an unusable scan is a fact of the day, not its end
		l.refused = err.Error()
		return nil
	}
	if err != nil {
		return err
	}
	l.signature, l.bytes = a.Signature, a.Bytes
	return check(a.Signature != "" && a.Bytes > 0, "the acquisition of %s has no signature", l.number)
}

// setAside takes the exhibits whose scans were refused out of the day, and says which and why. The story needs its test fire.
func (f *federation) setAside() error {
	kept := make([]*lot, 0, len(f.lots))
	for _, l := range f.lots {
		if l.refused == "" {
			kept = append(kept, l)
			continue
		}
		f.say("The scan of %s was refused, and the exhibit waits for a better one: %s", l.number, l.refused)
		if l == f.testFire {
			return fmt.Errorf("the scan of the test fire %s was refused, and the story needs it: use other scans, or repair it (%s)", l.number, l.refused)
		}
	}
	f.result.Rejected = len(f.lots) - len(kept)
	f.lots = kept
	return check(len(kept) >= minScans, "%d of the scans can be used, the demo needs at least %d", len(kept), minScans)
}

// meanScan is how large a scan file is on the average.
func (f *federation) meanScan() int64 {
	var sum int64
	for _, l := range f.lots {
		if st, err := os.Stat(l.path); err == nil {
			sum += st.Size()
		}
	}
	return sum / int64(len(f.lots))
}
