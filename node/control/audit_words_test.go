package control

import (
	"strings"
	"testing"
	"time"
)

// A word that no entry can have is a mistake: "no entry fits" would be taken for an answer.
func TestAuditRequestsAreInWordsOfTheLog(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 3, d, 0, 0, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		r    AuditRequest
		want string // part of the refusal; none where the request is good
	}{
		"nothing":              {AuditRequest{}, ""},
		"all":                  {AuditRequest{Action: "disclose", Decision: "deny", Handling: "H2", Counterpart: "ES", Since: day(1), Until: day(2)}, ""},
		"an unknown action":    {AuditRequest{Action: "view"}, "consult"},
		"an unknown decision":  {AuditRequest{Decision: "denied"}, "permit, deny"},
		"an unknown code":      {AuditRequest{Handling: "H7"}, "H3"},
		"an unknown country":   {AuditRequest{Counterpart: "XX"}, "ISO 3166-1"},
		"small letters":        {AuditRequest{Counterpart: "es"}, `"ES"`},
		"a period backwards":   {AuditRequest{Since: day(2), Until: day(1)}, "ends"},
		"a period of no time":  {AuditRequest{Since: day(2), Until: day(2)}, "ends"},
		"until without a from": {AuditRequest{Until: day(1)}, ""},
	} {
		err := c.r.check()
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
