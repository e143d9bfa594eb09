package protocol

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
)

// Schemas are JSON Schemas (draft 2020-12): one for the body of each document type, with every disclosure put back, one for a signed payload as a whole, and
// what they have in common. They are for other implementations and for readers; a node decides by Check, which also holds what a schema cannot say: lengths
// in bytes, the order of two times, two people being different ones, ids that end with their issuer's code.
//
//go:embed schema/*.json
var schemas embed.FS

// Schema returns the JSON Schema of a type's body in the version this node writes. "document" and "common" are names too.
func Schema(name string) ([]byte, error) {
	version := 1
	if s, ok := specs[Type(name)]; ok {
		version = s.schema
	}
	b, err := schemas.ReadFile(path.Join("schema", path.Base(name)+"-"+strconv.Itoa(version)+".json"))
	if err != nil {
		return nil, fmt.Errorf("schema of %.40q: %w: the names are %v", name, ErrUnknownType, SchemaNames())
	}
	return b, nil
}

// SchemaNames lists what Schema knows: every document type, "document" and "common".
func SchemaNames() []string {
	names := []string{"document", "common"}
	for _, t := range Types() {
		names = append(names, string(t))
	}
	return names
}

// SchemaFiles is the folder of schemas, whose files refer to each other by name.
func SchemaFiles() fs.FS {
	sub, err := fs.Sub(schemas, "schema")
	if err != nil { // the name is a constant
		panic(err)
	}
	return sub
}

// schemaFileNames are the files that must be there, sorted.
func schemaFileNames() []string {
	var out []string
	for _, n := range SchemaNames() {
		version := 1
		if s, ok := specs[Type(n)]; ok {
			version = s.schema
		}
		out = append(out, n+"-"+strconv.Itoa(version)+".json")
	}
	slices.Sort(out)
	return out
}
