package protocol

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// bodyRow is one change of a whole body and what Check says of it.
type bodyRow struct {
	field string
	value any
	says  string // "" = allowed
}

func bodyRows() map[Type][]bodyRow {
	long := func(n int) string { return strings.Repeat("x", n) }
	many := func(n int, v any) (out []any) {
		for range n {
			out = append(out, v)
		}
		return out
	}
	step := map[string]any{"role": "retailer", "country": "ES"}
	scan := func(changes map[string]any) map[string]any {
		s := map[string]any{"land": 1, "sha256": strings.Repeat("0a", 32), "size": MinScanChunk + 1, "media_type": MediaX3P, "chunk": MinScanChunk, "chunks": []string{strings.Repeat("0b", 32), strings.Repeat("0c", 32)}}
		maps.Copy(s, changes)
		return s
	}
	reversed := map[string]any{"from": testTime, "to": testTime.Add(-time.Second)}
	return map[Type][]bodyRow{
		TypeSignature: {
			{"signature", "", "1 to 16384"}, {"signature", make([]byte, MaxSignature+1), "1 to 16384"}, {"signature", make([]byte, MaxSignature), ""},
			{"quality", 0, ""}, {"quality", 1, ""}, {"quality", 1.01, "quality"}, {"quality", -0.1, "quality"},
			{"exhibit", "E-1", "exhibit"}, {"exhibit", strings.ToUpper(idB), "canonical"}, {"roi", " ", "roi: missing"}, {"roi", long(65), "roi"}, {"kind", "gun", "kind"}, {"kind", "", "kind"},
			{"origin", "sale", "origin"}, {"calibre", "", "calibre: missing"}, {"firing_pin", "square", "firing_pin"}, {"firing_pin", Unknown, ""},
			{"breech_face_pattern", "", "breech_face_pattern"}, {"algorithm", "", "algorithm"}, {"agency", long(257), "agency"}, {"agency", "A\nB", "agency: contains a line end"},
			{"place", "A\u2028B", "place: contains a line end"}, {"case_reference", "\x1b[2J", "U+001B"}, {"exhibit_number", "\u202e1-E", "U+202E"}, {"narrative", "a\n\tb", ""}, {"narrative", "a\rb", "U+000D"},
			{"narrative", long(MaxText), ""}, {"narrative", long(MaxText + 1), "narrative"}, {"offence", long(257), "offence"}, {"occurred", reversed, "ends"},
			{"occurred", map[string]any{"from": testTime}, "both ends"}, {"occurred", nil, ""}, {"firearm.serial_state", "BROKEN", "serial_state"},
			{"firearm.country_of_manufacture", "YU", "country_of_manufacture"}, {"firearm.year", 12, "year"}, {"firearm.year", 0, ""}, {"firearm.make", long(257), "make"},
		},
		TypeLead: {
			{"caveat", Caveat + " ", "word for word"}, {"caveat", "", "caveat"}, {"reviewers", []string{"a"}, "two different"}, {"reviewers", []string{"a", "a"}, "two different"},
			{"reviewers", []string{"Ana", " ana"}, "two different"}, {"reviewers", []string{"a", "b", "c"}, "two different"}, {"reviewers", []string{"a", " "}, "missing"},
			{"primary_review", time.Time{}, "both times"}, {"secondary_review", time.Time{}, "both times"}, {"rank", 0, "rank"}, {"rank", -3, "rank"}, {"rank", 2, ""},
			{"linked_cases", many(65, "C"), "limit is 64"}, {"linked_cases", many(64, "C"), ""}, {"linked_cases", []string{"a\nb"}, "linked_cases"},
			{"own.country", "ES", "two countries"}, {"own.country", "XX", "own: country"}, {"other.signature", idA, "other: signature: id "}, {"own.signature", idB, "own: signature: id "}, {"number", "ES-L-2026-000001", "begin with PT-L-"},
			{"pair", PairID(idA, idA), "not the identity"}, {"own.origin", "", "own: origin"}, {"number", "", "number"}, {"roi", "", "roi"}, {"calibre", "", "calibre"}, {"algorithm", "", "algorithm"},
			{"occurred", reversed, "occurred"}, {"firearm.year", 3000, "firearm: year"}, {"offence", "a\tb", "offence"}, {"place", long(257), "place"}, {"narrative", long(MaxText + 1), "narrative"},
			{"score", 1000, ""}, {"score", -1000.5, "score"}, {"likelihood_ratio", nil, ""}, {"likelihood_ratio.log10_lr", 12.1, "likelihood_ratio: log10_lr"}, {"likelihood_ratio.log10_lr", -12, ""},
			{"likelihood_ratio.population", "", "likelihood_ratio: population: missing"}, {"likelihood_ratio.version", "a\nb", "likelihood_ratio: version"}, {"likelihood_ratio.model", long(65), "likelihood_ratio: model"},
			{"likelihood_ratio.limits", many(51, "x"), "the limit is 50"}, {"likelihood_ratio.limits", []string{"\x1b[2J"}, "U+001B"}, {"likelihood_ratio.limits", []string{""}, "limits: missing"},
			{"likelihood_ratio.reason", long(1001), "likelihood_ratio: reason"}, {"likelihood_ratio.calibrated", false, "not calibrated has none"},
			{"likelihood_ratio", map[string]any{"calibrated": false}, "likelihood_ratio: reason: missing"}, {"likelihood_ratio", map[string]any{"calibrated": false, "reason": "no make"}, ""},
			{"likelihood_ratio", map[string]any{"calibrated": false, "reason": "no make", "at_bound": true}, "has none"},
		},
		TypeLeadAck: {
			{"lead", "x", "lead"}, {"pair", "", "pair"}, {"case_reference", long(129), "case_reference"}, {"exhibit_number", "a\nb", "exhibit_number"}, {"note", "a\nb", ""}, {"note", long(MaxText + 1), "note"},
		},
		TypeLeadRetraction: {{"lead", "", "lead"}, {"pair", " ", "pair"}, {"reason", "", "reason: missing"}, {"reason", long(MaxText + 1), "reason"}},
		TypeFeedback:       {{"lead", "x", "lead"}, {"pair", "", "pair"}, {"code", "GOOD", "code"}, {"code", "", "code"}, {"note", "", ""}, {"note", "\x00", "note"}},
		TypeHit: {
			{"verifier", "edgar", "another person"}, {"verifier", "Edgar ", "another person"}, {"examined", time.Time{}, "both times"}, {"verified", time.Time{}, "both times"},
			{"items", many(33, "E"), "items"}, {"items", []string{""}, "items: missing"}, {"lead", "x", "lead"}, {"pair", "", "pair"}, {"conclusion", "", "conclusion"}, {"where", "", ""}, {"where", " ", "where: missing"},
			{"examiner", " ", "examiner: missing"}, {"verifier", "", ""}, {"examiner", "", ""},
		},
		TypeTraceRequest: {
			{"priority_reason", "", "says why"}, {"priority", "soon", "priority"}, {"recovery_date", reversed, "recovery_date"}, {"number", "", "number"}, {"firearm.year", 1, "firearm: year"},
			{"legal_justification", "", "legal_justification"}, {"circumstances", " \n", "circumstances"}, {"intended_use", "", "intended_use"}, {"agency", "", ""}, {"agency", " ", "agency: missing"},
			{"recovery_place", "a\nb", "recovery_place"}, {"narrative", long(MaxText + 1), "narrative"}, {"officer", long(129), "officer"}, {"possessor", "a\tb", "possessor"}, {"possessor", "", ""},
		},
		TypeTraceStatus: {{"request", "x", "request"}, {"status", "COMPLETED", "status"}, {"status", TraceTooMany, ""}, {"status", TraceClosed, ""}, {"note", long(MaxText + 1), "note"}},
		TypeTraceAnswer: {
			{"request", "", "request"}, {"outcome", "DONE", "outcome"}, {"chain", many(65, step), "limits are 64"}, {"chain", many(64, step), ""}, {"reasons", many(17, "NO_RECORD"), "16"},
			{"reasons", []string{"BORED"}, "reasons"}, {"chain", []any{map[string]any{"role": "thief", "country": "ES"}}, "chain[0]: role"}, {"chain", []any{map[string]any{"role": "retailer"}}, "chain[0]: country"},
			{"firearm.serial", long(257), "firearm: serial"}, {"record", "a\nb", "record"}, {"record_status", long(65), "record_status"}, {"point_of_diversion", long(MaxText + 1), "point_of_diversion"},
			{"note", "\u0007", "note"},
		},
		TypeScanRequest: {{"number", "", "number: missing"}, {"number", long(65), "number"}, {"signature", "x", "signature"}, {"reason", " ", "reason: missing"}, {"reason", "a\nb", ""}, {"reason", long(MaxText + 1), "reason"}},
		TypeScanRelease: {
			{"request", "", "request"}, {"signature", "x", "signature"}, {"roi", "", "roi: missing"}, {"scans", []any{}, "want 1 to 32"}, {"scans", many(33, scan(nil)), "want 1 to 32"},
			{"scans", many(2, scan(nil)), "stands twice"}, {"scans", []any{scan(nil), scan(map[string]any{"sha256": strings.Repeat("0d", 32)})}, "stands twice"},
			{"scans", []any{scan(nil), scan(map[string]any{"sha256": strings.Repeat("0d", 32), "land": 2})}, ""}, {"scans", []any{scan(map[string]any{"land": 0})}, ""},
			{"scans", []any{scan(map[string]any{"land": -1})}, "land: -1"}, {"scans", []any{scan(map[string]any{"land": 33})}, "land: 33"}, {"scans", []any{scan(map[string]any{"size": 0})}, "size: 0"},
			{"scans", []any{scan(map[string]any{"size": MaxScan + 1})}, "size: 134217729"}, {"scans", []any{scan(map[string]any{"size": MinScanChunk})}, "have 1 chunks"}, {"scans", []any{scan(map[string]any{"chunk": MinScanChunk - 1})}, "chunk: 4095"},
			{"scans", []any{scan(map[string]any{"chunk": MaxScanChunk + 1})}, "chunk: 1048577"}, {"scans", []any{scan(map[string]any{"chunks": []string{}})}, "chunks: 0 hashes"},
			{"scans", []any{scan(map[string]any{"chunks": []string{"AB", "CD"}})}, "chunks: "}, {"scans", []any{scan(map[string]any{"sha256": strings.Repeat("0A", 32)})}, "sha256"},
			{"scans", []any{scan(map[string]any{"media_type": "text/html"})}, "media_type"}, {"handling", many(17, "H0"), "the limit is 16"}, {"handling", []string{"a\nb"}, "handling"}, {"handling", []string{}, ""},
			{"expires", time.Time{}, "expires: missing"}, {"retain_until", time.Time{}, "retain_until: the zero"}, {"retain_until", nil, ""},
		},
		TypeScanRefusal: {
			{"request", "", "request"}, {"signature", "x", "signature"}, {"code", "BORED", "code"}, {"code", "", "code"}, {"code", ScanUnknown, "carries none"}, {"code", ScanOther, ""}, {"note", "", ""},
			{"note", long(MaxText + 1), "note"},
		},
		TypeOperation: {
			{"number", "PT-O-1", "number"}, {"number", "", "number"}, {"number", "PT-L-2026-000001", "number"}, {"name", " ", "name: missing"}, {"name", "a\nb", "name"}, {"name", long(129), "name"},
			{"purpose", "", "purpose: missing"}, {"purpose", "a\nb", ""}, {"purpose", long(MaxText + 1), "purpose"}, {"legal_basis", "\n", "legal_basis: missing"}, {"legal_basis", long(MaxText + 1), "legal_basis"},
			{"from", time.Time{}, "both times"}, {"until", time.Time{}, "both times"}, {"from", testTime.Add(time.Millisecond), "whole seconds"}, {"until", testTime.Add(time.Hour + 1), "whole seconds"},
			{"until", testTime, "it ends"}, {"until", testTime.Add(-time.Second), "it ends"}, {"until", testTime.Add(MaxOperationDuration), ""}, {"until", testTime.Add(MaxOperationDuration + time.Second), "it ends more"},
			{"members", []string{"PT"}, "want 2 to 64"}, {"members", []string{}, "want 2 to 64"}, {"members", []string{"ES", "XX"}, "members: "}, {"members", []string{"PT", "PT"}, "once"},
			{"members", []string{"PT", "ES"}, "order of the codes"}, {"members", many(65, "PT"), "want 2 to 64"}, {"handling", many(17, "H0"), "the limit is 16"}, {"handling", []string{"a\nb"}, "handling"},
			{"handling", []string{}, ""},
		},
		TypeOperationAcceptance: {{"operation", "x", "operation"}, {"operation_sha256", "ab", "SHA-256"}, {"operation_sha256", strings.Repeat("0A", 32), "SHA-256"}, {"note", "", ""}, {"note", "\x1b", "note"}, {"note", long(MaxText + 1), "note"}},
		TypeOperationEnd:        {{"operation", "", "operation"}, {"reason", " ", "reason: missing"}, {"reason", long(MaxText + 1), "reason"}, {"reason", "a\nb", ""}},
		TypeWithdrawal: {
			{"document", "x", "document"}, {"document_type", "withdrawal", "document_type"}, {"document_type", "withdrawal-confirmation", "document_type"}, {"document_type", "A B", "document_type"},
			{"document_type", "trace-answer", ""}, {"document_type", "of-a-newer-version", ""},
			{"document_sha256", strings.Repeat("0A", 32), "SHA-256"}, {"document_sha256", "", "SHA-256"}, {"reason", "BORED", "reason"}, {"reason", "", "reason"}, {"reason", "COURT_ORDER", ""},
			{"note", "", "says more"}, {"note", long(MaxText + 1), "note"}, {"note", "\x1b", "note"},
		},
		TypePermission: {
			{"document", "x", "document"}, {"use", "", "names none"}, {"use", "press", "names none"}, {"use", "court", "names none"}, {"to", []string{}, "names countries"}, {"to", []string{"XX"}, "to: country"},
			{"to", []string{"FR", "FR"}, "stands twice"}, {"to", many(33, "FR"), "limit is 32"}, {"until", time.Time{}, "until: missing"}, {"note", "\x1b", "note"}, {"note", "", ""}, {"to", []string{"ES"}, ""},
		},
		TypeWithdrawalConfirmation: {
			{"withdrawal", "x", "withdrawal"}, {"document", "", "document"}, {"document_sha256", "ab", "SHA-256"}, {"outcome", "LOST", "erased"}, {"outcome", "NOT_HELD", "belongs to the outcome"},
			{"outcome", "HELD", "belongs to the outcome"}, {"erased", time.Time{}, "belongs to the outcome"}, {"stays", many(65, map[string]any{"what": "hit", "ground": "LEGAL_HOLD"}), "limit is 64"},
			{"stays", many(64, map[string]any{"what": "hit", "ground": "LEGAL_HOLD"}), ""}, {"stays", []any{map[string]any{"what": "scan", "ground": "LEGAL_HOLD"}}, "stays[0]: what"},
			{"stays", []any{map[string]any{"what": "trace", "ground": "WANTED"}}, "stays[0]: ground"}, {"stays", []any{map[string]any{"what": "trace", "ground": "LEGAL_HOLD", "note": "a\nb"}}, "stays[0]: note"},
			{"stays", []any{map[string]any{"what": "trace", "ground": "LEGAL_HOLD", "reference": long(129)}}, "stays[0]: reference"},
		},
	}
}

