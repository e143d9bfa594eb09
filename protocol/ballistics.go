package protocol

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"time"
)

// MaxSignature bounds the bytes of one published ballistic signature.
const MaxSignature = 16 << 10

// SignatureBody publishes the compact signature of one region of one exhibit. It names no scan and, where policy withholds the
// redactable fields, no case.
type SignatureBody struct {
	Exhibit   string  `json:"exhibit"` // the exhibit's id at its owner (UUIDv7), a pseudonym elsewhere
	ROI       string  `json:"roi"`
	Kind      string  `json:"kind"`
	Origin    string  `json:"origin"`
	Calibre   string  `json:"calibre"`
	FiringPin string  `json:"firing_pin"`
	Pattern   string  `json:"breech_face_pattern"`
	Algorithm string  `json:"algorithm"`
	Signature []byte  `json:"signature"` // base64 in JSON; docs/signature.md
	Quality   float64 `json:"quality"`   // 0 to 1
	Replica   bool    `json:"replica,omitempty"`

	// Redactable.
	Agency        string              `json:"agency,omitempty"`
	CaseReference string              `json:"case_reference,omitempty"`
	ExhibitNumber string              `json:"exhibit_number,omitempty"`
	Firearm       *FirearmDescription `json:"firearm,omitempty"` // of a test fire
	Narrative     string              `json:"narrative,omitempty"`
	Occurred      *Interval           `json:"occurred,omitempty"`
	Offence       string              `json:"offence,omitempty"`
	Place         string              `json:"place,omitempty"`
}

// Check implements Body.
func (b *SignatureBody) Check() error {
	if len(b.Signature) == 0 || len(b.Signature) > MaxSignature {
		return fmt.Errorf("signature: %d bytes, want 1 to %d", len(b.Signature), MaxSignature)
	}
	if !(b.Quality >= 0 && b.Quality <= 1) {
		return fmt.Errorf("quality: %v is outside 0 to 1", b.Quality)
	}
	if b.Occurred != nil {
		if err := field("occurred", b.Occurred.Check()); err != nil {
			return err
		}
	}
	if b.Firearm != nil {
		if err := field("firearm", b.Firearm.Check()); err != nil {
			return err
		}
	}
	return first(
		field("exhibit", CheckID(b.Exhibit)),
		needLine("roi", b.ROI, 64),
		oneOf("kind", b.Kind, Kinds, false),
		oneOf("origin", b.Origin, Origins, false),
		needLine("calibre", b.Calibre, 64),
		oneOf("firing_pin", b.FiringPin, FiringPinShapes, false),
		oneOf("breech_face_pattern", b.Pattern, BreechFacePattern, false),
		needLine("algorithm", b.Algorithm, 64),
		checkLine("agency", b.Agency, 256),
		checkLine("case_reference", b.CaseReference, 128),
		checkLine("exhibit_number", b.ExhibitNumber, 128),
		checkText("narrative", b.Narrative, MaxText),
		checkLine("offence", b.Offence, 256),
		checkLine("place", b.Place, 256),
	)
}

// PairID is the one identity of a pair of signature documents, the same whichever side computes it: SHA-256 over both ids in order.
func PairID(a, b string) string {
	if b < a {
		a, b = b, a
	}
	sum := sha256.Sum256([]byte("proofmark-pair\x00" + a + "\x00" + b))
	return hex.EncodeToString(sum[:16])
}

func checkPair(pair, a, b string) error {
	if a == b {
		return fmt.Errorf("pair: a signature cannot be paired with itself")
	}
	if want := PairID(a, b); pair != want {
		return fmt.Errorf("pair: %.40q is not the identity of the two signatures (%s)", pair, want)
	}
	return nil
}

// LeadSide is one side of a lead.
type LeadSide struct {
	Country       string `json:"country"`
	Agency        string `json:"agency,omitempty"`
	CaseReference string `json:"case_reference,omitempty"`
	ExhibitNumber string `json:"exhibit_number,omitempty"`
	Origin        string `json:"origin"`
	Signature     string `json:"signature"` // id of the signature document
}

