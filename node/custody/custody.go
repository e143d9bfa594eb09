// Package custody owns the sealed copies of backups that members keep for each other: at the holder what is taken, under which grant, and the signed
// receipt for it; at the owner what each holder has confirmed. It refuses to know what a backup holds and how bytes travel.
package custody

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/backup"
	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// Offer is a file that a member wants kept.
type Offer struct {
	Name   string // of the file
	Size   int64  // bytes
	SHA256 string // of the whole file, hex
	Head   string // of the backup, a compact JWS
}

// Refusal is a reason for which a copy is not kept that its owner is told.
type Refusal struct{ text string }

func (r Refusal) Error() string { return r.text }

func refuse(format string, args ...any) error { return Refusal{fmt.Sprintf(format, args...)} }

// Options assemble a Service.
type Options struct {
	Desk   *desk.Desk
	Signer func() *crypto.Signer
	Roster func() *roster.Roster // in force; nil: none yet
	Dir    string                // where copies are kept, a folder for each country; made when it is needed
	Grants map[protocol.Country]int64
	Grace  time.Duration // for which a chain is kept after another one began; DefaultGrace where it is 0
	Now    func() time.Time
	Random io.Reader
	Log    *slog.Logger

	// Credible tells whether the clock may be gone by where something is erased.
	Credible func(ctx context.Context) (bool, error)

	// Send offers a file to a member and returns its receipt and the bytes that were sent; progress is told the bytes that the member has.
	Send func(ctx context.Context, to protocol.Country, o Offer, file io.ReaderAt, progress func(bytes int64)) (receipt string, sent int64, err error)

	// Ask has a member prove that it has a copy of size bytes. An error says that it could not be asked, or would not answer now.
	Ask func(ctx context.Context, holder protocol.Country, q Question, size int64) (Proof, error)
}

// DefaultGrace is how long a chain is kept after another one began: whoever controls the owner's machine can begin an empty one.
const DefaultGrace = 30 * 24 * time.Hour

// Service is one node's custody, both sides of it.
type Service struct {
	o      Options
	proofs budget
	asking sync.Mutex // one check at a time
	files  sync.Mutex // a copy's file and its record come and go together
}

// New returns a Service.
func New(o Options) *Service {
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{o: o}
}

// Copy records a file that is kept here for another country.
type Copy struct {
	protocol.CustodyReceipt
	Made    time.Time `json:"made"`    // the backup
	Head    string    `json:"head"`    // of the backup, a compact JWS
	Receipt string    `json:"receipt"` // as it was signed, a compact JWS

	Until   time.Time `json:"until,omitzero"`   // kept until then, because another chain began; zero: it is of the newest chain
	Damaged time.Time `json:"damaged,omitzero"` // when the file was found to be another than was signed for
}

// Copies holds what is kept here, by owner and id of the backup.
var Copies = store.NewCollection("custody-copy", store.Index[Copy]{Name: "owner", Keys: func(c *Copy) []string { return []string{string(c.Owner)} }})

// Confirmed records what a holder has signed for a copy of this country's.
type Confirmed struct {
	protocol.CustodyReceipt
	Receipt string `json:"receipt"`        // a compact JWS
	Root    string `json:"root,omitempty"` // of the file's hash tree, hex; what proofs are held against
}

// Confirmations holds what holders have signed, by holder and id of the backup.
var Confirmations = store.NewCollection("custody-receipt", store.Index[Confirmed]{Name: "holder", Keys: func(c *Confirmed) []string { return []string{string(c.Holder)} }})

func recordID(c protocol.Country, id string) string { return string(c) + "/" + id }

// held is a copy with what became of its file.
type held struct {
	Copy
	intact bool // the file is there, with its size, and was not found to be damaged
}

func (s *Service) folder(owner protocol.Country) string { return filepath.Join(s.o.Dir, string(owner)) }

// kept reads the copies of one owner: chains that another one followed first, then the newest, each ordered by the number in it.
func (s *Service) kept(tx *store.Tx, owner protocol.Country) ([]held, error) {
	var out []held
	for _, c := range Copies.By(tx, "owner", string(owner)) {
		st, err := os.Lstat(filepath.Join(s.folder(owner), c.Name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		out = append(out, held{Copy: *c, intact: err == nil && st.Mode().IsRegular() && st.Size() == c.Size && c.Damaged.IsZero()})
	}
	slices.SortFunc(out, func(a, b held) int {
		if a.Chain == b.Chain {
			return a.Number - b.Number
		}
		if c := ends(a).Compare(ends(b)); c != 0 {
			return c
		}
		return strings.Compare(a.Chain, b.Chain)
	})
	return out, tx.Err()
}

// ends orders chains by when they may go; the newest has no end.
func ends(c held) time.Time {
	if c.Until.IsZero() {
		return time.Unix(1<<40, 0)
	}
	return c.Until
}

// part is a copy as the chain's check wants it.
func (c *Copy) part() (backup.Part, error) {
	h, err := backup.ParseHead(c.Head)
	if err != nil {
		return backup.Part{}, fmt.Errorf("%s: %w", c.Name, err)
	}
	return backup.Part{Name: c.Name, ID: c.ID, Chain: c.Chain, Number: c.Number, SHA256: c.SHA256, Size: c.Size, Made: c.Made, Head: h}, nil
}

// keysOf returns the signing keys that the roster in force names for an active member.
func (s *Service) keysOf(c protocol.Country) (crypto.KeySet, error) {
	r := s.o.Roster()
	if r == nil {
		return crypto.KeySet{}, errors.New("no roster is installed")
	}
	m, ok := r.ByCountry(string(c))
	if !ok || !m.Active(s.o.Now()) {
		return crypto.KeySet{}, fmt.Errorf("%s is not an active member of the roster in force", c)
	}
	return m.KeySet()
}

// ParseSize reads a size such as "500MB" or "2GB", in decimal units, as bytes.
func ParseSize(s string) (int64, error) {
	const wanted = "want a size such as 500MB, 2GB or 1TB"
	for unit, factor := range map[string]int64{"MB": 1e6, "GB": 1e9, "TB": 1e12} {
		digits, ok := strings.CutSuffix(s, unit)
		if !ok {
			continue
		}
		var n int64
		for _, d := range digits {
			if d < '0' || d > '9' || n > 1e6 {
				return 0, fmt.Errorf("%.40q: %s", s, wanted)
			}
			n = 10*n + int64(d-'0')
		}
		if n == 0 || n > 1e6 {
			return 0, fmt.Errorf("%.40q: %s", s, wanted)
		}
		return n * factor, nil
	}
	return 0, fmt.Errorf("%.40q: %s", s, wanted)
}
