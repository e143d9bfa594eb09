package node

import (
	"strings"
	"testing"
	"time"
)

func TestApprovalDaysAreChecked(t *testing.T) {
	const plain = "country = \"PT\"\nname = \"NCB Lisbon\"\n[network]\nlisten = [\"/ip4/127.0.0.1/tcp/4931\"]\n[log]\nlevel = \"info\"\n"
	for text, want := range map[string]struct {
		days  int
		fault string
	}{
		"":                             {14, ""},
		"[approval]\n":                 {14, ""},
		"[approval]\ndays = 3\n":       {3, ""},
		"[approval]\ndays = 365\n":     {365, ""},
		"[approval]\ndays = 366\n":     {0, "approval.days: 1 to 365 days, not 366"},
		"[approval]\ndays = -1\n":      {0, "approval.days: 1 to 365 days, not -1"},
		"[approval]\nhours = 3\n":      {0, "unknown key approval.hours (line 8)"},
		"[approval]\ndays = \"two\"\n": {0, "line 8"},
	} {
		c, err := ParseConfig([]byte(plain + text))
		if want.fault != "" {
			if err == nil || !strings.Contains(err.Error(), want.fault) {
				t.Errorf("%q: %v, want %s", text, err, want.fault)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got, err := c.approvalTime(); err != nil || got != time.Duration(want.days)*24*time.Hour {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		if f := examineApproval(c); f.Grade != Good || !strings.Contains(f.Says, "lapses after") {
			t.Errorf("%q: the doctor says %+v", text, f)
		}
	}
}
