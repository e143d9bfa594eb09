package demo

import (
	"testing"

	"proofmark/protocol"
)

func TestScoring(t *testing.T) {
	marks := map[string]mark{
		"q":       {pt, "gun", protocol.Evidence},
		"mate-es": {es, "gun", protocol.Evidence},
		"mate-fr": {fr, "gun", protocol.TestFire},
		"mate-pt": {pt, "gun", protocol.Evidence}, // no border between
	}
	for i := range 12 {
		marks["other-"+string(rune('a'+i))] = mark{es, "another", protocol.Evidence}
	}
	others := func(n int, score float64) (out []entry) {
		for i := range n {
			out = append(out, entry{"other-" + string(rune('a'+i)), score})
		}
		return out
	}
	for _, c := range []struct {
		name string
		list []entry
		want scoring
	}{
		{"mates do not push each other down", []entry{{"mate-pt", .9}, {"mate-es", .8}, {"mate-fr", .7}, {"other-a", .1}}, scoring{2, 2, 2}},
		{"one non-mate between", []entry{{"mate-es", .8}, {"other-a", .5}, {"mate-fr", .4}}, scoring{2, 1, 2}},
		{"the list's order does not matter, scores do", []entry{{"mate-fr", .4}, {"other-a", .5}, {"mate-es", .8}}, scoring{2, 1, 2}},
		{"not in the list", []entry{{"mate-es", .8}}, scoring{2, 1, 1}},
		{"an empty list", nil, scoring{2, 0, 0}},
		{"nine above is tenth", append(others(9, .9), entry{"mate-es", .5}, entry{"mate-fr", .4}), scoring{2, 0, 2}},
		{"ten above is eleventh", append(others(10, .9), entry{"mate-es", .5}, entry{"mate-fr", .4}), scoring{2, 0, 0}},
		{"an unknown signature is a non-mate", []entry{{"never seen", .9}, {"mate-es", .8}, {"mate-fr", .7}}, scoring{2, 0, 2}},
	} {
		var got scoring
		if got.add("q", c.list, marks); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	marks["q"] = mark{pt, "gun", protocol.TestFire}
	var got scoring
	if got.add("q", []entry{{"mate-es", .9}}, marks); got != (scoring{1, 1, 1}) {
		t.Errorf("test fire against test fire is no pair: %+v", got)
	}
}
