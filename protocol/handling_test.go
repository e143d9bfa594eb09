package protocol

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func someHandling(t *rapid.T, name string) Handling {
	return rapid.Map(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Marking {
		return Marking{Code: rapid.SampledFrom(HandlingCodes).Draw(t, "code"), Owner: rapid.SampledFrom([]Country{"", "PT", "ES", "FR"}).Draw(t, "owner")}
	}), 0, 6), func(l []Marking) Handling { return l }).Draw(t, name)
}

func TestHandlingUnion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := someHandling(t, "a"), someHandling(t, "b"), someHandling(t, "c")
		ab := UnionHandling(a, b)
		if !slices.Equal(ab, UnionHandling(b, a)) {
			t.Fatalf("not commutative: %v and %v", a, b)
		}
		if !slices.Equal(UnionHandling(ab, c), UnionHandling(a, UnionHandling(b, c))) {
			t.Fatalf("not associative: %v, %v, %v", a, b, c)
		}
		if !slices.Equal(ab, UnionHandling(ab, ab)) || !slices.Equal(UnionHandling(a), UnionHandling(a, a)) {
			t.Fatalf("not idempotent: %v, %v", a, b)
		}
		for _, m := range slices.Concat(a, b) {
			if !slices.Contains(ab, m) {
				t.Fatalf("%v was lost in the union of %v and %v", m, a, b)
			}
		}
		for _, m := range ab {
			if !slices.Contains(a, m) && !slices.Contains(b, m) {
				t.Fatalf("%v came from nowhere", m)
			}
		}
		if got := ReadHandling(ab.OwnedBy("PT").Texts("PT"), "PT"); !slices.Equal(got, ab.OwnedBy("PT")) {
			t.Fatalf("%v became %v on its way", ab.OwnedBy("PT"), got)
		}
		var back Handling
		if err := json.Unmarshal(must(json.Marshal(ab)), &back); err != nil || !slices.Equal(back, ab) && len(ab) > 0 {
			t.Fatalf("%v became %v in a record: %v", ab, back, err)
		}
	})
}

func TestHandlingTexts(t *testing.T) {
	for _, row := range []struct {
		texts []string
		want  string
	}{
		{[]string{"H2"}, "H2/PT"},
		{[]string{"H2/ES", "H1"}, "H1/PT H2/ES"},
		{[]string{"H3 not to the press", "H3 a/b"}, "H3 a/b/PT H3 not to the press/PT"},
		{[]string{"/ES", "H2/XX", "H2/es"}, "/ES/PT H2/XX/PT H2/es/PT"},
		{[]string{"H2", "H2/PT"}, "H2/PT"},
	} {
		var got []string
		for _, m := range ReadHandling(row.texts, "PT") {
			got = append(got, m.String())
		}
		if s := strings.Join(got, " "); s != row.want {
			t.Errorf("%q from PT: %s, want %s", row.texts, s, row.want)
		}
	}
	if _, err := ParseHandling([]string{"H2/XX"}); err == nil || !strings.Contains(err.Error(), "H2/ES") {
		t.Errorf("a person's H2/XX: %v", err)
	}
	if h := must(ParseHandling([]string{"H2/ES", "H0"})); !slices.Equal(h.OwnedBy("FR").Owners(NoOnward), []Country{"ES"}) || len(h.OwnedBy("FR").Without("FR")) != 1 {
		t.Errorf("H2/ES and H0 of a person in FR: %v", h.OwnedBy("FR"))
	}
	var m Marking
	for _, bad := range []string{"", " ", "H1\nH2", strings.Repeat("x", maxHandlingCode+1)} {
		if m.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q is a marking", bad)
		}
	}
}

func TestHandlingSentences(t *testing.T) {
	got := UnionHandling(MarkedBy("PT", NotInCourt, NoOnward), MarkedBy("ES", NotInCourt), MarkedBy("FR", "H9")).Sentences()
	want := []string{"H1: not to be used in court without the permission of ES and PT.", "H2: not to be passed on to another country without the permission of PT.", "H9: a restriction of FR."}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A message has room for what two countries and the policy of the sender may demand together, and more.
func TestHandlingFitsIntoTerms(t *testing.T) {
	var all Handling
	for _, c := range []Country{"PT", "ES", "FR", "DE"} {
		all = UnionHandling(all, MarkedBy(c, HandlingCodes...))
	}
	if n := len(all.Texts("PT")); n > maxHandling {
		t.Errorf("%d markings, a message takes %d", n, maxHandling)
	}
}
