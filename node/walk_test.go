package node

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"proofmark/node/control"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/store"
)

// The roles by letter, and the person who has each in the walk.
var (
	letters = map[rune]string{'o': policy.NCBOperator, 't': policy.Technician, 'e': policy.Examiner, 'i': policy.Investigator, 'a': policy.Auditor, 'd': policy.Administrator}
	bearer  = map[rune]string{'o': "op", 't': "tech", 'e': "exam1", 'i': "inv", 'a': "aud", 'd': "admin"}
)

// row is one command with a request that means something, and who may give it.
type row struct {
	name    string
	roles   string          // letters of those who may, by the handbook: written by hand, and held against the policy
	actions []policy.Action // what the decision function is asked, any of these
	ask     func(who string) request
	nothing func() request // the same about an object that is not there; nil where the request names none
	hidden  string         // letters of those who may do this with other objects, and may not know of this one: they get the answer to one that is not there
	seen    string         // letters of those who may do this with other objects, and may see this one: they are told why not with this one
	makes   bool           // the act makes a new object, which the log names by its id
	status  int            // what is answered to who may; 200 if 0
	then    func()         // what others do before the next row
}

// request is what a command is sent.
type request struct {
	body   any
	object string // as the log is to name it; empty where it is named by the node, or nothing is named
	files  []byte // of an upload
	why    string
}

// walk is a bureau in the middle of its work, beside a second one.
type walk struct {
	t      *testing.T
	pt, es *bureau
	tokens map[string]string
	socket *http.Client

	mu     sync.Mutex
	former string // of somebody whose role was taken away a moment ago
}

// answered is what came back.
type answered struct {
	who    string
	status int
	text   string
}

