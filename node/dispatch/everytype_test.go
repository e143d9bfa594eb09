package dispatch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// sample makes a whole document of a type, in every field of which that a policy may withhold stands a value that stands nowhere else.
type sample struct {
	body func(b *bureau) protocol.Body
	kind string // as policies call it
	at   map[string]any
}

func samples() map[protocol.Type]sample {
	id := func(b *bureau) string { return must(protocol.NewDocumentID(b.country, begin, b.random)) }
	other := func(b *bureau) protocol.Country {
		if b.country == "ES" {
			return "PT"
		}
		return "ES"
	}
	foreign := func(b *bureau) string {
		return must(protocol.NewDocumentID(other(b), begin, rand.NewChaCha8([32]byte{7})))
	}
	day := func(n int) *protocol.Interval {
		return &protocol.Interval{From: begin.AddDate(0, 0, -n), To: begin.AddDate(0, 0, -n).Add(time.Hour)}
	}
	gun := func() *protocol.FirearmDescription {
		return &protocol.FirearmDescription{Kind: "pistol", Make: "Canary-make", Serial: "Canary-serial"}
	}
	hash := strings.Repeat("0a", 32)
	directed := func(kind string, body func(b *bureau) protocol.Body) sample { return sample{body: body, kind: kind} }
	among := func(kind string, body func(b *bureau) protocol.Body) sample {
		return sample{body, kind, map[string]any{"members": []string{"ES", "FR", "PT"}}}
	}
	return map[protocol.Type]sample{
		protocol.TypeSignature: {func(*bureau) protocol.Body {
			s := signature("Canary-place")
			s.Origin, s.Firearm, s.Occurred = protocol.TestFire, gun(), day(11)
			return s
		}, "Signature", attributes()},
		protocol.TypeLead: directed("Lead", func(b *bureau) protocol.Body {
			own, theirs := id(b), foreign(b)
			return &protocol.LeadBody{Number: string(b.country) + "-L-2026-000001", Pair: protocol.PairID(own, theirs),
				Own:   protocol.LeadParty{Country: string(b.country), Origin: protocol.TestFire, Signature: own},
				Other: protocol.LeadSide{Country: string(other(b)), Origin: protocol.Evidence, Signature: theirs}, ROI: "breech-face", Calibre: "9x19", Algorithm: "pm-1", Score: 1, Rank: 1,
				PrimaryReview: begin, SecondaryReview: begin, Preserve: true, Caveat: protocol.Caveat, Agency: "Canary-agency", CaseReference: "Canary-case", ExhibitNumber: "Canary-number",
				LinkedCases: []string{"Canary-linked"}, Reviewers: []string{"canary-tina", "canary-edgar"}, LikelihoodRatio: &protocol.LikelihoodRatio{Reason: "Canary-population"}, Firearm: gun(),
				Narrative: "Canary-narrative", Occurred: day(12), Offence: "Canary-offence", Place: "Canary-place"}
		}),
		protocol.TypeLeadAck: directed("LeadAck", func(b *bureau) protocol.Body {
			return &protocol.LeadAckBody{Lead: id(b), Pair: "pair", CaseReference: "Canary-case", ExhibitNumber: "Canary-number", Note: "Canary-note"}
		}),
		protocol.TypeLeadRetraction: directed("LeadRetraction", func(b *bureau) protocol.Body {
			return &protocol.LeadRetractionBody{Lead: id(b), Pair: "pair", Reason: "wrong exhibit"}
		}),
		protocol.TypeFeedback: directed("Feedback", func(b *bureau) protocol.Body {
			return &protocol.FeedbackBody{Lead: id(b), Pair: "pair", Code: "ARREST", Note: "Canary-note"}
		}),
		protocol.TypeHit: directed("Hit", func(b *bureau) protocol.Body {
			return &protocol.HitBody{Lead: id(b), Pair: "pair", Conclusion: protocol.Identification, Examined: begin, Verified: begin,
				Items: []string{"Canary-item"}, Where: "Canary-laboratory", Examiner: "canary-edgar", Verifier: "canary-vera"}
		}),
		protocol.TypeTraceRequest: directed("TraceRequest", func(*bureau) protocol.Body {
			return &protocol.TraceRequestBody{Number: "PT-T-2026-000001", Firearm: *gun(), LegalJustification: "arms cache", Circumstances: "search", IntendedUse: "prosecution", Priority: "routine",
				Agency: "Canary-agency", RecoveryPlace: "Canary-place", RecoveryDate: day(13), Narrative: "Canary-narrative", Officer: "Canary-officer", Possessor: "Canary-possessor"}
		}),
		protocol.TypeTraceStatus: directed("TraceStatus", func(b *bureau) protocol.Body {
			return &protocol.TraceStatusBody{Request: foreign(b), Status: protocol.TraceAcknowledged, Note: "Canary-note"}
		}),
		protocol.TypeTraceAnswer: directed("TraceAnswer", func(b *bureau) protocol.Body {
			return &protocol.TraceAnswerBody{Request: foreign(b), Outcome: "COMPLETED", Record: "PT-1", Firearm: gun(), Note: "Canary-note",
				Chain: []protocol.CustodyStep{{Role: "manufacturer", Country: "PT", Name: "Canary-maker"}}}
		}),
		protocol.TypeScanRequest: directed("ScanRequest", func(b *bureau) protocol.Body {
			return &protocol.ScanRequestBody{Number: "PT-S-2026-000001", Signature: foreign(b), Reason: "comparison"}
		}),
		protocol.TypeScanRelease: directed("Scan", func(b *bureau) protocol.Body {
			return &protocol.ScanReleaseBody{Request: foreign(b), Signature: id(b), ROI: "breech-face", Handling: []string{"H0"}, Expires: begin.AddDate(0, 0, 3),
				Scans: []protocol.ReleasedScan{{SHA256: hash, Size: protocol.MinScanChunk, MediaType: protocol.MediaX3P, Chunk: protocol.MinScanChunk, Chunks: []string{hash}}}}
		}),
		protocol.TypeScanRefusal: directed("ScanRefusal", func(b *bureau) protocol.Body {
			return &protocol.ScanRefusalBody{Request: foreign(b), Signature: id(b), Code: protocol.ScanOther, Note: "Canary-note"}
		}),
		protocol.TypePermission: directed("Permission", func(b *bureau) protocol.Body {
			return &protocol.PermissionBody{Document: id(b), Use: protocol.UseCourt, Until: begin.AddDate(1, 0, 0), Note: "Canary-note"}
		}),
		protocol.TypeOperation: among("OperationDocument", func(*bureau) protocol.Body {
			return &protocol.OperationBody{Number: "PT-O-2026-000001", Name: "Converted pistols", Purpose: "find the workshops", LegalBasis: "agreement", From: begin,
				Until: begin.AddDate(0, 6, 0), Members: []protocol.Country{"ES", "FR", "PT"}, Handling: []string{}}
		}),
		protocol.TypeOperationAcceptance: among("OperationDocument", func(b *bureau) protocol.Body {
			return &protocol.OperationAcceptanceBody{Operation: foreign(b), SHA256: hash, Note: "Canary-note"}
		}),
		protocol.TypeOperationEnd: among("OperationDocument", func(b *bureau) protocol.Body {
			return &protocol.OperationEndBody{Operation: foreign(b), Reason: "the workshops were found"}
		}),
		protocol.TypeWithdrawal: directed("Withdrawal", func(b *bureau) protocol.Body {
			return &protocol.WithdrawalBody{Document: id(b), Kind: protocol.TypeSignature, SHA256: hash, Reason: protocol.ReasonOther, Note: "Canary-note"}
		}),
		protocol.TypeWithdrawalConfirmation: directed("Withdrawal", func(b *bureau) protocol.Body {
			return &protocol.WithdrawalConfirmationBody{Withdrawal: foreign(b), Document: foreign(b), SHA256: hash, Outcome: protocol.OutcomeNotHeld}
		}),
	}
}

