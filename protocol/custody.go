package protocol

import (
	"fmt"
	"regexp"
	"time"
)

// MaxCustody bounds the payload of a custody receipt, in bytes.
const MaxCustody = 2 << 10

// CustodyReceipt is what a member signs for a sealed copy of another country's backup that it keeps, whole and durable.
type CustodyReceipt struct {
	Holder Country   `json:"holder"`
	Owner  Country   `json:"owner"`
	Name   string    `json:"name"`
	ID     string    `json:"id"`     // of the backup, 32 hex digits
	Chain  string    `json:"chain"`  // the id of the full backup that it begins with
	Number int       `json:"number"` // in the chain; 0 is the full one
	Size   int64     `json:"size"`   // bytes
	SHA256 string    `json:"sha256"` // of the whole file, hex
	At     time.Time `json:"at"`     // when the copy was whole

	// Previous is the chain that this one replaced at the holder, which keeps it until PreviousUntil; empty where it has none.
	Previous      string    `json:"previous,omitempty"`
	PreviousUntil time.Time `json:"previous_until,omitzero"`
}

var copyName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,120}\.backup$`)

// CheckCopyName holds that a copy's name is one of a file, and of no path, on any system.
func CheckCopyName(name string) error {
	if !copyName.MatchString(name) {
		return fmt.Errorf("name %.80q: letters, digits, dots and dashes are allowed, and .backup at its end", name)
	}
	return nil
}

// CheckCopyHash holds that a hash is a SHA-256 in lower-case hex.
func CheckCopyHash(h string) error { return checkHash("sha256", h) }

// DecodeCustodyReceipt parses and checks the payload of a custody receipt's signature.
func DecodeCustodyReceipt(b []byte) (*CustodyReceipt, error) {
	if err := CheckJSON(b, MaxCustody, 2); err != nil {
		return nil, fmt.Errorf("custody receipt: %w: %w", ErrBadMessage, err)
	}
	var r CustodyReceipt
	if err := strict(b, &r); err != nil {
		return nil, fmt.Errorf("custody receipt: %w: %w", ErrBadMessage, err)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("custody receipt: %w: %w", ErrBadMessage, err)
	}
	return &r, nil
}

func (r *CustodyReceipt) check() error {
	if err := first(checkEnds(r.Holder, r.Owner, Bulk), CheckCopyName(r.Name), CheckCopyHash(r.SHA256)); err != nil {
		return err
	}
	if !isHex(r.ID, 32) || !isHex(r.Chain, 32) || r.Number < 0 || r.Size <= 0 || r.At.IsZero() {
		return fmt.Errorf("id, chain, number, size or at is missing or malformed")
	}
	if (r.Previous == "") != r.PreviousUntil.IsZero() || r.Previous != "" && (!isHex(r.Previous, 32) || r.Previous == r.Chain) {
		return fmt.Errorf("previous is another chain, with the time until which it is kept")
	}
	return nil
}
