package evaluate

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Every key at the top level is explained in docs/accuracy.md.
func TestKeysAreDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "accuracy.md"))
	if err != nil {
		t.Fatal(err)
	}
	var keys func(v reflect.Type) []string
	keys = func(v reflect.Type) (out []string) {
		for i := range v.NumField() {
			f := v.Field(i)
			if f.Anonymous {
				out = append(out, keys(f.Type)...)
			} else if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				out = append(out, name)
			}
		}
		return out
	}
	all := keys(reflect.TypeFor[Figures]())
	for _, k := range promisedKeys {
		if !slices.Contains(all, k) {
			t.Errorf("no figure is called %s", k)
		}
	}
	for _, k := range all {
		if !bytes.Contains(page, []byte("`"+k+"`")) {
			t.Errorf("docs/accuracy.md does not explain `%s`", k)
		}
	}
}
