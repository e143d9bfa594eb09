package protocol

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// jsonPieces are put together to texts that are often JSON and often just not.
var jsonPieces = []string{"{", "}", "[", "]", ",", ":", `"a"`, `"b"`, `"\u0061"`, `"\""`, `"\ud800"`, `"\x"`, "1", "01", "-", "-0.5e3", "1.", "2E+7", "null", "nul", "true", " ", "\n",
	`{"a":1}`, `{"a":{"b":[]}}`, `"a":1`, `"é"`, "\xff", "\x01", `"`, "[[[[", "]]]]"}

// What plain lets through is valid for encoding/json, and taking it apart gives what encoding/json gives.
func walkerAgrees(b []byte) error {
	if !plain(b, 6) {
		return nil
	}
	if f := factsOf(b); !f.valid || f.twice || f.depth > 6 {
		return errors.New("plain lets it through, encoding/json does not")
	}
	var want map[string]json.RawMessage
	isObject := json.Unmarshal(b, &want) == nil && want != nil
	got, err := fieldsIn(b)
	if (err == nil) != isObject {
		return errors.New("an object for one of the two only")
	}
	if isObject {
		if len(got) != len(want) {
			return errors.New("another number of fields")
		}
		for name, value := range want {
			if string(got[name]) != string(value) {
				return errors.New("field " + name + ": " + string(got[name]) + " for " + string(value))
			}
		}
		joined, err1 := joinFields(got)
		encoded, err2 := encode(want)
		if err1 != nil || err2 != nil || string(joined) != string(encoded) {
			return errors.New("joined as " + string(joined) + ", encoded as " + string(encoded))
		}
	}
	var list []json.RawMessage
	isList := json.Unmarshal(b, &list) == nil && list != nil
	at := 0
	array, _ := elements(b, func(value []byte) error {
		if at >= len(list) || string(list[at]) != string(value) {
			return errors.New("another element")
		}
		at++
		return nil
	})
	if array != isList || at != len(list) {
		return errors.New("another array")
	}
	return nil
}

func TestWalkerAgreesWithEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := strings.Join(rapid.SliceOfN(rapid.SampledFrom(jsonPieces), 0, 12).Draw(t, "pieces"), "")
		if err := walkerAgrees([]byte(b)); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
	})
}

func FuzzWalker(f *testing.F) {
	for _, s := range append(jsonPieces, `{"a":[1,2,{"b":null}],"c":"\u00e9"}`, ` [ 1 , {"x" : [ ] } ] `, `{"_sd":["x"],"roi":"breech-face"}`) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := walkerAgrees(b); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
	})
}

// The short way must be taken by what is sent every day, or it is worth nothing.
func TestPlainTakesWhatIsUsual(t *testing.T) {
	for s, want := range map[string]bool{
		`{"from":"PT","to":"ES","seq":1,"terms":{"handling":["H0"]},"disclosures":[]}`: true, `[0,-1.5e-7,true,false,null,"\u00e9\n"]`: true, ` {} `: true, `""`: true,
		`{"a":1,"a":2}`: false, `{"\u0061":1}`: false, `[[[[[[[]]]]]]]`: false, `{}{}`: false, `[1,]`: false, `{"a":1,}`: false, "\"\xff\"": false, `01`: false, `-`: false, `1.`: false,
		`"\u12g4"`: false, `"\`: false, `{"` + strings.Repeat("a", plainObject) + `":` + strings.Repeat(" ", 9) + `1}`: true, ``: false,
	} {
		if got := plain([]byte(s), 6); got != want {
			t.Errorf("%.60q: %t", s, got)
		}
	}
}
