package node

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/node/dispatch"
	"proofmark/node/permission"
	"proofmark/node/release"
	"proofmark/node/tracing"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// leakExhibit is an exhibit, what policies see of it, and its secrets by field.
type leakExhibit struct {
	number     string
	signature  string
	attributes map[string]any
	fields     map[string][]*secret // by the field that a policy names
	scan       *secret
}

// hire gives a bureau its people. Those who review and examine have names that stand nowhere else: leads and hits carry them.
func (w *leakWorld) hire(n *leakNode) {
	w.t.Helper()
	n.names = map[string]string{}
	all := map[string]string{}
	for _, does := range slices.Sorted(maps.Keys(roles)) { // the same names in every run
		role := roles[does]
		if does == "tech" || role == policy.Examiner {
			n.names[does] = strings.ToLower(w.hide(n.country, "the name of "+does))
			s := w.secrets[len(w.secrets)-1]
			s.value = []byte(n.names[does])
			for _, to := range others(w.codes, n.country) {
				s.grants = append(s.grants, directed(protocol.TypeLead, "officer", to), directed(protocol.TypeHit, "officer", to))
			}
		}
		all[n.named(does)] = role
	}
	n.login(all)
	for does := range roles {
		n.people[does] = n.people[n.named(does)]
	}
}

// named is the name of the one who does something.
func (n *leakNode) named(does string) string { return cmp.Or(n.names[does], does) }

// work is what the people of a bureau do of their own accord.
func (w *leakWorld) work(n *leakNode) {
	w.t.Helper()
	w.acquire(n)
	peers := others(w.codes, n.country)
	w.trace(n, peers[w.r.IntN(len(peers))])
	if w.r.IntN(2) == 0 {
		w.askForScan(n)
	}
	if e := n.exhibits[len(n.exhibits)-1]; w.r.IntN(3) == 0 {
		to := peers[w.r.IntN(len(peers))]
		try[*permission.Permission](w, n.people["op"], "permission.grant", permission.Grant{Document: e.signature, For: protocol.Country(to), Use: protocol.UseCourt, Until: time.Now().AddDate(1, 0, 0),
			Note: w.hide(n.country, "note of a permission", directed(protocol.TypePermission, "note", to))})
	}
	if len(n.exhibits) > 2 && w.r.IntN(2) == 0 {
		e := n.exhibits[0]
		n.exhibits = n.exhibits[1:]
		// Whoever holds a copy is told why it must go; policy is not asked.
		reason := w.hide(n.country, "reason of a withdrawal", grant{about: policy.Resource{Type: policy.Withdrawal, ID: "x", Attributes: map[string]any{}}})
		call[[]*dispatch.Recall](w.t, n.people["exam1"], "exhibit.withdraw", ballistics.WithdrawExhibit{Exhibit: e.number, Withdrawal: dispatch.Withdrawal{Reason: "OTHER", Note: reason}})
	}
}