func TestCheckOfEveryBody(t *testing.T) {
	for typ, rows := range bodyRows() {
		if err := bodies()[typ].Check(); err != nil {
			t.Errorf("%s: a whole body is refused: %v", typ, err)
		}
		for _, r := range rows {
			err := changed(t, typ, r.field, r.value).Check()
			if r.says == "" && err != nil || r.says != "" && (err == nil || !strings.Contains(err.Error(), r.says)) {
				t.Errorf("%s: %s = %.60v: got %v, want %q", typ, r.field, r.value, err, r.says)
			}
		}
	}
	for _, reason := range []string{ScanOther, ScanUnsuitable} {
		wantError(t, CheckOwn(&ScanRefusalBody{Request: idB, Signature: idA, Code: reason}), "says in it what")
	}
	if err := (&ScanRefusalBody{Request: idB, Signature: idA, Code: ScanUnknown}).Check(); err != nil {
		t.Error(err)
	}
	if err := changed(t, TypeTraceAnswer, "outcome", "UNSUCCESSFUL").(*TraceAnswerBody); err.Check() != nil {
		t.Error("a reason is given:", err.Check())
	}
	no := changed(t, TypeTraceAnswer, "outcome", "UNSUCCESSFUL").(*TraceAnswerBody)
	no.Reasons = nil
	wantError(t, no.Check(), "says why")
	held := &WithdrawalConfirmationBody{Withdrawal: idA, Document: idA, SHA256: strings.Repeat("0a", 32), Outcome: OutcomeHeld}
	wantError(t, held.Check(), "names its legal hold")
	if held.Stays = []Remainder{{What: "document", Ground: GroundLegalHold, Note: "court of Lisbon"}}; held.Check() != nil {
		t.Error("a hold is named:", held.Check())
	}
}

