package witness

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/mod/sumdb/tlog"

	rules "proofmark/crypto/witness"
	"proofmark/protocol"
)

const (
	maxAsk    = 2*rules.MaxEvidence + 1<<10 // bytes
	maxAnswer = 32 << 10                    // bytes
	maxShown  = 100                         // checkpoints in one answer
	maxWords  = 300                         // bytes of a refusal
)

var errWire = errors.New("malformed message about witnessing")

// ask is one question: a checkpoint to cosign, evidence to take note of, or what is held here.
type ask struct {
	Checkpoint string      `json:"checkpoint,omitempty"` // of the asker's log
	Head       string      `json:"head,omitempty"`
	Proof      []tlog.Hash `json:"proof,omitempty"`
	Cosigned   string      `json:"cosigned,omitempty"` // a larger checkpoint than the witness says it holds, with its own cosignature

	Accused  protocol.Country `json:"accused,omitempty"`
	Evidence *rules.Evidence  `json:"evidence,omitempty"`

	Recall *recall `json:"recall,omitempty"`
}

// recall asks for the checkpoints that are held here, of the logs of the countries after one.
type recall struct {
	After string `json:"after"`
}

// shown are checkpoints, one of a log. The answerer's own log comes first, with the asker's cosignature where it has one.
type shown struct {
	Notes     []string `json:"notes"`
	Next      string   `json:"next,omitempty"`      // there are more, of the countries after this one
	Forgetful bool     `json:"forgetful,omitempty"` // the answerer has lost its own memory, and is asking too
}

// answer is what the witness says: exactly one of the five.
type answer struct {
	Cosignature string `json:"cosignature,omitempty"` // line of a note
	Held        string `json:"held,omitempty"`        // the asker took something else to be held here: this is; "nothing" where nothing is
	Verdict     string `json:"verdict,omitempty"`     // rollback, fork or unproven: what was offered contradicts what is held; or noted: evidence is known here
	Refusal     string `json:"refusal,omitempty"`     // in words for the operator of the other node
	Shown       *shown `json:"shown,omitempty"`       // what is held here
}

// heldNothing stands for a checkpoint where none is held, noted for evidence that was taken.
const (
	heldNothing = "nothing"
	noted       = "noted"
)

func decode[T any](b []byte, limit int, v *T) error {
	if err := protocol.CheckJSON(b, limit, 4); err != nil {
		return fmt.Errorf("%w: %w", errWire, err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", errWire, err)
	}
	return nil
}

func decodeAsk(b []byte) (a ask, err error) {
	if err := decode(b, maxAsk, &a); err != nil {
		return ask{}, err
	}
	offer := a.Checkpoint != "" && a.Head != "" && len(a.Proof) <= rules.MaxProof
	told := a.Evidence != nil && len(a.Evidence.Proof) <= rules.MaxProof
	asked := a.Checkpoint != "" || a.Head != "" || len(a.Proof) > 0 || a.Cosigned != ""
	switch {
	case offer && a.Evidence == nil && a.Accused == "" && a.Recall == nil && len(a.Cosigned) <= rules.MaxBareNote:
	case a.Recall != nil && !asked && a.Evidence == nil && a.Accused == "" && len(a.Recall.After) <= 2:
	case told && !asked && a.Recall == nil:
		if _, err := protocol.ParseCountry(string(a.Accused)); err != nil {
			return ask{}, fmt.Errorf("%w: accused: %w", errWire, err)
		}
	default:
		return ask{}, fmt.Errorf("%w: want a checkpoint with its head, evidence against a country, or a question for what is held", errWire)
	}
	return a, nil
}

func decodeAnswer(b []byte) (a answer, err error) {
	if err := decode(b, maxAnswer, &a); err != nil {
		return answer{}, err
	}
	said := 0
	for _, s := range []string{a.Cosignature, a.Held, a.Verdict, a.Refusal} {
		if s != "" {
			said++
		}
	}
	if a.Shown != nil {
		said++
		if len(a.Shown.Notes) > maxShown {
			return answer{}, fmt.Errorf("%w: %d checkpoints, the limit is %d", errWire, len(a.Shown.Notes), maxShown)
		}
	}
	if said != 1 {
		return answer{}, fmt.Errorf("%w: %d answers at once", errWire, said)
	}
	a.Verdict, a.Refusal = words(a.Verdict), words(a.Refusal)
	return a, nil
}

// words makes another node's text fit for a log line and a terminal.
func words(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxWords)], "")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}
