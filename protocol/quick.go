package protocol

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// quickly decodes a JSON object that CheckJSON has let through into a struct, field by field and without a second look at the bytes: most of what arrives is
// text in plain letters under names that are known. It reports false where it meets anything else, and then what it wrote is worth nothing: encoding/json
// decides, and says what is wrong.
func quickly(b []byte, into reflect.Value) bool {
	fields := quickFieldsOf(into.Type())
	if fields == nil {
		return false
	}
	object, err := members(b, func(name, value []byte) error {
		f, known := fields[string(name)]
		if !known || !f.set(value, into.FieldByIndex(f.index)) {
			return errNotQuick
		}
		return nil
	})
	return object && err == nil
}

var errNotQuick = errors.New("for encoding/json to decide")

// quickField is a field of a struct and how it is set from a JSON value; set reports false where it does not know how.
type quickField struct {
	index []int
	set   func(value []byte, into reflect.Value) bool
}

var quickCache sync.Map // reflect.Type → map[string]quickField, nil for what is not decoded quickly

func quickFieldsOf(t reflect.Type) map[string]quickField {
	if m, ok := quickCache.Load(t); ok {
		return m.(map[string]quickField)
	}
	m := makeQuickFields(t)
	quickCache.Store(t, m)
	return m
}

func makeQuickFields(t reflect.Type) map[string]quickField {
	if t.Kind() != reflect.Struct || decodesItself(t) {
		return nil
	}
	m := map[string]quickField{}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && f.Type.Kind() == reflect.Struct && name == "" && !decodesItself(f.Type):
			continue // its fields come by themselves
		case f.Anonymous, strings.Contains(options, "string"):
			return nil
		case !f.IsExported() || name == "" || name == "-":
			continue
		}
		if _, twice := m[name]; twice {
			return nil
		}
		m[name] = quickField{f.Index, setterOf(f.Type)}
	}
	return m
}

func decodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(jsonUnmarshaler) || p.Implements(textUnmarshaler)
}

func setterOf(t reflect.Type) func(value []byte, into reflect.Value) bool {
	switch {
	case t == reflect.TypeFor[json.RawMessage]():
		return func(value []byte, into reflect.Value) bool {
			into.SetBytes(bytes.Clone(value))
			return true
		}
	case decodesItself(t):
	case t.Kind() == reflect.String:
		return setText
	case t == reflect.TypeFor[[]byte]():
		return setBytes
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String && !decodesItself(t.Elem()):
		return setTexts
	case t.Kind() == reflect.Uint64:
		return func(value []byte, into reflect.Value) bool {
			n, err := strconv.ParseUint(string(value), 10, 64)
			into.SetUint(n)
			return err == nil
		}
	case t.Kind() == reflect.Int:
		return func(value []byte, into reflect.Value) bool {
			n, err := strconv.ParseInt(string(value), 10, 64)
			into.SetInt(n)
			return err == nil
		}
	case t.Kind() == reflect.Float64:
		return func(value []byte, into reflect.Value) bool {
			x, err := strconv.ParseFloat(string(value), 64)
			into.SetFloat(x)
			return err == nil
		}
	case t.Kind() == reflect.Bool:
		return func(value []byte, into reflect.Value) bool {
			into.SetBool(string(value) == "true")
			return string(value) == "true" || string(value) == "false"
		}
	case t.Kind() == reflect.Pointer:
		set := setterOf(t.Elem())
		return func(value []byte, into reflect.Value) bool {
			if string(value) == "null" {
				return true
			}
			to := reflect.New(t.Elem())
			into.Set(to)
			return set(value, to.Elem())
		}
	}
	return func(value []byte, into reflect.Value) bool {
		if len(value) > 0 && value[0] == '{' && quickly(value, into) {
			return true
		}
		into.SetZero()
		return exactNames(value, t) == nil && json.Unmarshal(value, into.Addr().Interface()) == nil
	}
}

func setText(value []byte, into reflect.Value) bool {
	if len(value) == 0 || value[0] != '"' {
		return false
	}
	s, err := textOf(value)
	into.SetString(s)
	return err == nil
}

func setBytes(value []byte, into reflect.Value) bool {
	if len(value) < 2 || value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 {
		return false
	}
	text := value[1 : len(value)-1]
	b := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(b, text)
	into.SetBytes(b[:n])
	return err == nil
}

func setTexts(value []byte, into reflect.Value) bool {
	list := reflect.MakeSlice(into.Type(), 0, 8)
	array, err := elements(value, func(e []byte) error {
		s, ok := bareText(e)
		if !ok {
			return errNotQuick
		}
		list = reflect.Append(list, reflect.ValueOf(s).Convert(list.Type().Elem()))
		return nil
	})
	into.Set(list)
	return array && err == nil
}
