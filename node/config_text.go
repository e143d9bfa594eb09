package node

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Text is proofmark.toml as init writes it: the configuration, and after it every section that it leaves to the defaults, each line behind a # that is taken
// away to change it. A key's default stands in its tag.
func (c Config) Text() ([]byte, error) {
	b, err := toml.Marshal(c)
	if err != nil {
		return nil, err
	}
	text := bytes.NewBuffer(b)
	text.WriteString("\n# What follows is not in force, and shows the defaults: take away the # before a section and before each line of it that you change.\n")
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		if name, left := leftOut(v.Type().Field(i), v.Field(i)); left {
			fmt.Fprintf(text, "\n#[%s]\n", name)
			writeDefaults(text, c.Country, name, v.Type().Field(i).Type)
		}
	}
	return text.Bytes(), nil
}

// leftOut reports whether a section stands at its defaults, and so is not written by Marshal.
func leftOut(f reflect.StructField, v reflect.Value) (name string, left bool) {
	name, options, _ := strings.Cut(f.Tag.Get("toml"), ",")
	return name, f.Type.Kind() == reflect.Struct && options == "omitempty" && v.IsZero()
}

func writeDefaults(text *bytes.Buffer, own, section string, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		fmt.Fprintf(text, "## %s\n", f.Tag.Get("comment"))
		if f.Type.Kind() == reflect.Map { // another country is its key
			other := "PT"
			if own == other {
				other = "ES"
			}
			fmt.Fprintf(text, "#[%s.%s]\n#%s = %s\n", section, key, other, f.Tag.Get("example"))
			continue
		}
		fmt.Fprintf(text, "#%s = %s\n", key, f.Tag.Get("default"))
	}
}
