package node

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"proofmark/node/custody"
	"proofmark/node/dispatch"
	"proofmark/node/retention"
)

// TestEveryKeyStandsInTheConfiguration: whoever reads what init wrote sees every key that the configuration knows, with one line on it, and its default.
func TestEveryKeyStandsInTheConfiguration(t *testing.T) {
	b, err := DefaultConfig("PT", "NCB Lisbon").Text()
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if c, err := ParseConfig(b); err != nil || !reflect.DeepEqual(c, DefaultConfig("PT", "NCB Lisbon")) {
		t.Fatalf("it is not the configuration that was written: %v\n%+v", err, c)
	}
	open := regexp.MustCompile(`(?m)^#([^# ])`).ReplaceAllString(text, "$1")
	c, err := ParseConfig([]byte(open))
	if err != nil {
		t.Fatalf("with every # taken away: %v\n%s", err, open)
	}
	var keys func(section string, typ reflect.Type)
	keys = func(section string, typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			key, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
			line := key + " = "
			switch {
			case f.Type.Kind() == reflect.Struct:
				keys(key, f.Type)
				line = "[" + key + "]"
			case f.Type.Kind() == reflect.Map:
				line = "[" + section + "." + key + "]"
			}
			if !strings.Contains(open, "\n"+line) && !strings.HasPrefix(open, line) {
				t.Errorf("%s.%s is not shown", section, key)
			}
			if f.Type.Kind() != reflect.Struct && (f.Tag.Get("comment") == "" || !strings.Contains(text, f.Tag.Get("comment"))) {
				t.Errorf("%s.%s is not explained", section, key)
			}
		}
	}
	keys("", reflect.TypeFor[Config]())

	// What is shown as a default is what is in force without it.
	if got, err := c.periods(); err != nil || !reflect.DeepEqual(got, retention.DefaultPeriods()) {
		t.Errorf("retention: %v, %v", got, err)
	}
	if got, err := c.approvalTime(); err != nil || got != dispatch.ApprovalDays*24*time.Hour {
		t.Errorf("approval: %v, %v", got, err)
	}
	if got := time.Duration(c.Custody.KeepDays) * 24 * time.Hour; got != custody.DefaultGrace || len(c.Custody.For) != 1 {
		t.Errorf("custody: %v, %v", got, c.Custody.For)
	}
	if c.Witness.Chosen != 0 || c.Witness.Wanted != 0 || len(c.Witness.Also) != 0 {
		t.Errorf("witness: %+v", c.Witness)
	}
}

// TestASectionInForceIsNotShownTwice: TOML takes a section once.
func TestASectionInForceIsNotShownTwice(t *testing.T) {
	c := DefaultConfig("PT", "NCB Lisbon")
	c.Custody = Custody{KeepDays: 5, For: map[string]string{"ES": "2GB"}}
	b, err := c.Text()
	if err != nil || strings.Count(string(b), "[custody]") != 1 {
		t.Fatalf("%v\n%s", err, b)
	}
	if got, err := ParseConfig(b); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("%v: %+v", err, got)
	}
}
