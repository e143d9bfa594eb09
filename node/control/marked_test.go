package control

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"proofmark/protocol"
)

// unsaid finds places of a type that hold handling codes where no answer around them says what they mean.
func unsaid(t reflect.Type, path string, seen []reflect.Type) []string {
	if slices.Contains(seen, t) {
		return nil
	}
	seen = append(seen, t)
	var out []string
	switch t.Kind() {
	case reflect.Map:
		if bears(t.Elem()) || len(unsaid(t.Elem(), "", seen)) > 0 {
			out = append(out, path+"{} is a map, which EachMarked does not look into")
		}
	case reflect.Pointer, reflect.Slice, reflect.Array:
		out = unsaid(t.Elem(), path+"[]", seen)
	case reflect.Struct:
		if reflect.PointerTo(t).Implements(marked) {
			return nil
		}
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Type == reflect.TypeFor[protocol.Handling]() || f.Name == "Handling" {
				out = append(out, path+"."+f.Name)
			} else if f.IsExported() {
				out = append(out, unsaid(f.Type, path+"."+f.Name, seen)...)
			}
		}
	}
	return out
}

// Whatever command answers something with handling codes says with them what they mean: a new answer that does not is found here by its type.
func TestEveryAnswerWithCodesSaysWhatTheyMean(t *testing.T) {
	answers := Answers()
	said := 0
	for name, answer := range answers {
		for _, place := range unsaid(answer, name, nil) {
			t.Errorf("%s: codes without words: embed protocol.Said and implement protocol.Marked", place)
		}
		if bears(answer) {
			said++
		}
	}
	if len(answers) < 80 || said < 30 {
		t.Errorf("%d commands, %d of them with codes: too few, so this test sees nothing", len(answers), said)
	}
	type bare struct{ Handling []string }
	type deep struct{ In map[string]*bare }
	for _, planted := range []any{bare{}, []*bare{}, deep{}, struct{ Of []bare }{}} {
		if len(unsaid(reflect.TypeOf(planted), "planted", nil)) == 0 {
			t.Errorf("%T is not found", planted)
		}
	}
}

type page struct {
	Handling protocol.Handling
	protocol.Said
}

func (p *page) Marks() (protocol.Handling, []string) { return p.Handling, nil }

func TestEachMarkedReachesWhatIsShown(t *testing.T) {
	h := protocol.MarkedBy("ES", protocol.NotInCourt)
	answer := struct {
		One    *page
		None   *page
		Many   []page
		Deep   []struct{ In []*page }
		hidden page
	}{One: &page{Handling: h}, Many: []page{{Handling: h}, {Handling: h}}, Deep: []struct{ In []*page }{{In: []*page{{Handling: h}}}}, hidden: page{Handling: h}}
	n := 0
	EachMarked(&answer, func(m protocol.Marked) {
		n++
		got, _ := m.Marks()
		m.Say(got, []protocol.Court{{Owner: "ES", Holder: "PT"}})
	})
	if n != 4 || !strings.Contains(strings.Join(answer.Many[1].Says, "|"), "H1: not to be used in court without the permission of ES.|H1, use in court: not permitted") || len(answer.hidden.Says) > 0 {
		t.Errorf("%d found, %+v", n, answer)
	}
	EachMarked((*page)(nil), func(protocol.Marked) { t.Error("nothing is marked") })
	EachMarked(nil, func(protocol.Marked) { t.Error("nothing is marked") })
}