func (s LeadSide) check() error {
	_, err := ParseCountry(s.Country)
	return first(
		field("country", err),
		checkLine("agency", s.Agency, 256),
		checkLine("case_reference", s.CaseReference, 128),
		checkLine("exhibit_number", s.ExhibitNumber, 128),
		oneOf("origin", s.Origin, Origins, false),
		field("signature", CheckDocumentID(s.Signature, Country(s.Country))),
	)
}

// LeadParty is the sender's side of a lead as far as it is always told.
type LeadParty struct {
	Country   string `json:"country"`
	Origin    string `json:"origin"`
	Signature string `json:"signature"` // id of the signature document
}

// LeadBody notifies the other country of a lead: an unconfirmed association of two cases that two people of the sender's
// reviewed on digital images.
type LeadBody struct {
	Number          string    `json:"number"` // lead number of the sender
	Pair            string    `json:"pair"`
	Own             LeadParty `json:"own"`
	Other           LeadSide  `json:"other"` // as the sender was shown it
	ROI             string    `json:"roi"`
	Calibre         string    `json:"calibre"`
	Algorithm       string    `json:"algorithm"`
	Score           float64   `json:"score"`
	Rank            int       `json:"rank"` // of the other side's exhibit in the sender's list
	PrimaryReview   time.Time `json:"primary_review"`
	SecondaryReview time.Time `json:"secondary_review"`
	Preserve        bool      `json:"preserve_evidence"`
	Caveat          string    `json:"caveat"`

	// Redactable. Agency, case and exhibit are the sender's.
	Agency          string              `json:"agency,omitempty"`
	CaseReference   string              `json:"case_reference,omitempty"`
	ExhibitNumber   string              `json:"exhibit_number,omitempty"`
	LinkedCases     []string            `json:"linked_cases,omitempty"`
	Reviewers       []string            `json:"reviewers,omitempty"`        // two different people, by service name
	LikelihoodRatio *LikelihoodRatio    `json:"likelihood_ratio,omitempty"` // as the sender computed it
	Firearm         *FirearmDescription `json:"firearm,omitempty"`
	Narrative       string              `json:"narrative,omitempty"`
	Occurred        *Interval           `json:"occurred,omitempty"`
	Offence         string              `json:"offence,omitempty"`
	Place           string              `json:"place,omitempty"`
}

// Sender is the sender's side as it was told.
func (b *LeadBody) Sender() LeadSide {
	return LeadSide{Country: b.Own.Country, Agency: b.Agency, CaseReference: b.CaseReference, ExhibitNumber: b.ExhibitNumber, Origin: b.Own.Origin, Signature: b.Own.Signature}
}

// Check implements Body.
func (b *LeadBody) Check() error {
	if b.Caveat != Caveat {
		return fmt.Errorf("caveat: must be the fixed caveat, word for word")
	}
	if b.Reviewers != nil && (len(b.Reviewers) != 2 || samePerson(b.Reviewers[0], b.Reviewers[1])) {
		return fmt.Errorf("reviewers: a lead needs two different people")
	}
	if b.PrimaryReview.IsZero() || b.SecondaryReview.IsZero() {
		return fmt.Errorf("primary_review, secondary_review: both times are needed")
	}
	if b.Rank < 1 {
		return fmt.Errorf("rank: %d, ranks start at 1", b.Rank)
	}
	if len(b.LinkedCases) > 64 {
		return fmt.Errorf("linked_cases: %d, the limit is 64", len(b.LinkedCases))
	}
	if b.Occurred != nil {
		if err := field("occurred", b.Occurred.Check()); err != nil {
			return err
		}
	}
	if b.Firearm != nil {
		if err := field("firearm", b.Firearm.Check()); err != nil {
			return err
		}
	}
	if !(math.Abs(b.Score) <= MaxScore) { // also refuses NaN
		return fmt.Errorf("score: %v, scores lie between −%d and %[2]d", b.Score, MaxScore)
	}
	for _, c := range slices.Concat(b.LinkedCases, b.Reviewers) {
		if err := needLine("linked_cases, reviewers", c, 128); err != nil {
			return err
		}
	}
	if b.LikelihoodRatio != nil {
		if err := field("likelihood_ratio", b.LikelihoodRatio.Check()); err != nil {
			return err
		}
	}
	if b.Own.Country == b.Other.Country {
		return fmt.Errorf("own, other: a lead notification links two countries")
	}
	return first(
		field("own", b.Sender().check()),
		field("other", b.Other.check()),
		CheckNumber(b.Number, Country(b.Own.Country), "L"),
		checkPair(b.Pair, b.Own.Signature, b.Other.Signature),
		needLine("roi", b.ROI, 64),
		needLine("calibre", b.Calibre, 64),
		needLine("algorithm", b.Algorithm, 64),
		checkText("narrative", b.Narrative, MaxText),
		checkLine("offence", b.Offence, 256),
		checkLine("place", b.Place, 256),
	)
}

