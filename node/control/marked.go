package control

import (
	"net/http"
	"reflect"
	"sync"

	"proofmark/protocol"
	"proofmark/store"
)

var marked = reflect.TypeFor[protocol.Marked]()

// bearing remembers of types whether a value of them can hold an answer with handling codes.
var bearing sync.Map // reflect.Type → bool

// bears tells whether values of a type can hold a protocol.Marked where EachMarked finds it.
func bears(t reflect.Type) bool {
	if known, ok := bearing.Load(t); ok {
		return known.(bool)
	}
	out := reaches(t, map[reflect.Type]bool{})
	bearing.Store(t, out)
	return out
}

func reaches(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return reaches(t.Elem(), seen)
	case reflect.Struct:
		if reflect.PointerTo(t).Implements(marked) {
			return true
		}
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && reaches(f.Type, seen) {
				return true
			}
		}
	}
	return false
}

// EachMarked calls fn for every answer with handling codes in what v points to: itself, what is in its lists and fields. What is in one of them belongs to it.
func EachMarked(v any, fn func(protocol.Marked)) {
	if r := reflect.ValueOf(v); r.Kind() == reflect.Pointer && !r.IsNil() && bears(r.Type()) {
		eachMarked(r.Elem(), fn)
	}
}

func eachMarked(v reflect.Value, fn func(protocol.Marked)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			eachMarked(v.Elem(), fn)
		}
	case reflect.Slice, reflect.Array:
		if !bears(v.Type().Elem()) {
			return
		}
		for i := range v.Len() {
			eachMarked(v.Index(i), fn)
		}
	case reflect.Struct:
		if !bears(v.Type()) {
			return
		}
		if m, ok := v.Addr().Interface().(protocol.Marked); ok {
			fn(m)
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				eachMarked(v.Field(i), fn)
			}
		}
	}
}

// say puts into an answer, before it leaves the node, what its handling codes mean, and whether their owners permit the use in court.
func (s *Server) say(answer any) error {
	r := reflect.TypeOf(answer)
	if !bears(r) {
		return nil
	}
	return s.services.Store.View(func(tx *store.Tx) (err error) {
		EachMarked(answer, func(m protocol.Marked) {
			h, about := m.Marks()
			court, cerr := s.services.Dispatch.Court(tx, h, about)
			if cerr != nil {
				err = cerr
			}
			m.Say(h, court)
		})
		return err
	})
}

// Answers are the types of what the commands answer, by their names.
func Answers() map[string]reflect.Type {
	s := &Server{answers: map[string]reflect.Type{}}
	s.routes(http.NewServeMux())
	return s.answers
}

func answers[Resp any](s *Server, name string) {
	if s.answers != nil {
		s.answers[name] = reflect.TypeFor[Resp]()
	}
}
