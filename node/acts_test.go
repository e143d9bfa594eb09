package node

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"proofmark/node/control"
	"proofmark/store"
)

// commandsOf reads the names of all commands from the source of the control package: what handle, handleOpen and handleDownload register. No list has to
// be kept beside it.
func commandsOf(t *testing.T) (withSession, open []string) {
	t.Helper()
	files, err := filepath.Glob("control/routes*.go")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, src, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			c, ok := n.(*ast.CallExpr)
			if !ok || len(c.Args) < 3 {
				return true
			}
			fn, ok := c.Fun.(*ast.Ident)
			name, literal := c.Args[2].(*ast.BasicLit)
			if !ok || !literal || !strings.HasPrefix(fn.Name, "handle") {
				return true
			}
			if word := strings.Trim(name.Value, `"`); fn.Name == "handleOpen" {
				open = append(open, word)
			} else {
				withSession = append(withSession, word)
			}
			return true
		})
	}
	return withSession, open
}

// silent are the commands that show nothing of content and change nothing, with why.
var silent = map[string]string{
	"budget.show": "how much one may still ask is one's own count and nothing of a case; that of countries is read through the desk, which records it",
	"whoami":      "shows a person who the person is",
	"status":      "says how the node is, to anybody at the machine",
	"login":       "leaves an entry when a secret is right, or wrong; an empty name is neither", // its own test looks at both
}

// Whoever may do nothing leaves an entry with each command that is tried, and gets nothing: with an empty request and with one that is filled. A command
// that is malformed before anybody is asked for permission shows nothing and is told so.
func TestEveryCommandLeavesAnEntry(t *testing.T) {
	b := newBureau(t, "PT")
	b.start()
	b.login(map[string]string{"aud": "auditor", "tech": "technician"})
	withSession, open := commandsOf(t)
	if len(withSession) < 60 || !slices.Contains(withSession, "audit.export") || !slices.Contains(open, "login") {
		t.Fatalf("%d commands with a session: %v; %v", len(withSession), withSession, open)
	}
	size := func() int64 {
		n, err := b.node.store.AuditSize()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, name := range withSession {
		if silent[name] != "" || name == "logout" {
			continue
		}
		for _, who := range []string{"aud", "tech"} {
			before := size()
			status, text := b.raw("POST", "/v1/"+name, b.people[who].Token, "{}")
			entries, err := b.node.store.QueryAudit(t.Context(), store.AuditQuery{Actor: who, Limit: int(size()-before) + 1})
			if err != nil {
				t.Fatal(err)
			}
			entries = slices.DeleteFunc(entries, func(r store.AuditRecord) bool { return r.Index < before })
			switch {
			case len(entries) > 0:
				for _, e := range entries {
					if e.Action == "" || e.Decision == "" || e.Event == "" || e.PolicyVer == "" && e.Ground != "workflow" {
						t.Errorf("%s by %s: an entry without action, decision, event or policy: %+v", name, who, e)
					}
				}
				if status == http.StatusForbidden && entries[len(entries)-1].Decision != "deny" {
					t.Errorf("%s by %s was refused, the log says %+v", name, who, entries)
				}
			case status == http.StatusOK || status == http.StatusForbidden:
				t.Errorf("%s by %s: %d, and nothing in the log: %.200s", name, who, status, text)
			case status != http.StatusBadRequest && status != http.StatusNotFound && status != http.StatusConflict:
				t.Errorf("%s by %s: %d %.200s", name, who, status, text)
			}
		}
	}
	for _, name := range open {
		if silent[name] == "" {
			t.Errorf("%s needs no session: does it show or change nothing? Say so in this test", name)
		}
	}
	if v := call[control.AuditVerified](t, b.people["aud"], "audit.verify", control.VerifyRequest{}); !v.Verified {
		t.Error(v.Fault)
	}
}
