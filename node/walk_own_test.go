package node

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"proofmark/node/control"
	"proofmark/node/tracing"
	"proofmark/policy"
)

// ownSession: what everybody may ask of the own session; what countries have used is for operators and administrators.
func (w *walk) ownSession(seen map[string]bool) {
	w.t.Helper()
	for letter, name := range bearer {
		for command, want := range map[string]string{"whoami": `"roles":["` + letters[letter] + `"]`, "budget.show": "["} {
			if a := w.send(name, w.tokens[name], command, request{body: control.None{}}); a.status != http.StatusOK || !strings.Contains(a.text, want) {
				w.t.Errorf("%s by %s: %d %.200s", command, name, a.status, a.text)
			}
		}
		before := w.size()
		a := w.send(name, w.tokens[name], "budget.show", request{body: control.BudgetRequest{Countries: true}})
		own := w.since(before)
		if may := strings.ContainsRune("od", letter); (a.status == http.StatusOK) != may || len(own) != 1 || own[0].Actor != name || (own[0].Decision == "permit") != may {
			w.t.Errorf("what countries have used, asked by %s: %d %.200s; %+v", name, a.status, a.text, own)
		}
	}
	for _, command := range []string{"whoami", "budget.show", "secret", "logout"} {
		for _, token := range []string{"", w.es.people["op"].Token} {
			if a := w.send("nobody", token, command, request{body: control.None{}}); a.status != http.StatusUnauthorized {
				w.t.Errorf("%s by nobody: %d %.200s", command, a.status, a.text)
			}
		}
		seen[command] = true
	}
	before := w.size()
	if a := w.send("exam2", w.tokens["exam2"], "secret", request{body: control.SecretRequest{Old: testSecret, New: "a kite over the Tagus"}}); a.status != http.StatusForbidden {
		w.t.Errorf("secret, the old one wrong: %d %s", a.status, a.text)
	}
	if own := w.since(before); len(own) != 1 || own[0].Actor != "exam2" || own[0].Decision != "deny" || own[0].Ground != "wrong-secret" {
		w.t.Errorf("secret, the old one wrong: %+v", own)
	}
	before = w.size()
	if a := w.send("exam2", w.tokens["exam2"], "logout", request{body: control.None{}}); a.status != http.StatusOK {
		w.t.Errorf("logout: %d %s", a.status, a.text)
	}
	if own := w.since(before); len(own) != 1 || own[0].Actor != "exam2" || own[0].Event != "logged out" {
		w.t.Errorf("logout: %+v", own)
	}
	if a := w.send("exam2", w.tokens["exam2"], "whoami", request{body: control.None{}}); a.status != http.StatusUnauthorized {
		w.t.Errorf("after the end of the session: %d %s", a.status, a.text)
	}
}

// strangersAreCounted: who comes without a session is in the log, once for each minute, with how often.
func (w *walk) strangersAreCounted() {
	w.t.Helper()
	n := 0
	for _, e := range w.since(0) {
		if e.Actor != "unknown" || e.Ground != "no-session" {
			continue
		}
		if e.Action != "deny" || e.Decision != "deny" || e.Event != "command refused" {
			w.t.Errorf("%+v", e)
		}
		more, err := strconv.Atoi(e.Details["attempts"])
		if err != nil {
			w.t.Errorf("%+v", e)
		}
		n += more
	}
	if n < 1 {
		w.t.Error("the log knows of no command of a stranger")
	}
}

// underAnotherPolicy: under a policy that forbids everything, and under one that cannot be evaluated, nobody may anything, in the words of that policy.
func (w *walk) underAnotherPolicy() {
	w.t.Helper()
	was := w.pt.node.policy.Load()
	defer w.pt.node.policy.Store(was)
	for text, says := range map[string]string{
		`@id("nothing") forbid (principal, action, resource);`: "nothing (x.cedar:1)",
		`@id("broken") forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 }; @id("all") permit (principal, action, resource);`: "could not be evaluated",
		`@id("others") permit (principal is Country, action, resource);`:                                                                            "no policy permits it",
	} {
		engine, err := policy.LoadTexts(map[string]string{"x.cedar": text})
		if err != nil {
			w.t.Fatal(err)
		}
		w.pt.node.policy.Store(engine)
		for _, name := range w.pt.commands() {
			if slices.Contains([]string{"login", "status", "whoami", "logout", "secret", "budget.show"}, name) {
				continue
			}
			before := w.size()
			for _, who := range []string{"op", "admin"} {
				if a := w.send(who, w.tokens[who], name, request{body: control.None{}}); a.status != http.StatusForbidden || !strings.Contains(a.text, says) {
					w.t.Errorf("%s by %s under %q: %d %.300s", name, who, text, a.status, a.text)
				}
			}
			own := slices.DeleteFunc(w.since(before), func(e auditRecord) bool { return e.Actor != "op" && e.Actor != "admin" })
			if len(own) != 2 || own[0].Decision != "deny" || own[0].PolicyVer != engine.Version() {
				w.t.Errorf("%s under %q: the log has %+v", name, text, own)
			}
		}
	}
}

// answeredByES is a trace of this country that ES has answered.
func (w *walk) answeredByES() string {
	ref := control.Ref{Ref: call[*tracing.Trace](w.t, w.pt.people["inv"], "trace.new", newTrace("ES")).ID}
	eventually(w.t, "the trace at ES", func() bool {
		_, err := control.Call[*tracing.Trace](w.t.Context(), w.es.people["op"], "trace.show", "", ref)
		return err == nil
	})
	call[*tracing.Trace](w.t, w.es.people["op"], "trace.ack", control.TraceNote{Ref: ref.Ref})
	call[*tracing.Trace](w.t, w.es.people["op"], "trace.answer", control.TraceAnswer{Ref: ref.Ref, Answer: tracing.Answer{Outcome: "UNSUCCESSFUL", Reasons: []string{"NO_RECORD"}}})
	eventually(w.t, "the answer of ES", func() bool {
		got, err := control.Call[*tracing.Trace](w.t.Context(), w.pt.people["op"], "trace.show", "", ref)
		return err == nil && got.Answer != nil
	})
	return ref.Ref
}