// TestWhatAnIssuerMustFill: a reader may not be told everything, an issuer must have said it; what is there keeps the rules for everybody.
func TestWhatAnIssuerMustFill(t *testing.T) {
	must := map[Type][]string{TypeLead: {"reviewers"}, TypeHit: {"examiner", "items", "verifier", "where"}, TypeTraceRequest: {"agency"}}
	for _, typ := range Types() {
		if err := CheckOwn(bodies()[typ]); err != nil {
			t.Errorf("%s: a whole body: %v", typ, err)
		}
		var got []string
		for _, name := range Redactable(typ) {
			if needed(typ, name) {
				got = append(got, name)
			}
			if err := without(typ, name).Check(); err != nil {
				t.Errorf("%s: its reader cannot do without %s: %v", typ, name, err)
			}
		}
		if !slices.Equal(got, must[typ]) {
			t.Errorf("%s: an issuer must fill %q, want %q", typ, got, must[typ])
		}
	}
	wantError(t, (&HitBody{Lead: idA, Pair: "p", Conclusion: Identification, Examined: testTime, Verified: testTime, Items: []string{}}).Check(), "items")
	wantError(t, changed(t, TypeLead, "reviewers", []string{}).Check(), "two different")
}

// A Check must not write into the slices that it reads: two goroutines may check one body.
func TestCheckLeavesTheBodyAlone(t *testing.T) {
	cases := append(make([]string, 0, 8), "C-2")
	b := bodies()[TypeLead].(*LeadBody)
	b.LinkedCases = cases
	if err := b.Check(); err != nil {
		t.Fatal(err)
	}
	if rest := cases[1:3]; rest[0] != "" || rest[1] != "" {
		t.Errorf("Check wrote %q behind the linked cases", rest)
	}
}

