package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/node/control"
	"proofmark/node/dispatch"
	"proofmark/protocol"
)

// pages are the commands that print what carries handling codes; every route that answers such a thing is asked by one of them.
var pages = []string{
	"approval list", "approval show D", "approval approve D --yes", "approval refuse D --reason x",
	"audit query", "audit query --exhibit E", "audit export OUT.csv",
	"bundle export --to ES OUT",
	"candidates list", "candidates list --exhibit E", "candidates show abcdef", "candidates show abcdef --picture OUT.svg", "candidates review abcdef --verdict lead",
	"document list", "document show D", "document save D OUT", "document hold D --ground x", "document release D --yes",
	"exhibit add --number E --case C --origin evidence --calibre 9x19", "exhibit list", "exhibit show E", "exhibit tag E --operation O",
	"lead list", "lead show L", "lead release abcdef", "lead ack L", "lead retract L --reason x --yes", "lead feedback L --code ARREST", "hit confirm L",
	"operation list", "operation show O", "operation accept O", "operation approve O", "operation reject O --note x", "operation leave O --reason x --yes", "operation end O --reason x --yes",
	"operation propose --name n --purpose p --legal-basis l --members ES --until 2099-01-31",
	"policy explain --document D --to ES",
	"scan request S --reason x", "scan requests", "scan show R", "scan approve R", "scan refuse R --reason OTHER --note x", "scan fetch R", "scan save R OUT",
	"trace new --to ES --kind pistol --justification j --circumstances c --intended-use u --agency a", "trace list", "trace show T", "trace ack T",
	"trace answer T --outcome UNSUCCESSFUL --reason NO_RECORD", "trace close T",
}

// issuing commands make documents; like all pages above they say at once that one waits for two people.
var issuing = []string{
	"acquire --exhibit E --roi breech-face SCAN", "document withdraw D --reason OTHER --note x --yes", "exhibit withdraw E --reason OTHER --note x --yes",
	"permission grant D --holder ES --court --until 2099-01-31",
}

// unprinted answers have no command line: audit.find is the same with how far it looked.
var unprinted = []string{"audit.query"}

// demand is what the sample answers carry, and use what its owner permits.
var (
	demand = protocol.MarkedBy("KE", protocol.NotInCourt)
	use    = protocol.Court{Owner: "KE", Holder: "PT", Document: "DOCUMENT-1", Permission: "PERMISSION-1", Granted: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)}
)

const (
	sentence = "H1: not to be used in court without the permission of KE."
	courtUse = "H1, use in court: permitted by KE on 2026-03-01, until 2026-09-01 (permission PERMISSION-1, about document DOCUMENT-1)."
)

// depth to which a sample is filled: that of a list of pages with a list of marked things.
const depth = 5

// sample makes a value of a type in which every list has one element and every pointer leads somewhere, down to a depth of lists and pointers.
func sample(t reflect.Type, depth int) reflect.Value {
	v := reflect.New(t).Elem()
	switch {
	case t == reflect.TypeFor[json.RawMessage]():
		v.SetBytes([]byte("{}"))
	case t == reflect.TypeFor[protocol.Handling]():
		v.Set(reflect.ValueOf(demand))
	case t == reflect.TypeFor[time.Time](), depth == 0:
	case t.Kind() == reflect.Pointer:
		v.Set(sample(t.Elem(), depth-1).Addr())
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		v.Set(reflect.Append(v, sample(t.Elem(), depth-1)))
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() {
				x := sample(f.Type, depth)
				if f.Name == "Handling" && f.Type == reflect.TypeFor[[]string]() {
					x = reflect.ValueOf([]string{protocol.NotInCourt})
				}
				v.Field(i).Set(x)
			}
		}
	}
	return v
}

