package control

import (
	"strings"
	"testing"
)

func TestATextHasItsLimit(t *testing.T) {
	long, longest := strings.Repeat("a", maxField+1), strings.Repeat("a", maxField)
	for request, says := range map[string]string{
		`{"note":"` + longest + `"}`:                              "",
		`{"note":"` + long + `"}`:                                 "note: 8193 bytes",
		`{"a":[{"b":"x"},{"b":{"c":"` + long + `"}}]}`:            "a.2.b.c: 8193 bytes",
		`{"a":1,"b":true,"c":null,"d":["` + longest + `","",{}]}`: "",
		`"` + long + `"`:                                          "8193 bytes",
		`{"` + long + `":"` + long + `"}`:                         "8193 bytes",
	} {
		err := checkTexts("case.add", []byte(request))
		if (err == nil) != (says == "") || err != nil && (!strings.Contains(err.Error(), says) || len(err.Error()) > 200) {
			t.Errorf("%.40s…: %v, want %q", request, err, says)
		}
	}
	if err := checkTexts("policy.apply", []byte(`{"files":{"a.cedar":"`+long+`"}}`)); err != nil {
		t.Error(err)
	}
}