func TestPairIDIsOneIdentity(t *testing.T) {
	if PairID(idA, idB) != PairID(idB, idA) {
		t.Error("the two sides compute different identities")
	}
	if PairID(idA, idB) == PairID(idA, idA) || len(PairID(idA, idB)) != 32 {
		t.Error("not an identity of this pair")
	}
}

func TestParseCountry(t *testing.T) {
	for s, says := range map[string]string{
		"PT": "", "ES": "", "FR": "", "KE": "", "AD": "", "ZW": "", "pt": `write it in capitals, "PT"`, "Pt": "capitals", "XX": "not an ISO", "UK": "not an ISO", "EU": "not an ISO",
		"": "not an ISO", "P": "not an ISO", "PRT": "not an ISO", "T ": "not an ISO", " P": "not an ISO", "  ": "not an ISO", "P\x00": "not an ISO", strings.Repeat("PT", 99): "not an ISO",
	} {
		c, err := ParseCountry(s)
		if says == "" && (err != nil || string(c) != s) || says != "" && (err == nil || c != "" || !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: %q, %v, want %q", s, c, err, says)
		}
		if err != nil && len(err.Error()) > 150 {
			t.Errorf("%q: an error of %d bytes", s, len(err.Error()))
		}
	}
	if n := len(strings.Fields(iso3166)); n != 249 {
		t.Errorf("%d codes, ISO 3166-1 has 249", n)
	}
}

func TestAnOperationIsItsFoundersOwn(t *testing.T) {
	b := bodies()[TypeOperation].(*OperationBody)
	if err := b.CheckFounder("PT"); err != nil {
		t.Error(err)
	}
	wantError(t, b.CheckFounder("ES"), "begin with ES-O-")
	wantError(t, b.CheckFounder("DE"), "not among them")
}