// sampled are the types of which policy is asked. A type without a sample fails the test.
func sampled(t *testing.T) (out []protocol.Type) {
	t.Helper()
	all := samples()
	for _, typ := range protocol.Types() {
		if _, there := all[typ]; !there {
			t.Errorf("there is no sample of the type %s: give one, so that what policies demand of it is tried", typ)
			continue
		}
		if protocol.Asked(typ) {
			out = append(out, typ)
		}
	}
	return out
}

// issueSample issues a sample for one country.
func (b *bureau) issueSample(typ protocol.Type, to protocol.Country) (id string, err error) {
	s := samples()[typ]
	facts := Facts{To: to, Purpose: "criminal-investigation", Kind: "object", Object: "o", Actor: "olga", Attributes: map[string]any{}}
	for k, v := range s.at {
		facts.Attributes[k] = v
	}
	err = b.store.Update(context.Background(), func(tx *store.Tx) error {
		id, err = b.Issue(tx, typ, s.body(b), facts)
		return err
	})
	return id, err
}

// exchanged delivers both channels and returns everything that left, readable.
func exchanged(from, to *bureau) []byte {
	var out []byte
	for _, ch := range protocol.Channels {
		for _, batch := range deliver(from, to, ch) {
			out = append(out, from.plain(batch)...)
		}
	}
	return out
}

