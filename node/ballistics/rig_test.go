package ballistics

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
	"proofmark/node/bureautest"
	"proofmark/node/desk"
	"proofmark/node/tracing"
	"proofmark/policy"
	"proofmark/protocol"
)

// lab is one country's laboratory.
type lab struct {
	*bureautest.Bureau
	*Service
	t       *testing.T
	tracing *tracing.Service
}

// labs makes laboratories that know each other as members, at the time of start.
func labs(t *testing.T, countries ...protocol.Country) []*lab {
	t.Helper()
	var all []*lab
	for _, b := range bureautest.New(t, bureautest.NewClock(start, time.Millisecond), countries...).Bureaus {
		b.Open(nil)
		all = append(all, &lab{Bureau: b, t: t, tracing: tracing.New(b.Desk, b.Out), Service: New(b.Desk, b.Out, b.Clock.Now)})
	}
	return all
}

// carry delivers everything from one laboratory to another, and the receipts back.
func carry(t *testing.T, from, to *lab, channels ...protocol.Channel) {
	t.Helper()
	from.Carry(to.Bureau, channels...)
}

// agree has two bureaus tell each other the time, in receipts that say nothing new.
func agree(t *testing.T, a, b *lab) {
	t.Helper()
	for _, way := range [][2]*lab{{a, b}, {b, a}} {
		receipt, err := way[1].Out.CurrentReceipt(t.Context(), way[0].Country, protocol.Urgent)
		if err == nil {
			err = way[0].Out.AcceptReceipt(t.Context(), way[1].Country, receipt)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// settle correlates whatever waits.
func (l *lab) settle() {
	l.t.Helper()
	if err := l.correlateAll(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
}

var (
	tech   = desk.Actor{Name: "tech", Roles: []string{policy.Technician}}
	exam1  = desk.Actor{Name: "exam1", Roles: []string{policy.Examiner}}
	exam2  = desk.Actor{Name: "exam2", Roles: []string{policy.Examiner}}
	exam3  = desk.Actor{Name: "exam3", Roles: []string{policy.Examiner}}
	ncb    = desk.Actor{Name: "ncb", Roles: []string{policy.NCBOperator}}
	invest = desk.Actor{Name: "invest", Roles: []string{policy.Investigator}}
)

// crime opens a case with one incident.
func (l *lab) crime(ref string) {
	l.t.Helper()
	if _, err := l.AddCase(l.t.Context(), tech, "", NewCase{Reference: ref, Agency: "Judicial Police"}); err != nil {
		l.t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)
	_, err := l.AddIncident(l.t.Context(), tech, "", NewIncident{Case: ref, Occurred: protocol.Interval{From: at, To: at.Add(time.Hour)}, Place: "Place " + ref, Offence: "homicide"})
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) exhibit(number, ref string) {
	l.t.Helper()
	if _, err := l.AddExhibit(l.t.Context(), tech, "", NewExhibit{Number: number, Case: ref, Origin: protocol.Evidence, Calibre: "9 mm Luger"}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) acquire(number string, scan []byte) *Acquisition {
	l.t.Helper()
	a, err := l.Acquire(l.t.Context(), tech, "", NewAcquisition{Exhibit: number, ROI: "breech-face", Scans: []File{{Name: number + ".x3p", Content: scan}}})
	if err != nil {
		l.t.Fatal(err)
	}
	return a
}

// shots keeps generated scans: making one takes longer than anything a test does with it.
var shots sync.Map

// shot is a generated scan of a firearm's breech face.
func shot(t *testing.T, firearm, seed uint64) []byte {
	t.Helper()
	return shotOf(firearm, seed)
}

func shotOf(firearm, seed uint64) []byte {
	key := [2]uint64{firearm, seed}
	if b, ok := shots.Load(key); ok {
		return b.([]byte)
	}
	var buf bytes.Buffer
	if err := x3p.Write(&buf, synth.NewMaker(1).Firearm(firearm).Fire(seed, synth.Shot{})); err != nil {
		panic(err)
	}
	shots.Store(key, buf.Bytes())
	return buf.Bytes()
}
