package permission

import (
	"testing"
	"time"

	"proofmark/protocol"
)

func TestWhatAPermissionCovers(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	whole := Permission{From: "PT", For: "ES", Use: protocol.UseOnward, To: []protocol.Country{"FR", "DE"}, Until: now.Add(time.Hour)}
	for _, row := range []struct {
		name   string
		change func(p *Permission)
		to     protocol.Country
		at     time.Time
		want   bool
	}{
		{"as granted", func(*Permission) {}, "FR", now, true},
		{"another country named", func(*Permission) {}, "DE", now, true},
		{"a country not named", func(*Permission) {}, "IT", now, false},
		{"on its last moment", func(*Permission) {}, "FR", now.Add(time.Hour - 1), true},
		{"at its end", func(*Permission) {}, "FR", now.Add(time.Hour), false},
		{"for the court", func(p *Permission) { p.Use = protocol.UseCourt }, "FR", now, false},
		{"of another owner", func(p *Permission) { p.From = "IT" }, "FR", now, false},
		{"for another holder", func(p *Permission) { p.For = "IT" }, "FR", now, false},
		{"taken back", func(p *Permission) { p.Withdrawn = now }, "FR", now, false},
	} {
		p := whole
		row.change(&p)
		if got := p.covers("PT", "ES", row.to, row.at); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}