// TestEveryFieldOfEveryType: for every type, and every word by which a policy withholds something: what it withholds is not in the bytes that leave, everything
// else arrives; the signature verifies at its reader with a JOSE library alone; the record says what is withheld. Once policy withholds nothing, all of it
// arrives, under the same signature.
func TestEveryFieldOfEveryType(t *testing.T) {
	types := sampled(t)
	used := map[string]bool{}
	for _, typ := range types {
		for name, words := range withheldBy(typ) {
			if len(words) == 0 {
				t.Errorf("%s: no word of a policy withholds %s", typ, name)
			}
			for _, w := range words {
				used[w] = true
			}
		}
	}
	for _, word := range policy.Withholdable() {
		if !used[word] {
			t.Errorf("nothing is withheld by %q", word)
		}
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			f := newFederation(t, "PT", "ES")
			pt, es := f.bureaus["PT"], f.bureaus["ES"]
			pt.rules(fmt.Sprintf(`@redact(%q) permit (principal is Country, action == Action::"share", resource);`, word))
			ids := map[protocol.Type]string{}
			for _, typ := range types {
				id, err := pt.issueSample(typ, "ES")
				if why, is := protocol.Inseparable(typ)[word]; is {
					if !errors.Is(err, desk.ErrForbidden) || !strings.Contains(err.Error(), why) {
						t.Errorf("%s cannot go without its %s: %v", typ, word, err)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v", typ, err)
				}
				ids[typ] = id
			}
			left := exchanged(pt, es)
			for typ, id := range ids {
				pt.arrived(es, typ, id, left, protocol.WithheldBy(typ, []string{word}))
			}
			pt.rules(`permit (principal is Country, action == Action::"share", resource);`)
			pt.update(func(tx *store.Tx) error {
				for typ, id := range ids {
					if err := tx.Enqueue("ES", string(protocol.ChannelOf(typ)), id); err != nil {
						return err
					}
				}
				return nil
			})
			left = exchanged(pt, es)
			for typ, id := range ids {
				pt.arrived(es, typ, id, left, nil)
			}
		})
	}
}

// withheldBy are the words for each field of a type, as the registry has them.
func withheldBy(typ protocol.Type) map[string][]string {
	out := map[string][]string{}
	for _, name := range protocol.Redactable(typ) {
		out[name] = nil
		for _, word := range policy.Withholdable() {
			if slices.Contains(protocol.WithheldBy(typ, []string{word}), name) {
				out[name] = append(out[name], word)
			}
		}
	}
	return out
}

// arrived holds what left a bureau, and what a reader has of a document, against what was withheld of it.
func (b *bureau) arrived(at *bureau, typ protocol.Type, id string, left []byte, withheld []string) {
	t := b.f.t
	t.Helper()
	own, held := b.record(id), at.record(id)
	if held == nil || held.Status != Accepted || held.JWS != own.JWS {
		t.Errorf("%s: the reader holds %+v", typ, held)
		return
	}
	var shown *Shown
	at.view(func(tx *store.Tx) (err error) {
		shown, err = at.Show(tx, id)
		return err
	})
	var body map[string]json.RawMessage
	if err := json.Unmarshal(shown.Body, &body); err != nil || !slices.Equal(shown.Withheld, withheld) || shown.Closed != len(withheld) {
		t.Errorf("%s: shown with %q withheld and %d digests closed, want %q: %v", typ, shown.Withheld, shown.Closed, withheld, err)
	}
	if filled := len(own.Disclosures); filled != len(protocol.Redactable(typ)) {
		t.Errorf("%s: the sample fills %d of the fields %q", typ, filled, protocol.Redactable(typ))
	}
	for _, d := range own.Disclosures {
		name, value := parts(t, string(d))
		_, there := body[name]
		switch in := bytes.Contains(left, value) && bytes.Contains(left, []byte(d)); {
		case slices.Contains(withheld, name) && (in || there || bytes.Contains(left, []byte(d))):
			t.Errorf("%s: %s left the country, or stands in the record", typ, name)
		case !slices.Contains(withheld, name) && (!in || !there):
			t.Errorf("%s: %s did not arrive", typ, name)
		}
	}
	b.verifiesAlone(held)
}