// answering serves the commands in a folder with samples of what a node answers, and notes which were asked.
func answering(t *testing.T, dir string) (unasked func() []string) {
	t.Helper()
	open := map[string]bool{} // routes that carry codes and were not asked
	mux := http.NewServeMux()
	for name, typ := range control.Answers() {
		answer := sample(typ, depth).Addr()
		control.EachMarked(answer.Interface(), func(m protocol.Marked) {
			h, _ := m.Marks()
			m.Say(h, []protocol.Court{use})
			if w, ok := m.(*dispatch.Waiting); ok {
				w.Manners[0].State = dispatch.Awaiting
			}
			open[name] = true
		})
		waits := dispatch.Waiting{Document: "WAITING-1", Type: protocol.TypeFeedback, Until: use.Until, Roles: []string{"examiner", "ncb-operator"},
			Manners: []dispatch.Manner{{To: []protocol.Country{"ES"}, State: dispatch.Awaiting}}}
		body, err := json.Marshal(map[string]any{"result": answer.Interface(), "held": []dispatch.Waiting{waits}})
		if err != nil {
			t.Fatal(name, err)
		}
		mux.HandleFunc("POST /v1/"+name, func(w http.ResponseWriter, _ *http.Request) {
			delete(open, name)
			if name != "audit.export" {
				_, _ = w.Write(body)
				return
			}
			_, _ = w.Write(append([]byte("\x00\x00\x00\x05rows\n\x00\x00\x00\x00"), body...)) // pieces behind their lengths, and the reply
		})
	}
	l, err := net.Listen("unix", filepath.Join(dir, "proofmark.sock"))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: mux}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return func() []string { return slices.Sorted(maps.Keys(open)) }
}

// Every page, list, answer in JSON and saved file of something that carries H1 says in words what that means, and whether its owner permits the use in court.
func TestEveryPageSaysWhatItsCodesMean(t *testing.T) {
	dir, err := os.MkdirTemp("", "pm") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	unasked := answering(t, dir)
	session := filepath.Join(dir, "session")
	if err := os.WriteFile(session, []byte(`{"data":"`+dir+`","name":"ana","token":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range slices.Concat(pages, issuing) {
		for _, asJSON := range []bool{false, true} {
			text, files := typedAt(t, dir, session, line, asJSON)
			if asJSON && !strings.Contains(text, "WAITING-1") || !asJSON && !strings.Contains(text, "Not sent yet: this feedback (document WAITING-1) for ES waits until two people other than you (examiner or ncb-operator) have approved it, and lapses on 2026-09-01") {
				if !strings.HasPrefix(line, "audit export") {
					t.Errorf("%s (json %v): nobody is told that a document waits:\n%s", line, asJSON, text)
				}
			}
			if slices.Contains(issuing, line) {
				continue
			}
			for _, page := range append(files, text) {
				for _, want := range []string{sentence, courtUse} {
					if strings.Contains(line, "audit ") && want == sentence {
						want = "H1: not to be used in court without the permission of " // the log is told codes without owners
					}
					if !strings.Contains(page, want) {
						t.Errorf("%s (json %v) does not say %q:\n%s", line, asJSON, want, page)
					}
				}
			}
		}
	}
	for _, name := range unasked() {
		if !slices.Contains(unprinted, name) {
			t.Errorf("no command of this test asks for %s, which carries handling codes", name)
		}
	}
}

// typedAt runs a command line at the node of a folder and returns what it printed, and what lies beside a file that it saved.
func typedAt(t *testing.T, dir, session, line string, asJSON bool) (text string, files []string) {
	t.Helper()
	out := filepath.Join(dir, "out")
	if err := errors.Join(os.RemoveAll(out), os.MkdirAll(out, 0o700), os.WriteFile(filepath.Join(out, "SCAN"), []byte("scan"), 0o600)); err != nil {
		t.Fatal(err)
	}
	args := []string{"--data", dir, "--session", session}
	if asJSON {
		args = append(args, "--json")
	}
	for _, word := range strings.Fields(line) {
		if strings.HasPrefix(word, "OUT") || word == "SCAN" {
			word = filepath.Join(out, word)
		}
		args = append(args, word)
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); code != exitOK {
		t.Errorf("%s: exit %d: %s", line, code, stderr.String())
	}
	if strings.HasPrefix(line, "document save") || strings.HasPrefix(line, "scan save") {
		b, err := os.ReadFile(filepath.Join(out, "OUT.handling"))
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
		files = append(files, string(b))
	}
	if asJSON {
		return stdout.String() + stderr.String(), files // beside a list it is said to people
	}
	return stdout.String(), files
}
