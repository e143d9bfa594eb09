package dispatch

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// A fault of a document keeps it with the reason, in one audit entry, and the channel goes on.
func TestDocumentsWithFaults(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	es.rules(`forbid (principal, action == Action::"accept", resource is ForeignHit);`)
	es.fail = func(tx *store.Tx, in Received) error {
		body, _ := protocol.BodyOf[protocol.LeadAckBody](in.Document)
		if body.Pair == "good" {
			return nil
		}
		if err := tx.Put("half-done", []byte("x")); err != nil {
			return err
		}
		tx.Audit(protocol.AuditEntry{AuditBody: protocol.AuditBody{Event: "half-done"}})
		tx.OnCommit(func() { t.Error("a hook of what was undone ran") })
		switch body.Pair {
		case "refused":
			return desk.NotFound("there is no such lead")
		case "careless":
			_, err := tx.Get("nowhere")
			return err
		case "strange":
			return errors.New("strange\x1b")
		case "panic":
			panic("in a workflow")
		}
		return nil
	}
	ack := func(pair string) string {
		body := ackBody("")
		body.Pair = pair
		jws, _, _ := pt.document(protocol.TypeLeadAck, body, nil)
		return jws
	}
	change := func(from *bureau, key string, v any) string {
		jws, _, _ := from.document(protocol.TypeLeadAck, ackBody("x"), func(doc map[string]any) {
			if doc[key] = v; key == "issuer" {
				doc["id"] = idFor(doc, v.(string))
			}
		})
		return jws
	}
	hit, _, _ := pt.document(protocol.TypeHit, &protocol.HitBody{Lead: must(protocol.NewID(begin, pt.random)), Pair: "p", Conclusion: protocol.Identification, Items: []string{"E"}, Where: "w", Examiner: "a", Examined: begin,
		Verifier: "b", Verified: begin}, nil)
	sig, _, sigID := pt.document(protocol.TypeSignature, signature("x"), nil)
	_, others, _ := pt.document(protocol.TypeSignature, signature("x"), nil)
	good := ack("good")
	stranger, _, _ := pt.document(protocol.TypeLeadAck, ackBody("x"), func(doc map[string]any) { doc["issuer"], doc["type"], doc["id"] = "FR", "weather", idFor(doc, "FR") })
	c := pt.chainTo("ES", protocol.Urgent)
	cases := []struct {
		name        string
		jws         string
		disclosures []protocol.Disclosure
		change      func(m *protocol.Message)
		status      Status
		ground      string
		says        string
	}{
		{"garbage", "garbage", nil, nil, Refused, "forged", ""},
		{"signed by another country", change(fr, "issuer", "PT"), nil, nil, Refused, "forged", "verification failed"},
		{"issued by another country", change(pt, "issuer", "FR"), nil, nil, Refused, "forged", "issued by FR, sent by PT"},
		{"issued by another, of an unknown type", stranger, nil, nil, Refused, "forged", "issued by FR, sent by PT"},
		{"an id of another country", change(pt, "id", idFor(map[string]any{"id": sigID}, "FR")), nil, nil, Refused, "invalid", "is not one of PT"},
		{"unknown type", change(pt, "type", "weather"), nil, func(m *protocol.Message) { m.Terms.Withheld = []string{"wind"} }, Unread, "unknown-type", "weather"},
		{"newer schema", change(pt, "schema", 7), nil, nil, Unread, "unknown-type", "newer"},
		{"broken rules", change(pt, "body", map[string]any{"lead": "x", "pair": "p"}), nil, nil, Refused, "invalid", "lead"},
		{"a field name of great length", change(pt, "body", map[string]any{strings.Repeat("x", 100<<10): 1}), nil, nil, Refused, "invalid", "unknown field"},
		{"disclosure of another document", sig, others[:1], nil, Refused, "invalid", "does not belong"},
		{"refused by policy", hit, nil, nil, Refused, "policy", "policy does not accept it: forbidden by"},
		{"expired on the way", good, nil, func(m *protocol.Message) { m.Terms.RetainUntil = begin.Add(-time.Hour) }, Refused, "invalid", "before it arrived"},
		{"refused by its workflow", ack("refused"), nil, nil, Refused, "invalid", "there is no such lead"},
		{"a careless workflow", ack("careless"), nil, nil, Refused, "workflow", "nowhere"},
		{"a strange failure", ack("strange"), nil, nil, Refused, "workflow", "strange"},
		{"a panic", ack("panic"), nil, nil, Refused, "workflow", "panic: in a workflow"},
		{"good at last", good, nil, func(m *protocol.Message) { m.Terms.Withheld = []string{"note", "of_a_newer_version"} }, Accepted, "policy", ""},
	}
	var msgs [][]byte
	for _, k := range cases {
		msgs = append(msgs, c.add(k.jws, k.change, k.disclosures...))
	}
	r, err := es.accept(pt, pt.batch("ES", protocol.Urgent, 1, nil, msgs...))
	if err != nil || int(r.UpTo) != len(cases) {
		t.Fatalf("%+v, %v", r, err)
	}
	for i, k := range cases {
		var own []store.AuditRecord
		for _, e := range es.log() {
			if e.MessageSeq == uint64(i+1) {
				own = append(own, e)
			}
		}
		if len(own) != 1 || own[0].Ground != k.ground || (own[0].Decision == "deny") != (k.status == Refused) || len(own[0].Event) > 500 {
			t.Errorf("%s: entries %+v", k.name, own)
			continue
		}
		rec := es.record(own[0].Documents[0])
		kept, hash := k.jws, ""
		if k.status == Refused && k.ground == groundPolicy { // what policy refuses is not kept
			kept, hash = "", protocol.DocumentHash(k.jws)
			es.view(func(tx *store.Tx) error {
				shown, err := es.Show(tx, rec.ID)
				if err != nil || shown.Body != nil || shown.Header != nil || shown.SHA256 != hash {
					t.Errorf("%s: shown as %+v, %v", k.name, shown, err)
				}
				if _, err := es.Save(tx, rec.ID); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "nothing but its hash is kept") {
					t.Errorf("%s: saved: %v", k.name, err)
				}
				return nil
			})
		}
		if rec == nil || rec.Status != k.status || rec.JWS != kept || rec.SHA256 != hash || !strings.Contains(rec.Reason, k.says) || len(rec.Reason) > maxReason+4 || rec.Issuer != "PT" {
			t.Errorf("%s: kept as %.600v", k.name, rec)
		}
		if (k.status == Accepted) != (rec.ID == rec.Document || rec.Document == "" && !strings.HasPrefix(rec.ID, "message-")) {
			t.Errorf("%s: kept under %s", k.name, rec.ID)
		}
	}
	if len(es.got) != 1 || es.record(sigID) != nil {
		t.Errorf("%d documents were applied", len(es.got))
	}
	es.view(func(tx *store.Tx) error {
		if _, err := tx.Get("half-done"); !errors.Is(err, store.ErrNotFound) {
			t.Error("what a failed workflow wrote is there")
		}
		return nil
	})
	if es.entries(func(r store.AuditRecord) bool { return r.Event == "half-done" }) != 0 {
		t.Error("what a failed workflow noted is in the log")
	}
}