// acquire records a case with a secret in every field, evidence or a test fire, and publishes its signature.
func (w *leakWorld) acquire(n *leakNode) {
	w.t.Helper()
	tech := n.people["tech"]
	e := &leakExhibit{fields: map[string][]*secret{}, attributes: map[string]any{"calibre": "9 mm Luger", "origin": protocol.Evidence, "offence": "",
		"terrorism": false, "customs": false, "trafficking": false, "group_size": int64(0), "operations": []string{}, "age_days": int64(1)}}
	in := func(field, what string) string {
		v := w.hide(n.country, what)
		e.fields[field] = append(e.fields[field], w.secrets[len(w.secrets)-1])
		return v
	}
	day := func(field, what string) protocol.Interval {
		i := w.someDay()
		w.note(n.country, what, []byte(i.From.Format(time.RFC3339)))
		e.fields[field] = append(e.fields[field], w.secrets[len(w.secrets)-1])
		return i
	}
	reference := in("case_reference", "case reference")
	call[*ballistics.Case](w.t, tech, "case.add", ballistics.NewCase{Reference: reference, Agency: in("agency", "agency"), Title: w.hide(n.country, "case title")})
	e.number = in("exhibit_number", "exhibit number")
	exhibit := ballistics.NewExhibit{Number: e.number, Case: reference, Origin: protocol.Evidence, Calibre: "9 mm Luger"}
	if w.r.IntN(3) > 0 {
		i := ballistics.NewIncident{Case: reference, Occurred: day("occurred", "date of an incident"), Place: in("place", "place of an incident"), Offence: in("offence", "offence"),
			Terrorism: w.r.IntN(2) == 0, Customs: w.r.IntN(2) == 0, Trafficking: w.r.IntN(2) == 0, GroupSize: int64(w.r.IntN(5)), Links: []string{w.hide(n.country, "link of an incident")}}
		e.attributes["offence"], e.attributes["terrorism"], e.attributes["customs"] = i.Offence, i.Terrorism, i.Customs
		e.attributes["trafficking"], e.attributes["group_size"] = i.Trafficking, i.GroupSize
		if w.r.IntN(2) == 0 {
			km := int64(w.r.IntN(160))
			i.BorderKM, e.attributes["border_km"] = &km, km
		}
		call[*ballistics.Incident](w.t, tech, "incident.add", i)
	} else {
		f := w.firearm(n, func(what string) string { return in("firearm", what) })
		f.Recovery = &tracing.Recovery{Place: in("place", "place of a recovery"), Occurred: day("occurred", "date of a recovery"), Circumstances: w.hide(n.country, "circumstances of a recovery")}
		call[*tracing.Firearm](w.t, n.people["op"], "firearm.add", f)
		exhibit.Origin, exhibit.Firearm = protocol.TestFire, f.Reference
		e.attributes["origin"] = protocol.TestFire
	}
	call[*ballistics.Exhibit](w.t, tech, "exhibit.add", exhibit)

	// Everybody fires the same few guns, so that there are candidates.
	w.guns++
	var file bytes.Buffer
	if err := x3p.Write(&file, synth.NewMaker(1).Firearm(uint64(w.guns/2%3)).Fire(uint64(w.guns), synth.Shot{})); err != nil {
		w.t.Fatal(err)
	}
	a, err := control.Upload[*ballistics.Acquisition](w.t.Context(), tech, "acquire", "",
		ballistics.NewAcquisition{Exhibit: e.number, ROI: "breech-face", Scans: []ballistics.File{{Name: w.hide(n.country, "file name") + ".x3p", Size: int64(file.Len())}}}, file.Bytes())
	if err != nil {
		w.t.Fatal(err)
	}
	e.signature = a.Signature
	for field, secrets := range e.fields {
		for _, s := range secrets {
			s.grants = append(s.grants, grant{about: e.resource(), field: field})
		}
	}
	half := file.Len() / 2
	if half%(64<<10) > 64<<10-64 {
		half -= 128 // not where one frame ends and the next begins
	}
	w.note(n.country, "scan", bytes.Clone(file.Bytes()[half:half+32]))
	e.scan = w.secrets[len(w.secrets)-1]
	sig := n.signature(a.Signature)
	w.note(n.country, "signature", sig[len(sig)/2:len(sig)/2+24], grant{about: e.resource()})
	n.exhibits = append(n.exhibits, e)
}

// firearm is a record with a secret in every field, of which in makes those of the description.
func (w *leakWorld) firearm(n *leakNode, in func(what string) string) tracing.NewFirearm {
	never := func(what string) string { return w.hide(n.country, what+" of a firearm record") }
	return tracing.NewFirearm{Reference: never("reference"), Status: "recovered", StatusDate: time.Now().AddDate(0, -1, 0), Case: never("case"),
		FirearmDescription: protocol.FirearmDescription{Kind: "pistol", Make: in("make"), Manufacturer: in("manufacturer"), Importer: in("importer"),
			Model: in("model"), Calibre: "9 mm Luger", Serial: in("serial number"), Marks: in("marks")},
		Custody: []protocol.CustodyStep{{Role: "manufacturer", Name: never("manufacturer's name"), Country: n.country}, {Role: "first-purchaser", Name: never("purchaser"), Country: n.country}}}
}