func (b *LeadBody) complete() error {
	if b.Reviewers == nil {
		return fmt.Errorf("reviewers: a lead needs two different people")
	}
	return nil
}

// LeadAckBody says that a lead was received by a person and is being worked on.
type LeadAckBody struct {
	Lead string `json:"lead"` // id of the lead document
	Pair string `json:"pair"`

	// Redactable.
	CaseReference string `json:"case_reference,omitempty"` // the acknowledging side's case
	ExhibitNumber string `json:"exhibit_number,omitempty"`
	Note          string `json:"note,omitempty"`
}

// Check implements Body.
func (b *LeadAckBody) Check() error {
	return first(field("lead", CheckID(b.Lead)), needLine("pair", b.Pair, 64), checkLine("case_reference", b.CaseReference, 128),
		checkLine("exhibit_number", b.ExhibitNumber, 128), checkText("note", b.Note, MaxText))
}

// LeadRetractionBody takes a lead back, with the reason.
type LeadRetractionBody struct {
	Lead   string `json:"lead"`
	Pair   string `json:"pair"`
	Reason string `json:"reason"`
}

// Check implements Body.
func (b *LeadRetractionBody) Check() error {
	return first(field("lead", CheckID(b.Lead)), needLine("pair", b.Pair, 64), needText("reason", b.Reason, MaxText))
}

// FeedbackBody tells the sender of a lead what came of it.
type FeedbackBody struct {
	Lead string `json:"lead"`
	Pair string `json:"pair"`
	Code string `json:"code"`
	Note string `json:"note,omitempty"` // redactable
}

// Check implements Body.
func (b *FeedbackBody) Check() error {
	return first(field("lead", CheckID(b.Lead)), needLine("pair", b.Pair, 64), oneOf("code", b.Code, FeedbackCodes, false),
		checkText("note", b.Note, MaxText))
}

// maxItems bounds the items of one hit.
const maxItems = 32

var errItems = fmt.Errorf("items: name the items or casts compared (1 to %d)", maxItems)

// HitBody reports a match that an examiner confirmed on the physical evidence and a second person verified.
type HitBody struct {
	Lead       string    `json:"lead"`
	Pair       string    `json:"pair"`
	Conclusion string    `json:"conclusion"`
	Examined   time.Time `json:"examined"`
	Verified   time.Time `json:"verified"`

	// Redactable.
	Items    []string `json:"items,omitempty"` // which items or casts were compared
	Where    string   `json:"where,omitempty"`
	Examiner string   `json:"examiner,omitempty"`
	Verifier string   `json:"verifier,omitempty"` // another person
}

// Check implements Body.
func (b *HitBody) Check() error {
	if b.Examiner != "" && samePerson(b.Examiner, b.Verifier) {
		return fmt.Errorf("verifier: must be another person than the examiner")
	}
	if b.Examined.IsZero() || b.Verified.IsZero() {
		return fmt.Errorf("examined, verified: both times are needed")
	}
	if b.Items != nil && (len(b.Items) == 0 || len(b.Items) > maxItems) {
		return errItems
	}
	for _, it := range b.Items {
		if err := needLine("items", it, 256); err != nil {
			return err
		}
	}
	return first(field("lead", CheckID(b.Lead)), needLine("pair", b.Pair, 64), oneOf("conclusion", b.Conclusion, []string{Identification}, false),
		lineIfAny("where", b.Where, 256), lineIfAny("examiner", b.Examiner, 128), lineIfAny("verifier", b.Verifier, 128))
}

func (b *HitBody) complete() error {
	if len(b.Items) == 0 {
		return errItems
	}
	return first(needLine("where", b.Where, 256), needLine("examiner", b.Examiner, 128), needLine("verifier", b.Verifier, 128))
}