// A fault of this node's store holds the channel: nothing is refused because a disk is full.
func TestAStoreFaultRefusesNothing(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	pt.ack("ES", "one")
	b := must(pt.NextBatch(t.Context(), "ES", protocol.Urgent))
	es.fail = func(*store.Tx, Received) error { return fmt.Errorf("write: %w", store.ErrDiskReserve) }
	if r, err := es.accept(pt, b); !errors.Is(err, store.ErrDiskReserve) || r != nil {
		t.Fatal(r, err)
	}
	if len(es.log()) != 0 || len(es.kept(Refused)) != 0 {
		t.Error("something was written")
	}
	es.fail = nil
	if r, err := es.accept(pt, b); err != nil || r.UpTo != 1 || len(es.got) != 1 {
		t.Error(r, err)
	}
}

func TestATypeWithoutWorkflowIsKeptUnread(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	delete(es.handlers, protocol.TypeLeadAck)
	id := pt.ack("ES", "one")
	deliver(pt, es, protocol.Urgent)
	if u := es.kept(Unread); len(u) != 1 || u[0].Document != id || u[0].JWS == "" {
		t.Errorf("%+v", u)
	}
}

func disclosed(t *testing.T, all []protocol.Disclosure, names ...string) (out []protocol.Disclosure) {
	t.Helper()
	for _, d := range all {
		if slices.Contains(names, must(d.Name())) {
			out = append(out, d)
		}
	}
	if len(out) != len(names) {
		t.Fatalf("%d disclosures of %v", len(out), names)
	}
	return out
}

