package protocol

import (
	"slices"
	"testing"
	"time"
)

func TestHandlingInWords(t *testing.T) {
	granted := Court{Owner: "KE", Holder: "PT", Document: "D-1", Permission: "P-1", Granted: time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC), Until: time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)}
	ask := func(document string) Court { return Court{Owner: "KE", Holder: "PT", Document: document} }
	const (
		h1      = "H1: not to be used in court without the permission of KE."
		may     = "H1, use in court: permitted by KE on 2026-03-01, until 2026-09-01 (permission P-1, about document D-1)."
		mayNot2 = "H1, use in court: not permitted without KE's permission. Ask KE for it; it gives it with `proofmark permission grant D-2 --holder PT --court --until DATE`."
	)
	for _, row := range []struct {
		name  string
		h     Handling
		court []Court
		want  []string
	}{
		{"nothing", nil, nil, nil},
		{"a code that is not known", MarkedBy("KE", "H9"), nil, []string{"H9: a restriction of KE."}},
		{"no owner", MarkedBy("", "H1"), []Court{{Holder: "PT"}}, []string{"H1: not to be used in court without the permission of its owner.", "H1, use in court: not permitted without the permission of its owner."}},
		{"no owner, a document", MarkedBy("", "H3"), []Court{{Holder: "PT", Document: "D-3"}}, []string{"H3: another restriction holds: ask its owner before using it.",
			"H1, use in court: not permitted without its owner's permission; `proofmark document show D-3` names the owner."}},
		{"permitted", MarkedBy("KE", "H1"), []Court{granted, granted}, []string{h1, may}},
		{"one is permitted, one not", MarkedBy("KE", "H1"), []Court{ask("D-2"), granted, ask("D-2")}, []string{h1, may, mayNot2}},
		{"a list", MarkedBy("KE", "H1"), []Court{ask("D-2"), ask("D-3"), ask("D-4")}, []string{h1, mayNot2 + " The same holds for 2 more of KE."}},
		{"two owners", UnionHandling(MarkedBy("KE", "H1"), MarkedBy("ES", "H1")), []Court{granted, {Owner: "ES", Holder: "PT"}}, []string{
			"H1: not to be used in court without the permission of ES and KE.", may, "H1, use in court: not permitted without the permission of ES."}},
	} {
		if got := HandlingWords(row.h, row.court); !slices.Equal(got, row.want) {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
	var s Said
	if s.Say(MarkedBy("KE", "H1"), []Court{granted}); !slices.Equal(s.Says, []string{h1, may}) || len(s.Uses()) != 1 {
		t.Errorf("%+v", s)
	}
}
