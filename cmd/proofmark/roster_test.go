package main

import (
	"encoding/json"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
)

// graft FROM TO OUT puts the signatures of one roster's file under the content of another: what somebody does who changes a file that is signed.
func graft(ts *testscript.TestScript, _ bool, args []string) {
	var from, to map[string]json.RawMessage
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &from))
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &to))
	b, err := json.Marshal(struct {
		Payload    json.RawMessage `json:"payload"`
		Signatures json.RawMessage `json:"signatures"`
	}{to["payload"], from["signatures"]})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b, 0o644))
}

// damage HOW IN OUT is what happens to a file in the mail: cut, wrapped, or a letter changed.
func damage(ts *testscript.TestScript, _ bool, args []string) {
	b := []byte(ts.ReadFile(args[1]))
	switch args[0] {
	case "cut":
		b = b[:len(b)*2/3]
	case "letter":
		b[len(b)/2] ^= 1
	case "wrapped": // mail programs break long lines
		var out []byte
		for len(b) > 76 {
			out, b = append(append(out, b[:76]...), '\n'), b[76:]
		}
		b = append(out, b...)
	case "padded": // and put line ends around what they carry
		b = append(append([]byte("\r\n"), b...), "\r\n\r\n"...)
	default:
		ts.Fatalf("unknown damage %s", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b, 0o644))
}
