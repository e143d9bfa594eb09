package main

import (
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"proofmark/protocol"
)

type schemaCmd struct {
	Name string `arg:"" optional:"" help:"Document type, or document for the payload as a whole, or common; all are listed if left out."`
	Out  string `help:"Write all schemas into this folder, which must exist; no file is overwritten." type:"existingdir" placeholder:"DIR"`
}

func (c *schemaCmd) Run(a *app) error {
	switch {
	case c.Out != "":
		return c.write(a)
	case c.Name == "":
		names := protocol.SchemaNames()
		return a.show(names, func(w io.Writer) {
			for _, n := range names {
				fmt.Fprintln(w, n)
			}
		})
	}
	b, err := protocol.Schema(c.Name)
	if err != nil {
		return err
	}
	_, err = a.out.Write(b)
	return err
}

func (c *schemaCmd) write(a *app) error {
	names, err := fs.Glob(protocol.SchemaFiles(), "*.json")
	if err != nil {
		return err
	}
	files := make([]newFile, len(names))
	for i, n := range names {
		b, err := fs.ReadFile(protocol.SchemaFiles(), n)
		if err != nil {
			return err
		}
		files[i] = newFile{filepath.Join(c.Out, n), b, 0o644}
	}
	if err := createFiles(files...); err != nil {
		return err
	}
	return a.show(names, func(w io.Writer) { fmt.Fprintf(w, "%d schemas are written to %s.\n", len(names), printable(c.Out)) })
}