// A document that comes again with other disclosures: what is held is their union, under the stricter of the terms.
func TestAWiderReleaseLosesNothing(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	jws, all, id := pt.document(protocol.TypeSignature, signature("Lisboa"), nil)
	c := pt.chainTo("ES", protocol.Bulk)
	send := func(terms protocol.Terms, names ...string) {
		t.Helper()
		m := c.add(jws, func(m *protocol.Message) { m.Terms = terms }, disclosed(t, all, names...)...)
		if r, err := es.accept(pt, pt.batch("ES", protocol.Bulk, c.seq, nil, m)); err != nil || r.UpTo != c.seq {
			t.Fatal(r, err)
		}
	}
	until := func(days int, codes ...string) protocol.Terms {
		return protocol.Terms{Handling: codes, RetainUntil: begin.AddDate(0, 0, days)}
	}
	for _, step := range []struct {
		terms   protocol.Terms
		names   []string
		handled int // in all
		has     []string
		want    protocol.Terms
		event   string
	}{
		{until(30, "H0"), []string{"offence"}, 1, []string{"offence"}, until(30, "H0"), "received"},
		{until(30, "H0"), []string{"place"}, 2, []string{"offence", "place"}, until(30, "H0"), "received again"},
		{until(30, "H0"), []string{"place"}, 2, []string{"offence", "place"}, until(30, "H0"), "received again"},
		{until(30, "H0"), nil, 2, []string{"offence", "place"}, until(30, "H0"), "received again"},
		{until(60, "H2"), []string{"agency", "offence"}, 3, []string{"agency", "offence", "place"}, until(30, "H0", "H2"), "received again"},
		{until(10), nil, 4, []string{"agency", "offence", "place"}, until(10, "H0", "H2"), "received again"},
	} {
		f.clock.add(time.Hour)
		send(step.terms, step.names...)
		rec := es.record(id)
		var has []string
		for _, d := range rec.Disclosures {
			has = append(has, must(d.Name()))
		}
		slices.Sort(has)
		if !slices.Equal(has, step.has) || !sameTerms(rec.Terms, &step.want) || rec.Status != Accepted || !rec.At.Equal(begin.Add(time.Hour)) {
			t.Fatalf("message %d: has %v under %+v since %s, want %v under %+v", c.seq, has, rec.Terms, rec.At, step.has, step.want)
		}
		if len(es.got) != step.handled {
			t.Fatalf("message %d: handled %d times, want %d", c.seq, len(es.got), step.handled)
		}
		last := es.got[len(es.got)-1]
		if body, err := protocol.BodyOf[protocol.SignatureBody](last.Document); err != nil || (body.Place != "") != slices.Contains(has, "place") || (body.Agency != "") != slices.Contains(has, "agency") || !sameTerms(&last.Terms, &step.want) {
			t.Fatalf("message %d: the workflow got %+v, %v", c.seq, body, err)
		}
		if last.Document.Withheld != len(protocol.Redactable(protocol.TypeSignature))-len(has) {
			t.Fatalf("message %d: %d withheld", c.seq, last.Document.Withheld)
		}
		if log := es.log(); len(log) != int(c.seq) || log[len(log)-1].Event != step.event {
			t.Fatalf("message %d: %d entries, the last %q", c.seq, len(log), log[len(log)-1].Event)
		}
	}

	// What comes later and is refused takes nothing of it away.
	before := must(json.Marshal(es.record(id)))
	es.rules(`forbid (principal, action == Action::"accept", resource is ForeignSignature);`)
	send(until(5), "narrative")
	es.engine = pt.engine
	es.fail = func(*store.Tx, Received) error { return desk.Invalid("not today") }
	send(until(5), "narrative")
	forged, _, _ := pt.document(protocol.TypeSignature, signature("Porto"), func(doc map[string]any) { doc["id"] = id })
	jws = forged
	send(until(30, "H0"))
	if after := must(json.Marshal(es.record(id))); !bytes.Equal(before, after) {
		t.Errorf("the copy became\n%s\nfrom\n%s", after, before)
	}
	if refused := es.kept(Refused); len(refused) != 3 || refused[0].Document != id {
		t.Errorf("%d refused", len(refused))
	}
}

