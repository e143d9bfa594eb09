package protocol

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// The two document types by which a country takes back what it published and holders tell that they erased it. Both travel on the urgent channel.
const (
	TypeWithdrawal             Type = "withdrawal"
	TypeWithdrawalConfirmation Type = "withdrawal-confirmation"
)

// Why a document is withdrawn.
const (
	ReasonEnteredInError    = "ENTERED_IN_ERROR"
	ReasonSuperseded        = "SUPERSEDED"
	ReasonCaseClosed        = "CASE_CLOSED"
	ReasonCourtOrder        = "COURT_ORDER"
	ReasonNoLegalBasis      = "NO_LEGAL_BASIS"
	ReasonRetentionEnded    = "RETENTION_ENDED"
	ReasonDataSubjectDemand = "DATA_SUBJECT_DEMAND"
	ReasonOther             = "OTHER"
)

// WithdrawalReasons is the closed list; OTHER says more in its note.
var WithdrawalReasons = []string{ReasonEnteredInError, ReasonSuperseded, ReasonCaseClosed, ReasonCourtOrder, ReasonNoLegalBasis, ReasonRetentionEnded,
	ReasonDataSubjectDemand, ReasonOther}

// What became of a withdrawn document at a holder.
const (
	OutcomeErased  = "ERASED"
	OutcomeHeld    = "HELD"     // a legal hold keeps it; a second confirmation follows when that ends
	OutcomeNotHeld = "NOT_HELD" // it never arrived, or was erased before; should it still arrive, it is refused
)

// WithdrawalOutcomes lists them.
var WithdrawalOutcomes = []string{OutcomeErased, OutcomeHeld, OutcomeNotHeld}

// On what ground something stays that was made of a withdrawn document.
const (
	GroundLegalHold = "LEGAL_HOLD"
	GroundOwnRecord = "OWN_CASE_RECORD" // the holder's own case record, marked "source withdrawn"
)

// RemainderGrounds lists them.
var RemainderGrounds = []string{GroundLegalHold, GroundOwnRecord}

// RemainderKinds lists what may stay.
var RemainderKinds = []string{"document", "review", "lead", "hit", "trace"}

// MaxRemainders bounds what one confirmation names.
const MaxRemainders = 64

// withdrawable are the types that carry content of a case. What only moves a workflow on (a status, a retraction) holds nothing to erase, and what
// takes back or confirms cannot be taken back itself.
var withdrawable = []Type{TypeSignature, TypeLead, TypeLeadAck, TypeFeedback, TypeHit, TypeTraceRequest, TypeTraceAnswer, TypeScanRelease, TypePermission}

// Withdrawable says whether documents of a type can be withdrawn by their issuer.
func Withdrawable(t Type) bool { return slices.Contains(withdrawable, t) }

// DocumentHash names the bytes of a document as it was signed: SHA-256 of its compact JWS, hex.
func DocumentHash(jws string) string {
	sum := sha256.Sum256([]byte(jws))
	return hex.EncodeToString(sum[:])
}

// WithdrawalBody takes back a document of the issuer's own: whoever holds it erases it.
type WithdrawalBody struct {
	Document string `json:"document"`        // id of the document withdrawn
	Kind     Type   `json:"document_type"`   //
	SHA256   string `json:"document_sha256"` // DocumentHash
	Reason   string `json:"reason"`          // one of WithdrawalReasons
	Note     string `json:"note,omitempty"`
}

// Check implements Body. That the document is the issuer's own is checked where the issuer is known.
func (b *WithdrawalBody) Check() error {
	if b.Reason == ReasonOther && b.Note == "" {
		return fmt.Errorf("note: the reason %s says more in a note", ReasonOther)
	}
	return first(
		field("document", CheckID(b.Document)),
		b.checkKind(),
		checkHash("document_sha256", b.SHA256),
		oneOf("reason", b.Reason, WithdrawalReasons, false),
		checkText("note", b.Note, MaxText),
	)
}

// checkKind allows types that this node does not know: a newer one may withdraw what this one kept unread.
func (b *WithdrawalBody) checkKind() error {
	if !typeName.MatchString(string(b.Kind)) || b.Kind == TypeWithdrawal || b.Kind == TypeWithdrawalConfirmation {
		return fmt.Errorf("document_type: documents of the type %.70q cannot be withdrawn", b.Kind)
	}
	return nil
}

// Remainder is something that a holder keeps although its source was withdrawn.
type Remainder struct {
	What      string `json:"what"`                // one of RemainderKinds
	Reference string `json:"reference,omitempty"` // a number that both sides know
	Ground    string `json:"ground"`              // one of RemainderGrounds
	Note      string `json:"note,omitempty"`      // of a legal hold: what it rests on
}

func (r Remainder) check() error {
	return first(
		oneOf("what", r.What, RemainderKinds, false),
		checkLine("reference", r.Reference, 128),
		oneOf("ground", r.Ground, RemainderGrounds, false),
		checkLine("note", r.Note, 256),
	)
}

// WithdrawalConfirmationBody tells the owner of a withdrawn document what became of it at one holder.
type WithdrawalConfirmationBody struct {
	Withdrawal string      `json:"withdrawal"` // id of the withdrawal document
	Document   string      `json:"document"`
	SHA256     string      `json:"document_sha256"` // of the document that was erased or is held
	Outcome    string      `json:"outcome"`         // one of WithdrawalOutcomes
	Erased     time.Time   `json:"erased,omitzero"` // with the outcome ERASED
	Stays      []Remainder `json:"stays,omitempty"`
}

// Check implements Body.
func (b *WithdrawalConfirmationBody) Check() error {
	if (b.Outcome == OutcomeErased) == b.Erased.IsZero() {
		return fmt.Errorf("erased: a time belongs to the outcome %s and to no other", OutcomeErased)
	}
	if len(b.Stays) > MaxRemainders {
		return fmt.Errorf("stays: %d, the limit is %d", len(b.Stays), MaxRemainders)
	}
	for i, r := range b.Stays {
		if err := field(fmt.Sprintf("stays[%d]", i), r.check()); err != nil {
			return err
		}
	}
	if b.Outcome == OutcomeHeld && !slices.ContainsFunc(b.Stays, func(r Remainder) bool { return r.Ground == GroundLegalHold }) {
		return fmt.Errorf("stays: what is held names its legal hold")
	}
	return first(
		field("withdrawal", CheckID(b.Withdrawal)),
		field("document", CheckID(b.Document)),
		checkHash("document_sha256", b.SHA256),
		oneOf("outcome", b.Outcome, WithdrawalOutcomes, false),
	)
}