func (n *leakNode) signature(id string) (b []byte) {
	n.t.Helper()
	err := n.node.store.View(func(tx *store.Tx) error {
		s, err := store.NewCollection[ballistics.Signature]("signature").Get(tx, id)
		if err == nil {
			b = s.Bytes
		}
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return b
}

// trace asks another country about a firearm.
func (w *leakWorld) trace(n *leakNode, to string) {
	w.t.Helper()
	in := func(field, what string) string {
		return w.hide(n.country, what+" of a trace request", directed(protocol.TypeTraceRequest, field, to))
	}
	occurred := w.someDay()
	w.note(n.country, "recovery date of a trace request", []byte(occurred.From.Format(time.RFC3339)), directed(protocol.TypeTraceRequest, "occurred", to))
	try[*tracing.Trace](w, n.people["inv"], "trace.new", tracing.NewTrace{To: protocol.Country(to),
		Firearm:            protocol.FirearmDescription{Kind: "pistol", Make: in("firearm", "make"), Calibre: "9 mm Luger", Serial: in("firearm", "serial number"), Marks: in("firearm", "marks")},
		LegalJustification: in("", "legal justification"), Circumstances: in("", "circumstances"), IntendedUse: in("", "intended use"), Agency: in("agency", "agency"),
		RecoveryPlace: in("place", "recovery place"), RecoveryDate: &occurred, Narrative: in("narrative", "narrative"), Officer: in("officer", "officer"),
		Possessor: in("possessor", "possessor"), Case: w.hide(n.country, "case of a trace request")})
}

// askForScan asks for the scan behind a signature that came from abroad.
func (w *leakWorld) askForScan(n *leakNode) {
	w.t.Helper()
	for _, code := range others(w.codes, n.country) {
		for _, e := range w.at[code].exhibits {
			if n.holds(e.signature) {
				g := directed(protocol.TypeScanRelease, "", n.country)
				g.approved = true // where policy asks for it, respond does it
				e.scan.grants = append(e.scan.grants, g)
				try[*release.Request](w, n.people["exam1"], "scan.request", release.Ask{Signature: e.signature,
					Reason: w.hide(n.country, "reason of a scan request", directed(protocol.TypeScanRequest, "", code))})
				return
			}
		}
	}
}

// review finds leads among the candidates and releases them.
func (w *leakWorld) review(n *leakNode) {
	w.t.Helper()
	for _, e := range n.exhibits {
		for _, c := range n.candidates(e.signature) {
			if c.Score < 0.3 || string(c.Other.Country) == n.country || len(c.Reviews)+c.Hidden > 0 || w.at[string(c.Other.Country)].stop == nil {
				continue
			}
			verdict := ballistics.NewReview{Pair: c.Pair, Verdict: protocol.VerdictLead}
			call[*ballistics.CandidateView](w.t, n.people["tech"], "candidates.review", verdict)
			call[*ballistics.CandidateView](w.t, n.people["exam1"], "candidates.review", verdict)
			to := string(c.Other.Country)
			narrative := w.hide(n.country, "narrative of a lead", directed(protocol.TypeLead, "narrative", to))
			if _, released := try[*ballistics.Lead](w, n.people["exam1"], "lead.release", control.LeadRequest{Pair: c.Pair, Text: narrative}); !released {
				continue
			}
			for field, secrets := range e.fields {
				for _, s := range secrets {
					s.grants = append(s.grants, directed(protocol.TypeLead, field, to))
				}
			}
			w.linkedCases(n, to)
			return
		}
	}
}

// linkedCases: a lead names this country's other cases of the same cluster.
func (w *leakWorld) linkedCases(n *leakNode, to string) {
	for _, e := range n.exhibits {
		for _, s := range e.fields["case_reference"] {
			s.grants = append(s.grants, directed(protocol.TypeLead, "case_reference", to))
		}
	}
}

// respond answers what came in: traces, leads and requests for scans.
func (w *leakWorld) respond(n *leakNode) {
	w.t.Helper()
	op := n.people["op"]
	for _, tr := range call[[]*tracing.Trace](w.t, op, "trace.list", tracing.TraceFilter{}) {
		from := string(tr.Counterpart)
		if !strings.HasPrefix(tr.Number, from+"-") || tr.State != "SUBMITTED" {
			continue
		}
		try[*tracing.Trace](w, op, "trace.ack", control.TraceNote{Ref: tr.ID, Note: w.hide(n.country, "note of a trace status", directed(protocol.TypeTraceStatus, "note", from))})
		answer := tracing.Answer{Outcome: "UNSUCCESSFUL", Reasons: []string{"NO_RECORD"}, Note: w.hide(n.country, "note of a trace answer", directed(protocol.TypeTraceAnswer, "note", from))}
		if w.r.IntN(2) == 0 {
			begun := len(w.secrets)
			f := w.firearm(n, func(what string) string {
				return w.hide(n.country, what+" of an answer", directed(protocol.TypeTraceAnswer, "firearm", from))
			})
			call[*tracing.Firearm](w.t, op, "firearm.add", f)
			for _, s := range w.secrets[begun:] {
				// The case stays in the country, and the purchaser's name unless a person says so; the manufacturer's tells the make.
				switch {
				case len(s.grants) > 0 || strings.Contains(s.what, "'s case ") || strings.Contains(s.what, "purchaser"):
				case strings.Contains(s.what, "manufacturer"):
					s.grants = append(s.grants, directed(protocol.TypeTraceAnswer, "firearm", from))
				default:
					s.grants = append(s.grants, directed(protocol.TypeTraceAnswer, "", from))
				}
			}
			answer.Outcome, answer.Reasons, answer.Record = "COMPLETED", nil, f.Reference
		}
		try[*tracing.Trace](w, op, "trace.answer", control.TraceAnswer{Ref: tr.ID, Answer: answer})
	}
	for _, l := range call[[]*ballistics.Lead](w.t, op, "lead.list", control.None{}) {
		if l.State != ballistics.LeadReceived {
			continue
		}
		from := string(l.Counterpart)
		for _, e := range n.exhibits {
			if e.signature != l.Own.Signature {
				continue
			}
			for _, field := range []string{"case_reference", "exhibit_number"} {
				for _, s := range e.fields[field] {
					s.grants = append(s.grants, directed(protocol.TypeLeadAck, field, from))
				}
			}
		}
		try[*ballistics.Lead](w, op, "lead.ack", control.LeadRequest{Pair: l.Pair, Text: w.hide(n.country, "note of an acknowledgement", directed(protocol.TypeLeadAck, "note", from))})
		try[*ballistics.Lead](w, n.people["inv"], "lead.feedback", control.LeadRequest{Pair: l.Pair, Code: "USEFUL_LINK", Text: w.hide(n.country, "note of feedback", directed(protocol.TypeFeedback, "note", from))})
		w.confirm(n, l.Pair, from)
	}
	for _, q := range call[[]*release.Request](w.t, op, "scan.list", control.None{}) {
		if q.State != release.Awaiting {
			continue
		}
		if w.r.IntN(3) == 0 {
			from := string(q.Counterpart)
			try[*release.Request](w, op, "scan.refuse", control.ScanDecision{Ref: q.Number, Code: protocol.ScanOther, Note: w.hide(n.country, "note of a refusal", directed(protocol.TypeScanRefusal, "note", from))})
			continue
		}
		for _, who := range []string{"exam1", "op"} {
			try[*release.Request](w, n.people[who], "scan.approve", control.ScanDecision{Ref: q.Number, Note: w.hide(n.country, fmt.Sprintf("note of an approval by %s", who))})
		}
	}
}

// confirm makes a hit of a lead: two examiners at the microscope.
func (w *leakWorld) confirm(n *leakNode, pair, to string) {
	w.t.Helper()
	finding := ballistics.NewConfirmation{Pair: pair, Conclusion: protocol.Identification, Where: w.hide(n.country, "laboratory of a hit", directed(protocol.TypeHit, "place", to)),
		Items: []string{w.hide(n.country, "item of a hit", directed(protocol.TypeHit, "exhibit_number", to)), w.hide(n.country, "cast of a hit", directed(protocol.TypeHit, "exhibit_number", to))}}
	if _, found := try[*ballistics.Lead](w, n.people["exam1"], "hit.confirm", finding); found {
		try[*ballistics.Lead](w, n.people["exam2"], "hit.confirm", ballistics.NewConfirmation{Pair: pair})
	}
}

// scansUnderWay tells whether a node fetches what was released to it, and is still allowed to.
func (w *leakWorld) scansUnderWay(n *leakNode) bool {
	return slices.ContainsFunc(call[[]*release.Request](w.t, n.people["op"], "scan.list", control.None{}), func(q *release.Request) bool {
		owner := w.at[string(q.Counterpart)]
		g := directed(protocol.TypeScanRelease, "", n.country)
		g.approved = true
		return strings.HasPrefix(q.Number, n.country+"-") && q.State == release.Released && owner.stop != nil && g.permits(owner.engine, owner.country, n.country)
	})
}