// idFor makes a document's id one of another country.
func idFor(doc map[string]any, c string) string {
	id := doc["id"].(string)
	return id[:len(id)-4] + hex.EncodeToString([]byte(c))
}

// A member that has seen another's document cannot keep its id occupied: an id belongs to its issuer.
func TestRefusedDocumentsHoldNoID(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	id := pt.publish(signature("Lisboa"), attributes())
	squat := func(change func(doc map[string]any)) string {
		jws, _, _ := fr.document(protocol.TypeSignature, signature("x"), func(doc map[string]any) { doc["id"] = id; change(doc) })
		return jws
	}
	c := fr.chainTo("ES", protocol.Bulk)
	m1 := c.add(squat(func(doc map[string]any) { doc["type"] = "weather" }), nil)
	m2 := c.add(squat(func(doc map[string]any) { doc["issuer"] = "PT" }), nil)
	m3 := c.add(squat(func(doc map[string]any) { doc["body"] = map[string]any{} }), nil)
	if _, err := es.accept(fr, fr.batch("ES", protocol.Bulk, 1, nil, m1, m2, m3)); err != nil {
		t.Fatal(err)
	}
	if es.record(id) != nil || len(es.kept(Refused)) != 3 || len(es.kept(Unread)) != 0 {
		t.Fatal("a document that was not accepted holds an id")
	}
	deliver(pt, es, protocol.Bulk)
	if rec := es.record(id); rec == nil || rec.Issuer != "PT" || rec.Status != Accepted {
		t.Fatalf("the true document: %+v", rec)
	}
	m4 := c.add(squat(func(map[string]any) {}), nil) // valid, and too late
	if _, err := es.accept(fr, fr.batch("ES", protocol.Bulk, 4, nil, m4)); err != nil {
		t.Fatal(err)
	}
	if rec := es.record(id); rec.Issuer != "PT" || len(es.kept(Refused)) != 4 {
		t.Errorf("%+v", rec)
	}
	// And not with an own document of the receiver's.
	own := es.publish(signature("Madrid"), attributes())
	jws, _, _ := fr.document(protocol.TypeSignature, signature("x"), func(doc map[string]any) { doc["id"] = own })
	if _, err := es.accept(fr, fr.batch("ES", protocol.Bulk, 5, nil, c.add(jws, nil))); err != nil || es.record(own).Status != Own {
		t.Errorf("an own document was replaced: %v", err)
	}
}

// The receiver's own law may be stricter than the owner's terms.
func TestOwnLawIsAddedToTheTerms(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	es.rules(`@handling("H1") @retain("P10D") permit (principal is Country, action == Action::"accept", resource is ForeignSignature);`)
	pt.publish(signature("x"), attributes())
	deliver(pt, es, protocol.Bulk)
	if len(es.got) != 1 || !slices.Equal(es.got[0].Terms.Handling, []string{"H0", "H1/ES"}) || !es.got[0].Terms.RetainUntil.Equal(begin.AddDate(0, 0, 10)) {
		t.Errorf("%+v", es.got)
	}
	if e := es.log()[0]; !slices.Equal(e.Handling, []string{"H0", "H1"}) || len(e.Policies) == 0 || e.PolicyVer == "" {
		t.Errorf("%+v", e)
	}
}
