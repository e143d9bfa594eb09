package node

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// mangled: a request of somebody who may, of which one text is longer than any text, deep, or no text, is refused in a sentence of bounded length; nothing
// fails inside the node.
func (w *walk) mangled(r row) {
	w.t.Helper()
	letter, _ := letterOf(r.roles)
	name := bearer[letter]
	q := r.ask(name)
	if _, raw := q.body.(rawBody); raw {
		return
	}
	b, err := json.Marshal(q.body)
	if err != nil {
		w.t.Fatal(err)
	}
	var whole any
	if err := json.Unmarshal(b, &whole); err != nil {
		w.t.Fatal(err)
	}
	variants := map[string]any{"long": strings.Repeat("A long text. ", 160_000), "deep": nested(200), "object": map[string]any{"a": map[string]any{"b": 1}}}
	for _, path := range texts(whole, nil) {
		for kind, v := range variants {
			if kind == "long" && slices.Contains([]string{"documents", "files", "was", "now", "key"}, path[0]) {
				continue // signed documents and policies have limits of their own
			}
			q.body = with(whole, path, v)
			a := w.send(name, w.tokens[name], r.name, q)
			if a.status < 400 || a.status >= http.StatusInternalServerError || len(a.text) > 1024 || strings.Contains(a.text, "inside the node") {
				w.t.Errorf("%s by %s with %s in %s: %d, %d bytes: %.300s", r.name, name, kind, strings.Join(path, "."), a.status, len(a.text), a.text)
			}
		}
	}
}

func nested(depth int) any {
	var v any = 1
	for range depth {
		v = []any{v}
	}
	return v
}

// texts are the places of a JSON value's texts.
func texts(v any, at []string) (out [][]string) {
	switch v := v.(type) {
	case string:
		return [][]string{slices.Clone(at)}
	case map[string]any:
		for key, e := range v {
			out = append(out, texts(e, append(at, key))...)
		}
	}
	return out
}

// with is a JSON value with another value in one place.
func with(v any, at []string, other any) any {
	if len(at) == 0 {
		return other
	}
	out := map[string]any{}
	for key, e := range v.(map[string]any) {
		out[key] = e
		if key == at[0] {
			out[key] = with(e, at[1:], other)
		}
	}
	return out
}
