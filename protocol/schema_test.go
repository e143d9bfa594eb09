package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compiled reads the schemas as anybody else would, with a validator of its own.
func compiled(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	files, err := fs.Glob(SchemaFiles(), "*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := fs.ReadFile(SchemaFiles(), f)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if id := doc.(map[string]any)["$id"]; id != f {
			t.Errorf("%s calls itself %v", f, id)
		}
		if err := c.AddResource("https://proofmark.invalid/schema/"+f, doc); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
	}
	s, err := c.Compile("https://proofmark.invalid/schema/" + name + "-1.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func instance(t *testing.T, v any) any {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(must(json.Marshal(v))))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// beyond are the words of those refusals that a schema cannot express: they relate fields to each other, or count bytes of base64.
var beyond = []string{"another person", "ends", "order of the codes", "occurred", "recovery_date", "two countries", "not the identity", "begin with", "signature: id ", "1 to 16384", "stands twice", "chunks: 0 hashes", "have 1 chunks"}

// TestSchemasAgreeWithCheck: what Check allows is valid, what Check refuses is not, but for the rules that a schema cannot tell.
func TestSchemasAgreeWithCheck(t *testing.T) {
	told := 0
	short := func(v any) string { return fmt.Sprintf("%.60s", fmt.Sprint(v)) }
	for typ, rows := range bodyRows() {
		s := compiled(t, string(typ))
		if err := s.Validate(instance(t, bodies()[typ])); err != nil {
			t.Errorf("%s: a whole body: %v", typ, err)
		}
		for _, r := range rows {
			b := changed(t, typ, r.field, r.value)
			err := s.Validate(instance(t, b))
			switch {
			case r.says == "" && err != nil:
				t.Errorf("%s: %s = %s is allowed: %v", typ, r.field, short(r.value), err)
			case r.says != "" && err == nil:
				caseOnly := r.field == "reviewers" && r.says == "two different"
				if !caseOnly && !slices.ContainsFunc(beyond, func(w string) bool { return strings.Contains(r.says, w) }) {
					t.Errorf("%s: %s = %s is valid by its schema, and Check says %q", typ, r.field, short(r.value), r.says)
				}
			case r.says != "":
				told++
			}
		}
	}
	if told < 90 {
		t.Errorf("the schemas tell %d of the refusals", told)
	}
}

// TestSchemasNameEveryField: no field of a body is missing in its schema, none is there that the body does not have, and what may be left out is the same.
func TestSchemasNameEveryField(t *testing.T) {
	for _, typ := range Types() {
		var s struct {
			Properties map[string]struct {
				By []string `json:"x-withheld-by"`
			}
			Required []string
			Closed   *bool `json:"additionalProperties"`
		}
		if err := json.Unmarshal(must(Schema(string(typ))), &s); err != nil {
			t.Fatal(err)
		}
		var fields, needed []string
		body := reflect.TypeOf(specs[typ].body()).Elem()
		for i := range body.NumField() {
			name, rest, _ := strings.Cut(body.Field(i).Tag.Get("json"), ",")
			fields = append(fields, name)
			if !strings.Contains(rest, "omit") {
				needed = append(needed, name)
			}
		}
		if got := slices.Sorted(maps.Keys(s.Properties)); !slices.Equal(got, slices.Sorted(slices.Values(fields))) {
			t.Errorf("%s: the schema has %v, the body %v", typ, got, fields)
		}
		if got := slices.Sorted(slices.Values(s.Required)); !slices.Equal(got, slices.Sorted(slices.Values(needed))) {
			t.Errorf("%s: the schema requires %v, the body %v", typ, got, needed)
		}
		for name, p := range s.Properties {
			if want := specs[typ].redactable[name]; !slices.Equal(slices.Sorted(slices.Values(p.By)), slices.Sorted(slices.Values(want))) {
				t.Errorf("%s: %s is withheld by %q in the schema, by %q in fact", typ, name, p.By, want)
			}
		}
		if s.Closed == nil || *s.Closed {
			t.Errorf("%s: other fields are allowed", typ)
		}
	}
	files, err := fs.Glob(SchemaFiles(), "*.json")
	if err != nil || !slices.Equal(files, schemaFileNames()) {
		t.Errorf("schemas %v, want %v: %v", files, schemaFileNames(), err)
	}
	if _, err := Schema("../schema/lead"); err != nil {
		t.Error(err) // the last part of a path is a name
	}
	if _, err := Schema("gossip"); err == nil || !strings.Contains(err.Error(), "trace-answer") {
		t.Errorf("an unknown name: %v", err)
	}
}

// TestSchemaOfSignedPayloads: every composed document is valid as a whole, and its body is once the disclosures are back.
func TestSchemaOfSignedPayloads(t *testing.T) {
	whole := compiled(t, "document")
	for _, typ := range Types() {
		signed, disclosures, err := Compose(headerOf(typ), bodies()[typ], noise(3))
		if err != nil {
			t.Fatal(err)
		}
		var payload map[string]any
		if err := json.Unmarshal(signed, &payload); err != nil {
			t.Fatal(err)
		}
		if err := whole.Validate(payload); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
		d, err := Open(signed, disclosures)
		if err != nil {
			t.Fatal(err)
		}
		if err := compiled(t, string(typ)).Validate(instance(t, d.Body)); err != nil {
			t.Errorf("%s opened: %v", typ, err)
		}
		payload["id"] = "x"
		if whole.Validate(payload) == nil {
			t.Errorf("%s: a document without an id is valid", typ)
		}
	}
}