func parts(t testing.TB, disclosure string) (name string, value []byte) {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(disclosure)
	if err != nil {
		t.Fatal(err)
	}
	var three [3]json.RawMessage
	if err := json.Unmarshal(raw, &three); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(three[1], &name); err != nil {
		t.Fatal(err)
	}
	return name, three[2]
}

// verifiesAlone verifies a document as its reader holds it with a JOSE library and a hash function, knowing nothing of this program.
func (b *bureau) verifiesAlone(held *Record) {
	t := b.f.t
	t.Helper()
	key, err := jwk.ParseKey(b.keys.SigningJWK())
	if err != nil {
		t.Fatal(err)
	}
	payload, err := jws.Verify([]byte(held.JWS), jws.WithKey(jwa.EdDSA, key))
	if err != nil {
		t.Errorf("%s: %v", held.Type, err)
		return
	}
	var document struct {
		Body struct {
			Digests []string `json:"_sd"`
		} `json:"body"`
	}
	if err := json.Unmarshal(payload, &document); err != nil {
		t.Fatal(err)
	}
	if len(document.Body.Digests) != len(protocol.Redactable(held.Type)) {
		t.Errorf("%s: %d digests", held.Type, len(document.Body.Digests))
	}
	for _, d := range held.Disclosures {
		sum := sha256.Sum256([]byte(d))
		if !slices.Contains(document.Body.Digests, base64.RawURLEncoding.EncodeToString(sum[:])) {
			t.Errorf("%s: a disclosure is none of the document's", held.Type)
		}
	}
}

// TestWhatIsOwedGoesWhole: no policy is asked what of a withdrawal or of its confirmation goes.
func TestWhatIsOwedGoesWhole(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	pt.rules(`@redact("note") permit (principal is Country, action == Action::"share", resource); forbid (principal, action == Action::"share", resource is Withdrawal);`)
	for typ := range samples() {
		if protocol.Asked(typ) {
			continue
		}
		if len(protocol.Redactable(typ)) != 0 {
			t.Errorf("%s has digests, and no policy to hold them back", typ)
		}
		id, err := pt.issueSample(typ, "ES")
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		exchanged(pt, es)
		if d := pt.delivery(id, "ES"); d == nil || d.State != Delivered || len(d.Withheld)+len(d.Terms.Withheld) != 0 {
			t.Errorf("%s: %+v", typ, d)
		}
	}
}

// TestThePageOnPoliciesIsTrue: docs/withheld.md lists for every type what can be withheld, by which words, and what stays open for which reason.
func TestThePageOnPoliciesIsTrue(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "withheld.md"))
	if err != nil {
		t.Fatal(err)
	}
	if want := withheldTable(); !strings.Contains(string(page), want) {
		t.Errorf("docs/withheld.md should hold this table:\n%s", want)
	}
}

// withheldTable is what the registry of types and their schemas say, for people.
func withheldTable() string {
	out := "| Type | Withheld by the word | Always open |\n|---|---|---|\n"
	for _, typ := range protocol.Types() {
		var cells, why []string
		for _, word := range policy.Withholdable() {
			if fields := protocol.WithheldBy(typ, []string{word}); len(fields) == 1 && fields[0] == word {
				cells = append(cells, "`"+word+"`")
			} else if len(fields) > 0 {
				cells = append(cells, "`"+word+"` ("+strings.Join(fields, ", ")+")")
			}
			if reason := protocol.Inseparable(typ)[word]; reason != "" {
				why = append(why, "`"+word+"`: "+reason)
			}
		}
		out += fmt.Sprintf("| %s | %s | %s |\n", typ, strings.Join(cells, ", "), strings.Join(append([]string{strings.Join(openFields(typ), ", ")}, why...), "; "))
	}
	return out
}

// openFields are the fields of a type's body that no word withholds.
func openFields(typ protocol.Type) []string {
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	must(0, json.Unmarshal(must(protocol.Schema(string(typ))), &schema))
	for _, name := range append(protocol.Redactable(typ), "_sd", "_sd_alg") {
		delete(schema.Properties, name)
	}
	return slices.Sorted(maps.Keys(schema.Properties))
}
