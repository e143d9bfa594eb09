package protocol

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCheckJSON(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for in, says := range map[string]string{
		`{}`: "", `[]`: "", `0`: "", `"x"`: "", `null`: "", ` {"a":[{"b":1},{"b":2}],"b":{"a":1}} `: "", `{"a":1,"A":2}`: "", `[1e400]`: "", nested(16): "",
		nested(17): "deeper than 16", `{"a":` + nested(16) + `}`: "deeper", ``: "ends early", ` `: "ends early", `{`: "", `{}{}`: "more than one", `{} x`: "more than one", `1 2`: "more than one",
		`{"a":1,"a":2}`: `"a" stands twice`, `[{"a":1,"b":{},"a":[]}]`: "twice", `{"\u0061":1,"a":2}`: "twice", `{"a":{"a":{"b":1,"b":1}}}`: `"b" stands twice`, `{"":1,"":1}`: "twice",
		"\"\xff\"": "UTF-8", "\xef\xbb\xbf{}": "byte", `[1,]`: "byte", `[,1]`: "byte", `{"a"}`: "byte", `{"a":}`: "byte", `{1:2}`: "byte", `{"a":1,}`: "byte", `[1}`: "byte", `}`: "byte",
		`01`: "", `"a`: "", "\"\x01\"": "byte", `tru`: "", `NaN`: "byte", `'a'`: "byte", strings.Repeat(" ", 101): "the limit is 100",
	} {
		err := CheckJSON([]byte(in), 100, 16)
		valid := json.Valid([]byte(in)) && len(in) <= 100
		if says == "" && (err == nil) != valid || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%.60q: got %v, want %q (valid %t)", in, err, says, valid)
		}
	}
	if err := CheckJSON([]byte(`{"`+strings.Repeat("k", 90)+`":1,"`+strings.Repeat("k", 90)+`":1}`), 1000, 4); err == nil || len(err.Error()) > 120 {
		t.Errorf("an error that repeats what it was given: %v", err)
	}
}

// facts computes what CheckJSON decides with encoding/json's own decoder into a tree.
type facts struct {
	valid, twice bool
	depth        int
}

func factsOf(b []byte) (f facts) {
	if f.valid = json.Valid(b); !f.valid {
		return f
	}
	var walk func(raw json.RawMessage, depth int)
	walk = func(raw json.RawMessage, depth int) {
		raw = json.RawMessage(strings.TrimSpace(string(raw)))
		switch raw[0] {
		case '[':
			f.depth = max(f.depth, depth+1)
			var list []json.RawMessage
			if json.Unmarshal(raw, &list) == nil {
				for _, e := range list {
					walk(e, depth+1)
				}
			}
		case '{':
			f.depth = max(f.depth, depth+1)
			var m pairs
			if json.Unmarshal(raw, &m) == nil {
				seen := map[string]bool{}
				for _, p := range m {
					f.twice = f.twice || seen[p.name]
					seen[p.name] = true
					walk(p.value, depth+1)
				}
			}
		}
	}
	walk(b, 0)
	return f
}

// pairs is a JSON object with its fields in their order, the repeated ones too.
type pairs []struct {
	name  string
	value json.RawMessage
}

func (p *pairs) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(strings.NewReader(string(b)))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		*p = append(*p, struct {
			name  string
			value json.RawMessage
		}{name.(string), value})
	}
	return nil
}

func agrees(b []byte) error {
	const size, depth = 1 << 12, 6
	err, f := CheckJSON(b, size, depth), factsOf(b)
	want := f.valid && !f.twice && f.depth <= depth && len(b) <= size && strings.ToValidUTF8(string(b), "") == string(b)
	if (err == nil) != want {
		return fmt.Errorf("%.200q: CheckJSON says %v, encoding/json says %+v", b, err, f)
	}
	return nil
}

func TestCheckJSONAgreesWithEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.SampledFrom([]string{"{", "}", "[", "]", ",", ":", `"a"`, `"b"`, `"\u0061"`, "1", "-0.5e3", "null", "true", " ", "\n", `{"a":1}`, `{"a":{"b":[]}}`, `"a":1`, `"é"`, "\xff", "[[[[", "]]]]"})
		b := []byte(strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), ""))
		if err := agrees(b); err != nil {
			t.Fatal(err)
		}
	})
}
