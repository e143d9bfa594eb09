package proof

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"proofmark/crypto"
	"proofmark/protocol"
)

// TypeStatement is the typ header of a page of a statement: what a country's log says of the messages that it exchanged with one other.
const TypeStatement = "proofmark-statement+jws"

// Limits of a page.
const (
	MaxPage     = 512 << 10 // bytes of a page, signed
	MaxPageRows = 512
	maxPageNote = 8 << 10 // of a question for a page
	maxDocument = 128     // of a document's id
)

// ErrStatement marks a statement that cannot be read, or whose pages do not belong together.
var ErrStatement = errors.New("not a statement that holds together")

// Direction of a lane, as its speaker sees it.
type Direction string

// The directions.
const (
	Sent     Direction = "sent"
	Received Direction = "received"
)

// Lane is one channel in one direction, as its speaker sees it.
type Lane struct {
	Direction Direction        `json:"direction"`
	Channel   protocol.Channel `json:"channel"`
}

// Lanes lists the four in the order in which a statement gives them.
var Lanes = []Lane{{Sent, protocol.Urgent}, {Sent, protocol.Bulk}, {Received, protocol.Urgent}, {Received, protocol.Bulk}}

// Page is one part of a statement. Pages of a lane follow each other by the log's index: the next one begins After where this one says Next.
type Page struct {
	From protocol.Country `json:"from"` // whose log
	With protocol.Country `json:"with"` // what was exchanged with whom
	At   time.Time        `json:"at"`
	Size int64            `json:"size"` // entries of the log that the whole statement speaks of
	Root string           `json:"root"` // of its tree, base64; empty where the log is damaged so that it cannot be computed
	Lane

	Head  uint64 `json:"head"`  // number of the last message sent or received, whatever the log holds
	Acked uint64 `json:"acked"` // of a sent lane: the last one with a receipt

	After int64 `json:"after"` // entries from this index on were looked at
	Next  int64 `json:"next"`  // up to before this one; Size at the end of the lane
	Rows  []Row `json:"rows"`
}

// Row is one entry of the log.
type Row struct {
	Entry    int64     `json:"entry"` // index in the log
	Seq      uint64    `json:"seq,omitempty"`
	Hash     string    `json:"hash,omitempty"` // of the message
	Document string    `json:"document,omitempty"`
	At       time.Time `json:"at,omitzero"`
	Erased   bool      `json:"erased,omitempty"`  // the entry's body was erased: it was of this country and direction, nothing else is left
	Counted  uint64    `json:"counted,omitempty"` // an entry that counts so many messages which were refused and not kept one by one
}

// Ask is the question for a page.
type Ask struct {
	Lane
	After int64 `json:"after"`
	Size  int64 `json:"size"` // 0: as it is now, for the first page
}

// DecodeAsk reads a question that came over the network.
func DecodeAsk(b []byte) (Ask, error) {
	var a Ask
	if err := decodeOnly(b, maxPageNote, 2, &a); err != nil {
		return a, fmt.Errorf("question for a page: %w", err)
	}
	if err := a.Lane.check(); err != nil {
		return a, fmt.Errorf("question for a page: %w", err)
	}
	if a.After < 0 || a.Size < 0 || a.After > a.Size {
		return a, errors.New("question for a page: after and size do not fit")
	}
	return a, nil
}

func (l Lane) check() error {
	for _, known := range Lanes {
		if l == known {
			return nil
		}
	}
	return fmt.Errorf("unknown lane %.20q %.20q", l.Direction, l.Channel)
}

// SignPage signs a page by the country's signing key.
func SignPage(p Page, s *crypto.Signer) (string, error) {
	if p.Rows == nil {
		p.Rows = []Row{}
	}
	b, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("statement: %w", err)
	}
	signed, err := s.Sign(TypeStatement, b)
	if err != nil {
		return "", fmt.Errorf("statement: %w", err)
	}
	if len(signed) > MaxPage {
		return "", fmt.Errorf("statement: a page of %d bytes, the limit is %d", len(signed), MaxPage)
	}
	return signed, nil
}