// send speaks to the command socket as anybody could.
func (w *walk) send(who, token, name string, q request) answered {
	w.t.Helper()
	body, err := json.Marshal(q.body)
	if raw, ok := q.body.(rawBody); ok {
		body, err = []byte(raw), nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	content := body
	if q.files != nil {
		content = q.files
	}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://node/v1/"+name, bytes.NewReader(content))
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if q.files != nil {
		r.Header.Set("Proofmark-Request", base64.StdEncoding.EncodeToString(body))
	}
	if q.why != "" {
		r.Header.Set("Proofmark-Justification", base64.StdEncoding.EncodeToString([]byte(q.why)))
	}
	resp, err := w.socket.Do(r)
	if err != nil {
		w.t.Fatalf("%s by %s: %v", name, who, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%s by %s: %v", name, who, err)
	}
	return answered{who, resp.StatusCode, string(text)}
}

// rawBody is sent as it is.
type rawBody string

// since returns the entries of the log from an index on, the oldest first.
func (w *walk) since(index int64) []store.AuditRecord {
	w.t.Helper()
	size := w.size()
	if size == index {
		return nil
	}
	list, err := w.pt.node.store.QueryAudit(w.t.Context(), store.AuditQuery{Limit: int(size-index) + 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Reverse(list)
	return slices.DeleteFunc(list, func(r store.AuditRecord) bool { return r.Index < index })
}

func (w *walk) size() int64 {
	w.t.Helper()
	n, err := w.pt.node.store.AuditSize()
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// oracle asks the decision function itself.
func (w *walk) oracle(who string, roles []string, actions []policy.Action) (allow bool, by []string) {
	for _, a := range actions {
		d := w.pt.node.policy.Load().Decide(policy.Request{Principal: policy.Principal{User: who, Roles: roles, Country: w.pt.country}, Action: a, Now: w.pt.node.now(),
			Purpose: "criminal-investigation"})
		if d.Allow {
			return true, desk.PolicyRefs(d)
		}
	}
	return false, nil
}

// step lets everybody ask for a row: first who may not, then who may.
func (w *walk) step(r row) {
	w.t.Helper()
	for letter, role := range letters {
		allow, _ := w.oracle(bearer[letter], []string{role}, r.actions)
		if want := strings.ContainsRune(r.roles, letter); allow != want {
			w.t.Errorf("%s: policy permits it to %s: %v; the handbook: %v", r.name, role, allow, want)
		}
	}
	w.strangers(r)
	w.refused(r)
	w.mangled(r)
	for _, letter := range r.roles {
		w.permitted(r, letter)
	}
	if r.then != nil {
		r.then()
	}
}

// strangers: without a session there is one answer, whatever is asked.
func (w *walk) strangers(r row) {
	w.t.Helper()
	q := r.ask("tech")
	var texts []string
	for name, token := range map[string]string{"nobody": "", "somebody of ES": w.es.people["op"].Token, "a guess": "made-up", "another case": strings.ToUpper(w.tokens["admin"])} {
		for _, ask := range []request{q, {body: rawBody("[[[")}} {
			a := w.send(name, token, r.name, ask)
			if a.status != http.StatusUnauthorized || !strings.Contains(a.text, `"no-session"`) {
				w.t.Errorf("%s by %s: %d %.200s", r.name, name, a.status, a.text)
			}
			if token != "" {
				texts = append(texts, a.text)
			}
		}
	}
	if slices.Sort(texts); len(slices.Compact(texts)) != 1 {
		w.t.Errorf("%s: strangers can tell one from the other: %q", r.name, texts)
	}
}

// refused: whoever may not gets the same answer for what is there, what is not, and what is no request; and each time stands in the log.
func (w *walk) refused(r row) {
	w.t.Helper()
	asks := []request{r.ask("exam2"), {body: rawBody("{}")}, {body: rawBody(`{"nonsense":[1,2,3]}`)}, {body: rawBody("\x00\xff")}}
	if r.nothing != nil {
		asks = append(asks, r.nothing())
	}
	people := map[string]string{} // name → token
	for letter, name := range bearer {
		if !strings.ContainsRune(r.roles+r.hidden+r.seen, letter) {
			people[name] = w.tokens[name]
		}
	}
	people["former"] = w.demote(r)
	before := w.size()
	var wg sync.WaitGroup
	got := map[string][]answered{}
	for name, token := range people {
		wg.Go(func() {
			for _, q := range asks {
				a := w.send(name, token, r.name, q)
				w.mu.Lock()
				got[name] = append(got[name], a)
				w.mu.Unlock()
			}
		})
	}
	wg.Wait()
	entries := map[string][]store.AuditRecord{}
	for _, e := range w.since(before) {
		entries[e.Actor] = append(entries[e.Actor], e)
	}
	for name, list := range got {
		for i, a := range list {
			if a.status != http.StatusForbidden || a.text != list[0].text {
				w.t.Errorf("%s by %s, who may not, ask %d: %d %.300s\nand of what is there: %.300s", r.name, name, i, a.status, a.text, list[0].text)
			}
		}
		own := entries[name]
		if len(own) != len(list) {
			w.t.Errorf("%s: %s was refused %d times, the log has %d entries:%s", r.name, name, len(list), len(own), spelled(own))
			continue
		}
		for i, e := range own {
			if e.Action != "deny" || e.Decision != "deny" || e.Ground != "policy" || e.PolicyVer == "" || e.Kind == "" || !strings.HasPrefix(e.Event, "refused ") || !strings.Contains(e.Event, string(r.actions[0])) {
				w.t.Errorf("%s: the entry of a refusal to %s:%s", r.name, name, spelled([]auditRecord{e}))
			}
			if q := asks[i]; q.object != "" && e.Object != q.object {
				w.t.Errorf("%s: %s asked for %q, the log names %q", r.name, name, q.object, e.Object)
			}
		}
	}
	for _, letter := range r.hidden {
		w.hides(r, bearer[letter])
	}
	for _, letter := range r.seen {
		name := bearer[letter]
		before := w.size()
		a := w.send(name, w.tokens[name], r.name, r.ask(name))
		if own := w.since(before); a.status != http.StatusForbidden || len(own) != 1 || own[0].Actor != name || own[0].Decision != "deny" {
			w.t.Errorf("%s by %s: %d %.300s%s", r.name, name, a.status, a.text, spelled(own))
		}
	}
}

// hides: whoever may do this with other objects alone cannot tell an object from none.
func (w *walk) hides(r row, name string) {
	w.t.Helper()
	there, not := r.ask(name), r.nothing()
	before := w.size()
	a, b := w.send(name, w.tokens[name], r.name, there), w.send(name, w.tokens[name], r.name, not)
	if a.status != http.StatusNotFound || b.status != a.status || strings.ReplaceAll(a.text, there.object, "X") != strings.ReplaceAll(b.text, not.object, "X") {
		w.t.Errorf("%s by %s: %d %.200s\nof nothing: %d %.200s", r.name, name, a.status, a.text, b.status, b.text)
	}
	own := slices.DeleteFunc(w.since(before), func(e store.AuditRecord) bool { return e.Actor != name })
	if len(own) < 2 || own[0].Decision != "deny" {
		w.t.Errorf("%s by %s: the log has%s", r.name, name, spelled(own))
	}
}

// demote gives somebody the roles that may, and takes them away again; the session is from before.
func (w *walk) demote(r row) (token string) {
	w.t.Helper()
	chief := desk.Actor{Name: "admin", Roles: []string{policy.Administrator}}
	first, _ := letterOf(r.roles)
	if err := w.pt.node.people.SetRoles(w.t.Context(), chief, "", "former", []string{letters[first]}); err != nil {
		w.t.Fatal(err)
	}
	for _, letter := range "taeido" {
		if !strings.ContainsRune(r.roles+r.hidden+r.seen, letter) {
			if err := w.pt.node.people.SetRoles(w.t.Context(), chief, "", "former", []string{letters[letter]}); err != nil {
				w.t.Fatal(err)
			}
			return w.former
		}
	}
	w.t.Fatalf("%s: everybody may", r.name)
	return ""
}

func letterOf(s string) (rune, bool) {
	for _, l := range s {
		return l, true
	}
	return 'o', false
}

// permitted: whoever may is answered, and the log names who, what, by which policies.
func (w *walk) permitted(r row, letter rune) {
	w.t.Helper()
	name := bearer[letter]
	q := r.ask(name)
	before := w.size()
	a := w.send(name, w.tokens[name], r.name, q)
	want := http.StatusOK
	if r.status != 0 {
		want = r.status
	}
	if a.status != want || want == http.StatusOK && !strings.Contains(a.text, `"result"`) {
		w.t.Errorf("%s by %s, who may: %d %.300s", r.name, name, a.status, a.text)
		return
	}
	_, by := w.oracle(name, []string{letters[letter]}, r.actions)
	ok := false
	for _, e := range w.since(before) {
		if e.Actor != name {
			continue
		}
		if e.Action == "" || e.Decision != "permit" && e.Ground != "person" && e.Ground != "approval" || e.Event == "" || e.PolicyVer == "" {
			w.t.Errorf("%s by %s: an entry that does not say what and under which policy:%s", r.name, name, spelled([]auditRecord{e}))
		}
		named := q.object == "" || e.Counterpart == q.object || e.Case == q.object || r.makes && e.Object != "" || e.Object == q.object || slices.Contains(e.Documents, q.object) || slices.Contains(slices.Collect(maps.Values(e.Details)), q.object)
		ok = ok || named && want == http.StatusNotFound && e.Ground == "not-found" || named && len(by) > 0 && !slices.ContainsFunc(by, func(p string) bool { return !slices.Contains(e.Policies, p) })
	}
	if !ok {
		w.t.Errorf("%s by %s: no entry names %q and the policies %q:%s", r.name, name, q.object, by, spelled(w.since(before)))
	}
}

// newWalk opens two bureaus with everybody in his role.
func newWalk(t *testing.T) *walk {
	t.Helper()
	w := &walk{t: t, pt: newBureau(t, "PT"), es: newBureau(t, "ES"), tokens: map[string]string{}}
	w.pt.grant("ES", "50MB")
	w.es.grant("PT", "50MB")
	w.pt.addPolicy("98-held.cedar", `@id("feedback-waits") @handling("H0") @approval("two-person")
permit (principal is Country, action == Action::"share", resource is Feedback) when { resource.addressee == principal };`)
	for _, b := range []*bureau{w.pt, w.es} {
		b.scans = quickScans
		b.start()
		b.login(roles)
		b.more("op2", policy.NCBOperator)
	}
	w.pt.more("former", policy.Technician)
	federate(t, w.pt, w.es)
	for name, c := range w.pt.people {
		w.tokens[name] = c.Token
	}
	w.former = w.tokens["former"]
	w.socket = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(w.pt.dir, "proofmark.sock"))
	}}}
	t.Cleanup(w.socket.CloseIdleConnections)
	return w
}

// more makes one more account.
func (b *bureau) more(name, role string) {
	b.t.Helper()
	code := call[control.UserCode](b.t, b.people["admin"], "user.add", control.UserRequest{Name: name, Roles: []string{role}})
	b.people[name] = b.session(control.LoginRequest{Name: name, Secret: testSecret + " " + name, Code: code.Code})
}

// commands are those that a node serves, from its router itself.
func (b *bureau) commands() []string {
	b.t.Helper()
	srv, err := control.Listen(filepath.Join(shortTemp(b.t), "s"), b.node.services())
	if err != nil {
		b.t.Fatal(err)
	}
	over, end := context.WithCancel(context.Background())
	end()
	if err := srv.Serve(over); err != nil {
		b.t.Fatal(err)
	}
	return srv.Commands()
}

type auditRecord = store.AuditRecord

// addPolicy puts a file beside the policies of a node that is not running.
func (b *bureau) addPolicy(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, policyDir, name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// policyFiles are the policies of a node, with what stands beside them.
func (b *bureau) policyFiles() map[string]string {
	b.t.Helper()
	out := map[string]string{}
	list, err := os.ReadDir(filepath.Join(b.dir, policyDir))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range list {
		text, err := os.ReadFile(filepath.Join(b.dir, policyDir, e.Name()))
		if err != nil {
			b.t.Fatal(err)
		}
		out[e.Name()] = string(text)
	}
	return out
}

// spelled writes entries as a person reads them.
func spelled(entries []auditRecord) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "\n  %d %s: %s %s (%s) %s %q %q by %q %s %v %v", e.Index, e.Actor, e.Action, e.Decision, e.Ground, e.Kind, e.Object, e.Event, e.Policies, e.PolicyVer, e.Documents, e.Details)
	}
	return b.String()
}
