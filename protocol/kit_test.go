package protocol

import (
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var testTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// noise is a source of randomness that is the same in every run.
func noise(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var (
	idA = must(NewDocumentID("PT", testTime, noise(1)))
	idB = must(NewDocumentID("ES", testTime, noise(2)))
)

func headerOf(typ Type) Header {
	return Header{ID: idA, Type: typ, Issuer: "PT", Issued: testTime, Schema: 1, Purpose: "criminal-investigation"}
}

// bodies are a whole body of every type: every field that may be withheld is filled.
func bodies() map[Type]Body {
	when := &Interval{From: testTime.AddDate(0, 0, -9), To: testTime.AddDate(0, 0, -8)}
	gun := &FirearmDescription{Kind: "pistol", Action: "semi-automatic", Make: "Zastava", Manufacturer: "Crvena Zastava", Importer: "Century", Model: "CZ 99",
		Calibre: "9x19", Serial: "AB 10482", SerialState: "CLEAR", CountryOfManufacture: "RS", Year: 1996, Marks: "proof house Kragujevac"}
	days := 812
	return map[Type]Body{
		TypeSignature: &SignatureBody{Exhibit: idB, ROI: "breech-face", Kind: CartridgeCase, Origin: TestFire, Calibre: "9x19", FiringPin: "circular", Pattern: "parallel",
			Algorithm: "pm-1", Signature: []byte("surface"), Quality: 0.8, Agency: "PJ Lisboa", CaseReference: "C-1", ExhibitNumber: "E-1", Firearm: gun,
			Narrative: "two shots\nfrom a car", Occurred: when, Offence: "homicide", Place: "Lisboa"},
		TypeLead: &LeadBody{Number: "PT-L-2026-000001", Pair: PairID(idA, idB), Own: LeadParty{Country: "PT", Origin: Evidence, Signature: idA},
			Other: LeadSide{Country: "ES", Origin: Evidence, Signature: idB}, Agency: "PJ", CaseReference: "C-1", ExhibitNumber: "E-1", ROI: "breech-face", Calibre: "9x19", Algorithm: "pm-1", Score: 0.4, Rank: 1,
			PrimaryReview: testTime, SecondaryReview: testTime, Reviewers: []string{"tina", "edgar"}, Preserve: true, LinkedCases: []string{"C-2"}, Caveat: Caveat,
			LikelihoodRatio: &LikelihoodRatio{Calibrated: true, Log10LR: 1.52, AtBound: true, Population: "service pistols", Version: "3", Model: strings.Repeat("0a", 32), Limits: []string{"one make"}},
			Firearm:         gun, Narrative: "seen twice", Occurred: when, Offence: "robbery", Place: "Porto"},
		TypeLeadAck:        &LeadAckBody{Lead: idA, Pair: PairID(idA, idB), CaseReference: "C-9", ExhibitNumber: "E-9", Note: "taken over"},
		TypeLeadRetraction: &LeadRetractionBody{Lead: idA, Pair: PairID(idA, idB), Reason: "wrong exhibit"},
		TypeFeedback:       &FeedbackBody{Lead: idA, Pair: PairID(idA, idB), Code: "ARREST", Note: "one man"},
		TypeHit: &HitBody{Lead: idA, Pair: PairID(idA, idB), Conclusion: "identification", Items: []string{"E-1", "E-9"}, Where: "Madrid", Examiner: "edgar", Examined: testTime,
			Verifier: "vera", Verified: testTime},
		TypeTraceRequest: &TraceRequestBody{Number: "PT-T-1", Firearm: *gun, LegalJustification: "arms cache", Circumstances: "search", IntendedUse: "prosecution", Agency: "PJ",
			Priority: "urgent", PriorityReason: "custody ends", RecoveryPlace: "Lisboa", RecoveryDate: when, Narrative: "under the floor", Officer: "Silva", Possessor: "unknown"},
		TypeTraceStatus: &TraceStatusBody{Request: idA, Status: "ACKNOWLEDGED", Note: "begun"},
		TypeTraceAnswer: &TraceAnswerBody{Request: idA, Outcome: "PARTIAL", Reasons: []string{"OUT_OF_BUSINESS"}, Firearm: gun, Record: "ES-1", Status: "stolen",
			Chain: []CustodyStep{{Role: "manufacturer", Name: "Zastava", Country: "RS", Date: testTime}}, TimeToCrime: &days, Diversion: "theft", Note: "see file"},
		TypeScanRequest: &ScanRequestBody{Number: "PT-S-2026-000001", Signature: idB, Reason: "side-by-side comparison"},
		TypeScanRelease: &ScanReleaseBody{Request: idB, Signature: idA, ROI: "lea", Handling: []string{"H0", "H1"}, Expires: testTime, RetainUntil: &testTime,
			Scans: []ReleasedScan{{Land: 1, SHA256: strings.Repeat("0a", 32), Size: MinScanChunk + 1, MediaType: MediaX3P, Chunk: MinScanChunk, Chunks: []string{strings.Repeat("0b", 32), strings.Repeat("0c", 32)}}}},
		TypeScanRefusal: &ScanRefusalBody{Request: idB, Signature: idA, Code: ScanInvestigation, Note: "until the trial"},
		TypeWithdrawal:  &WithdrawalBody{Document: idA, Kind: TypeSignature, SHA256: strings.Repeat("0a", 32), Reason: ReasonOther, Note: "the exhibit was mixed up"},
		TypeOperation: &OperationBody{Number: "PT-O-2026-000001", Name: "Converted pistols", Purpose: "find the workshops", LegalBasis: "agreement of 3 May 2025", From: testTime,
			Until: testTime.AddDate(0, 6, 0), Members: []Country{"ES", "FR", "PT"}, Handling: []string{"H2"}},
		TypeOperationAcceptance: &OperationAcceptanceBody{Operation: idB, SHA256: strings.Repeat("0a", 32), Note: "until the budget ends"},
		TypeOperationEnd:        &OperationEndBody{Operation: idB, Reason: "the workshops were found"},
		TypePermission:          &PermissionBody{Document: idA, Use: UseOnward, To: []Country{"FR", "DE"}, Until: testTime, Note: "for the trial in Lyon"},
		TypeWithdrawalConfirmation: &WithdrawalConfirmationBody{Withdrawal: idA, Document: idA, SHA256: strings.Repeat("0a", 32), Outcome: OutcomeErased, Erased: testTime,
			Stays: []Remainder{{What: "lead", Reference: "ES-L-2026-000001", Ground: GroundOwnRecord, Note: "marked: source withdrawn"}}},
	}
}

// changed is a whole body of a type with one field set to another value.
func changed(t testing.TB, typ Type, field string, value any) Body {
	t.Helper()
	var fields map[string]any
	raw := must(json.Marshal(bodies()[typ]))
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	at, path := fields, strings.Split(field, ".")
	for _, p := range path[:len(path)-1] {
		at = at[p].(map[string]any)
	}
	at[path[len(path)-1]] = value
	b := specs[typ].body()
	if err := json.Unmarshal(must(json.Marshal(fields)), b); err != nil {
		t.Fatalf("%s.%s = %v: %v", typ, field, value, err)
	}
	return b
}

// wantError checks that an error says what a person needs.
func wantError(t testing.TB, err error, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", says)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Fatalf("error %q does not say %q", err, s)
		}
	}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
