package witness

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"

	"proofmark/crypto/roster"
)

// Log is one member's log and the two uses of its key.
type Log struct {
	Country  string
	Key      string // of the log, sumdb/note form: origin+hash+key
	Verifier note.Verifier
	Cosigner *torchwood.CosignatureVerifier
}

// Origin is the log's name.
func (l Log) Origin() string { return l.Verifier.Name() }

// Keyring verifies checkpoints of the members' logs, and the members' cosignatures on them.
type Keyring struct {
	logs     []Log // by country
	byOrigin map[string]int
	all      note.Verifiers
}

// Verifiers gathers the logs of all members of a roster, whatever their status: what a member signed before it was suspended was signed. Whoever
// counts cosignatures decides whose count.
func Verifiers(r *roster.Roster) (*Keyring, error) {
	keys := map[string]string{}
	for _, m := range r.All() {
		keys[m.Country] = m.LogKey
	}
	return NewKeyring(keys)
}

// NewKeyring makes a keyring from the log keys (sumdb/note form) of countries.
func NewKeyring(keys map[string]string) (*Keyring, error) {
	k := &Keyring{byOrigin: map[string]int{}}
	var list []note.Verifier
	for country, vkey := range keys {
		v, err := note.NewVerifier(vkey)
		if err != nil {
			return nil, fmt.Errorf("log key of %s: %w", country, err)
		}
		c, err := cosignerOf(vkey)
		if err != nil {
			return nil, fmt.Errorf("log key of %s: %w", country, err)
		}
		k.logs = append(k.logs, Log{Country: country, Key: vkey, Verifier: v, Cosigner: c})
		list = append(list, v, c)
	}
	slices.SortFunc(k.logs, func(a, b Log) int { return strings.Compare(a.Country, b.Country) })
	for i, l := range k.logs {
		if other, taken := k.byOrigin[l.Origin()]; taken {
			return nil, fmt.Errorf("log key of %s: %s has a log %.80q too", l.Country, k.logs[other].Country, l.Origin())
		}
		k.byOrigin[l.Origin()] = i
	}
	k.all = note.VerifierList(list...)
	return k, nil
}

// Log finds a member's log.
func (k *Keyring) Log(country string) (Log, bool) {
	i, ok := slices.BinarySearchFunc(k.logs, country, func(l Log, c string) int { return strings.Compare(l.Country, c) })
	if !ok {
		return Log{}, false
	}
	return k.logs[i], true
}

// Logs lists all of them, by country.
func (k *Keyring) Logs() []Log { return slices.Clone(k.logs) }

// Cosignature says that a member saw a checkpoint at that time and knew of none that contradicts it.
type Cosignature struct {
	Country string    `json:"country"`
	At      time.Time `json:"at"` // by the witness's clock, whole seconds
	Line    string    `json:"-"`  // as it stands under the checkpoint
}

// Opened is a checkpoint with those who have signed it.
type Opened struct {
	Checkpoint
	Country      string        // whose log it is
	Cosignatures []Cosignature // of other members, by country, one of each; all verified
}

// Open verifies a checkpoint of any member's log, with any number of cosignatures. The log's own signature must be there (ErrUnsigned). A signature
// under a known key that does not verify spoils the whole; those of unknown keys are left out, and so is a cosignature of the log on itself.
func (k *Keyring) Open(signed []byte) (Opened, error) {
	origin, _, _ := strings.Cut(string(signed), "\n")
	i, ok := k.byOrigin[origin]
	if !ok {
		return Opened{}, fmt.Errorf("checkpoint of %.80q: %w", origin, ErrUnknownOrigin)
	}
	c, others, err := openNote(string(signed), k.logs[i].Verifier, k.all)
	if err != nil {
		return Opened{}, err
	}
	o := Opened{Checkpoint: c, Country: k.logs[i].Country}
	for _, s := range others {
		w, ok := k.witness(s, origin)
		if !ok {
			continue
		}
		at, err := torchwood.CosignatureTimestamp(s)
		if err != nil {
			return Opened{}, fmt.Errorf("cosignature of %s: %w: %w", w, ErrMalformed, err)
		}
		o.Cosignatures = append(o.Cosignatures, Cosignature{Country: w, At: time.Unix(at, 0).UTC(), Line: line(s)})
	}
	slices.SortFunc(o.Cosignatures, func(a, b Cosignature) int { return strings.Compare(a.Country, b.Country) })
	return o, nil
}

// witness tells whose cosignature it is; not the log's own on itself, and no plain signature of another log.
func (k *Keyring) witness(s note.Signature, origin string) (country string, ok bool) {
	i, ok := k.byOrigin[s.Name]
	if !ok || s.Name == origin || k.logs[i].Cosigner.KeyHash() != s.Hash {
		return "", false
	}
	return k.logs[i].Country, true
}

// Cosigned verifies one cosignature line that a witness has given for a checkpoint.
func (k *Keyring) Cosigned(c Checkpoint, witness, cosignature string) (Cosignature, error) {
	if len(cosignature) > MaxBareNote {
		return Cosignature{}, fmt.Errorf("cosignature of %s: %w: %d bytes, the limit is %d", witness, ErrMalformed, len(cosignature), MaxBareNote)
	}
	o, err := k.Open([]byte(c.Note + cosignature))
	if err != nil {
		return Cosignature{}, fmt.Errorf("cosignature of %s: %w", witness, err)
	}
	if len(o.Cosignatures) != 1 || o.Cosignatures[0].Country != witness || o.Cosignatures[0].Line != cosignature {
		return Cosignature{}, fmt.Errorf("cosignature of %s: %w: it is not one line of this witness's key", witness, ErrUnsigned)
	}
	return o.Cosignatures[0], nil
}

// Assemble puts cosignature lines under a checkpoint, by country, no more than MaxWitness.
func Assemble(c Checkpoint, by []Cosignature) string {
	by = slices.Clone(by)
	slices.SortFunc(by, func(a, b Cosignature) int { return strings.Compare(a.Country, b.Country) })
	var b strings.Builder
	b.WriteString(c.Note)
	for _, s := range by[:min(len(by), MaxWitness)] {
		b.WriteString(s.Line)
	}
	return b.String()
}
