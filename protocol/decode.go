package protocol

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// encode is json.Marshal without the escapes for HTML, which make a text up to six times longer.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// strict decodes exactly one JSON value, which CheckJSON has let through, and refuses unknown fields. A field in other letters, such as "Place" for
// "place", is unknown: encoding/json alone would take one for the other, and then a withheld field could stand open, and two readers could read differently.
func strict(b []byte, v any) error {
	into := reflect.ValueOf(v).Elem()
	if quickly(b, into) {
		return nil
	}
	into.SetZero()
	return strictly(b, v)
}

// strictly is strict by encoding/json alone.
func strictly(b []byte, v any) error {
	if err := exactNames(b, reflect.TypeOf(v)); err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// exactNames checks the field names of a value that decodes into t, letter by letter.
func exactNames(b []byte, t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if !holdsStruct(t) {
		return nil
	}
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
		at := 0
		_, err := elements(b, func(value []byte) error {
			at++
			if err := exactNames(value, t.Elem()); err != nil {
				return fmt.Errorf("%d: %w", at, err)
			}
			return nil
		})
		return err
	}
	known := fieldsOf(t)
	_, err := members(b, func(name, value []byte) error {
		text := name
		if bytes.IndexByte(name, '\\') >= 0 {
			var s string
			if err := json.Unmarshal(slices.Concat([]byte(`"`), name, []byte(`"`)), &s); err != nil {
				return err
			}
			text = []byte(s)
		}
		ft, ok := known[string(text)]
		if !ok {
			return fmt.Errorf("unknown field %.40q", text)
		}
		if err := exactNames(value, ft); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		return nil
	})
	return err
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	fieldCache      sync.Map // reflect.Type → map[string]reflect.Type
)

// holdsStruct tells whether a type has field names of its own: a struct that does not decode itself, or a list of such.
func holdsStruct(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if p := reflect.PointerTo(t); p.Implements(jsonUnmarshaler) || p.Implements(textUnmarshaler) {
		return false
	}
	switch t.Kind() {
	case reflect.Struct:
		return true
	case reflect.Slice, reflect.Array:
		return holdsStruct(t.Elem())
	}
	return false
}

func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if m, ok := fieldCache.Load(t); ok {
		return m.(map[string]reflect.Type)
	}
	m := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && !f.Anonymous && name != "" && name != "-" {
			m[name] = f.Type
		}
	}
	fieldCache.Store(t, m)
	return m
}
