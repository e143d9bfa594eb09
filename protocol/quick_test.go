package protocol

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// decodables make an empty value of everything that is decoded strictly.
func decodables() []func() any {
	out := []func() any{func() any { return new(Message) }, func() any { return new(payload) }, func() any { return new(Manifest) }, func() any { return new(Receipt) }}
	for _, typ := range slices.Sorted(maps.Keys(specs)) {
		out = append(out, func() any { return specs[typ].body() })
	}
	return out
}

// quickAgrees reports where the short way of decoding differs from encoding/json's, in the value or in the error.
func quickAgrees(b []byte, empty func() any) error {
	if CheckJSON(b, MaxDocument, MaxDepth) != nil {
		return nil
	}
	short, long := empty(), empty()
	shortErr, longErr := strict(b, short), strictly(b, long)
	if fmt.Sprint(shortErr) != fmt.Sprint(longErr) {
		return fmt.Errorf("%T: %v, encoding/json: %v", short, shortErr, longErr)
	}
	if longErr == nil && !reflect.DeepEqual(short, long) {
		return fmt.Errorf("decoded as\n%#v, encoding/json\n%#v", short, long)
	}
	return nil
}

// samples are encoded values, and what is unusual about JSON in some of their fields.
func samples() (out []string) {
	b, _, err := wholeMessage().Encode()
	if err != nil {
		panic(err)
	}
	out = append(out, string(b))
	for _, typ := range slices.Sorted(maps.Keys(bodies())) {
		signed, _ := must2(Compose(headerOf(typ), bodies()[typ], noise(4)))
		out = append(out, string(signed), string(must(json.Marshal(bodies()[typ]))))
	}
	for _, s := range slices.Clone(out) {
		for _, change := range [][2]string{{`":"`, `": "`}, {`":"`, `":null,"x":"`}, {`"signature"`, `"Signature"`}, {`"quality":0.8`, `"quality":1e999`}, {`"quality":0.8`, `"quality":-0.0`},
			{`"year":1996`, `"year":1996.0`}, {`"year":1996`, `"year":99999999999999999999`}, {`"seq":`, `"seq":-`}, {`c3VyZmFjZQ==`, `c3VyZmFjZQ`}, {`c3VyZmFjZQ==`, ``}, {`"c3VyZmFjZQ=="`, `[1,2]`},
			{`"preserve":true`, `"preserve":null`}, {`"preserve":true`, `"preserve":"true"`}, {`"firearm":{`, `"firearm":{"Kind":"x",`}, {`["tina",`, `["\u0074ina",`}, {`["tina",`, `[null,`},
			{`["tina","edgar"]`, `[]`}, {`["tina","edgar"]`, `null`}, {`PT`, `P\u0054`}, {`"schema":1`, `"schema":true`}, {`"body":{`, `"body": {`}, {`"issued":"`, `"issued":"x`}} {
			if strings.Contains(s, change[0]) {
				out = append(out, strings.Replace(s, change[0], change[1], 1))
			}
		}
	}
	return append(out, `null`, `[]`, `{}`, `"x"`, `1`, `{"":1}`, `{"from":{}}`)
}

func TestQuickAgreesWithEncodingJSON(t *testing.T) {
	for _, s := range samples() {
		for _, empty := range decodables() {
			if err := quickAgrees([]byte(s), empty); err != nil {
				t.Errorf("%s: %v", s, err)
			}
		}
	}
}

// The short way must be taken by what is sent every day, or it is worth nothing.
func TestQuickTakesWhatIsUsual(t *testing.T) {
	message, _, err := wholeMessage().Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !quickly(message, reflect.ValueOf(new(Message)).Elem()) {
		t.Errorf("not %s", message)
	}
	for typ, body := range bodies() {
		signed, _ := must2(Compose(headerOf(typ), body, noise(4)))
		if !quickly(signed, reflect.ValueOf(new(payload)).Elem()) {
			t.Errorf("not %s", signed)
		}
		if raw := must(json.Marshal(body)); !quickly(raw, reflect.ValueOf(specs[typ].body()).Elem()) {
			t.Errorf("not %s", raw)
		}
	}
}

func FuzzStrict(f *testing.F) {
	for i, s := range samples() {
		f.Add([]byte(s), byte(i))
	}
	all := decodables()
	f.Fuzz(func(t *testing.T, b []byte, which byte) {
		if err := quickAgrees(b, all[int(which)%len(all)]); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
	})
}