// OpenPage verifies a page and reads it. The speaker is whoever the page names; with any other signature it is refused.
func (t *Trust) OpenPage(signed string) (*Page, error) {
	payload, _, err := crypto.Unverified(signed, TypeStatement, MaxPage)
	if err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	p, err := decodePage(payload)
	if err != nil {
		return nil, err
	}
	if _, err := t.verify(p.From, signed, TypeStatement, MaxPage, func([]byte) (time.Time, error) { return p.At, nil }); err != nil {
		return nil, fmt.Errorf("statement of %s: %w", p.From, err)
	}
	return p, nil
}

func decodePage(payload []byte) (*Page, error) {
	var p Page
	if err := decodeOnly(payload, MaxPage, 4, &p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStatement, err)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStatement, err)
	}
	return &p, nil
}

func (p *Page) check() error {
	for _, c := range []protocol.Country{p.From, p.With} {
		if _, err := protocol.ParseCountry(string(c)); err != nil {
			return err
		}
	}
	if err := p.Lane.check(); err != nil {
		return err
	}
	switch {
	case p.From == p.With:
		return fmt.Errorf("from and with are both %s", p.From)
	case p.Rows == nil || len(p.Rows) > MaxPageRows:
		return fmt.Errorf("%d rows, want a list of at most %d", len(p.Rows), MaxPageRows)
	case p.After < 0 || p.Next < p.After || p.Size < p.Next || p.Next == p.After && p.Next != p.Size:
		return fmt.Errorf("it speaks of the entries from %d to before %d of %d", p.After, p.Next, p.Size)
	case p.Acked > p.Head || p.Direction == Received && p.Acked > 0:
		return fmt.Errorf("acknowledged up to %d of %d", p.Acked, p.Head)
	}
	last := p.After - 1
	for i, r := range p.Rows {
		if r.Entry <= last || r.Entry >= p.Next {
			return fmt.Errorf("row %d: entry %d is out of its place", i+1, r.Entry)
		}
		last = r.Entry
		if r.Erased || r.Counted > 0 {
			if r.Seq != 0 || r.Hash != "" || r.Document != "" || r.Erased && r.Counted > 0 {
				return fmt.Errorf("row %d: erased or counted, but with content", i+1)
			}
			continue
		}
		if r.Seq == 0 || len(r.Document) > maxDocument || !isSum(r.Hash) {
			return fmt.Errorf("row %d: number, hash or document is missing or malformed", i+1)
		}
	}
	return nil
}

func isSum(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// Statement reads the pages of one country in the order of Lanes, one after another, and makes sure that nothing is left out between them.
type Statement struct {
	From, With protocol.Country
	Size       int64
	At         time.Time

	lane int
	next int64 // of the lane under way
	head map[Lane]*Page
}

// Add takes the next page.
func (s *Statement) Add(p *Page) error {
	if s.head == nil {
		s.From, s.With, s.Size, s.At, s.head = p.From, p.With, p.Size, p.At, map[Lane]*Page{}
	}
	switch {
	case p.From != s.From || p.With != s.With || p.Size != s.Size:
		return fmt.Errorf("%w: pages of %s with %s (%d entries) and of %s with %s (%d entries)", ErrStatement, s.From, s.With, s.Size, p.From, p.With, p.Size)
	case s.Complete():
		return fmt.Errorf("%w: pages after its end", ErrStatement)
	case p.Lane != Lanes[s.lane] || p.After != s.next:
		return fmt.Errorf("%w: %s %s from entry %d where %s %s from %d is due: a page is missing or out of its place", ErrStatement, p.Direction, p.Channel, p.After,
			Lanes[s.lane].Direction, Lanes[s.lane].Channel, s.next)
	}
	last := *p
	last.Rows = nil
	s.head[p.Lane] = &last
	if s.next = p.Next; s.next == s.Size {
		s.lane, s.next = s.lane+1, 0
	}
	return nil
}

// Complete tells whether all lanes were read to their end.
func (s *Statement) Complete() bool { return s.lane == len(Lanes) }

// Through is how many entries were gone through, in all lanes together.
func (s *Statement) Through() int64 { return int64(s.lane)*s.Size + s.next }

// Due is the question for the next page.
func (s *Statement) Due() Ask { return Ask{Lane: Lanes[s.lane], After: s.next, Size: s.Size} }
