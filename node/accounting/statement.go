package accounting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"proofmark/crypto/proof"
	"proofmark/crypto/roster"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Limits of the making of one page.
const (
	pageEntries = 2048 // entries read
	pageWindow  = 4096 // entries of the log that are looked through at first for those of one country; more while there are too few
)

// ErrBusy: a member asks for statements more often than it needs to.
var ErrBusy = errors.New("a statement was asked for a moment ago: ask again later")

// statementsPerHour bounds the statements that one member can begin: each leaves an entry in the log.
const statementsPerHour = 30

// StatementMade says what a statement holds.
type StatementMade struct {
	With    protocol.Country `json:"with"`
	Entries int64            `json:"entries"` // of the log that it speaks of
	Rows    int              `json:"rows"`
	Pages   int              `json:"pages"`
}

// Statement writes what this country's log says of the messages that it exchanged with another: signed pages, a line each.
func (s *Service) Statement(ctx context.Context, who desk.Actor, with protocol.Country, w io.Writer) (*StatementMade, error) {
	if err := s.oversee(ctx, who, with, "statement of the channels with a member made"); err != nil {
		return nil, err
	}
	if err := s.checkCountry(with); err != nil {
		return nil, err
	}
	made := &StatementMade{With: with}
	for ask := (&proof.Ask{Lane: proof.Lanes[0]}); ask != nil; {
		page, signed, err := s.page(with, *ask)
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			_, err = io.WriteString(w, signed+"\n")
		}
		if err != nil {
			return nil, err
		}
		made.Entries, made.Rows, made.Pages = page.Size, made.Rows+len(page.Rows), made.Pages+1
		ask = following(page)
	}
	return made, nil
}

// following is the question for the page behind another; nil where it is the last.
func following(p *proof.Page) *proof.Ask {
	if p.Next < p.Size {
		return &proof.Ask{Lane: p.Lane, After: p.Next, Size: p.Size}
	}
	if i := slices.Index(proof.Lanes, p.Lane); i+1 < len(proof.Lanes) {
		return &proof.Ask{Lane: proof.Lanes[i+1], Size: p.Size}
	}
	return nil
}

// checkCountry refuses what is no other member of the roster in force.
func (s *Service) checkCountry(c protocol.Country) error {
	if c == s.o.Desk.Country {
		return desk.Invalid("%s is this country: name the other one", c)
	}
	r := s.o.Roster()
	if r == nil {
		return desk.Conflict("no roster is in force: `proofmark roster install` brings one in")
	}
	if _, ok := r.ByCountry(string(c)); !ok {
		return desk.NotFound("%s is not a member of the federation: proofmark roster show lists the members", c)
	}
	return nil
}

// oversee authorises a comparison, or a statement for one.
func (s *Service) oversee(ctx context.Context, who desk.Actor, with protocol.Country, event string) error {
	return s.read(ctx, who, policy.AuditReconcile, protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Counterpart: string(with)}, AuditBody: protocol.AuditBody{Event: event}})
}

// AnswerStatement gives a member one page about the channels between it and this country. Of what was refused here it does not tell more than that it
// came: the member learns no decision of this country's policy by it.
func (s *Service) AnswerStatement(ctx context.Context, from protocol.Country, raw []byte) ([]byte, error) {
	ask, err := proof.DecodeAsk(raw)
	if err != nil {
		return nil, err
	}
	if ask.Size == 0 {
		if err := s.begin(ctx, from); err != nil {
			return nil, err
		}
	}
	_, signed, err := s.page(from, ask)
	if err != nil {
		return nil, err
	}
	return []byte(signed), nil
}

// begin leaves the entry of a statement that a member asks for, unless it asks too often.
func (s *Service) begin(ctx context.Context, from protocol.Country) error {
	now := s.o.Now()
	s.mu.Lock()
	recent := slices.DeleteFunc(s.begun[from], func(t time.Time) bool { return now.Sub(t) > time.Hour || t.After(now) })
	allowed := len(recent) < statementsPerHour
	if allowed {
		recent = append(recent, now)
	}
	s.begun[from] = recent
	s.mu.Unlock()
	if !allowed {
		return ErrBusy
	}
	return s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		tx.Audit(protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActDisclose, Counterpart: string(from), Decision: "permit", Ground: "reconciliation"},
			AuditBody: protocol.AuditBody{Actor: desk.Node.Name, Kind: policy.KindAudit, Event: "statement of the channels between the two given to a member"}})
		return nil
	})
}

// page makes and signs a page.
func (s *Service) page(with protocol.Country, ask proof.Ask) (*proof.Page, string, error) {
	p := &proof.Page{From: s.o.Desk.Country, With: with, At: s.o.Now().UTC(), Lane: ask.Lane, Size: ask.Size, After: ask.After, Rows: []proof.Row{}}
	err := s.o.Desk.Store.View(func(tx *store.Tx) error {
		note, err := tx.Checkpoint()
		if err != nil {
			return err
		}
		now, _, err := store.ParseCheckpoint(note)
		if err != nil {
			return err
		}
		if p.Size == 0 {
			p.Size = now
		}
		if p.Size > now {
			return fmt.Errorf("%w: it asks about %d entries, the log has %d", proof.ErrStatement, p.Size, now)
		}
		if root, err := tx.AuditRootAt(p.Size); err == nil { // where a hash was taken out the statement says so by having none
			p.Root = root.String()
		}
		if err := s.heads(tx, p, now); err != nil {
			return err
		}
		return s.rows(tx, p)
	})
	if err != nil {
		return nil, "", fmt.Errorf("statement about %s: %w", with, err)
	}
	signed, err := proof.SignPage(*p, s.o.Signer())
	return p, signed, err
}

// heads says how far the lane was when the log had the statement's size: what came since is taken off.
func (s *Service) heads(tx *store.Tx, p *proof.Page, now int64) error {
	peer, ch := string(p.With), string(p.Channel)
	if p.Direction == proof.Sent {
		head, err := tx.OutHead(peer, ch)
		if err != nil {
			return err
		}
		p.Head, p.Acked = head.Seq, head.Acked
	} else {
		head, err := tx.InHead(peer, ch)
		if err != nil {
			return err
		}
		p.Head = head.Seq
	}
	for index, err := range tx.AuditWith(peer, p.Size, now) {
		if err != nil {
			return err
		}
		r, ok, err := rowOf(tx, index, p.Lane)
		if err != nil {
			return err
		}
		if ok && r.Seq > 0 {
			p.Head = min(p.Head, r.Seq-1)
		}
	}
	p.Acked = min(p.Acked, p.Head)
	return nil
}

// rows fills a page with the entries of its lane.
func (s *Service) rows(tx *store.Tx, p *proof.Page) error {
	list, end, err := window(tx, string(p.With), p.After, p.Size)
	if err != nil {
		return err
	}
	p.Next = end
	for n, index := range list {
		if n == pageEntries || len(p.Rows) == proof.MaxPageRows {
			p.Next = index
			return nil
		}
		r, ok, err := rowOf(tx, index, p.Lane)
		if err != nil {
			return err
		}
		if ok {
			p.Rows = append(p.Rows, r)
		}
	}
	return nil
}

// window lists entries with a country from one on, ascending, and up to before which they were looked for: a page's worth and more if there are as many, or to
// the log's end. It keeps the oldest only, however many there are.
func window(tx *store.Tx, with string, after, size int64) (list []int64, end int64, err error) {
	for width := int64(pageWindow); ; width *= 8 {
		list, end = list[:0], min(after+width, size)
		for index, err := range tx.AuditWith(with, after, end) {
			if err != nil {
				return nil, 0, err
			}
			if list = append(list, index); len(list) == 4*pageEntries {
				list = slices.Delete(list, 0, 2*pageEntries)
			}
		}
		if end == size || len(list) >= pageEntries {
			slices.Reverse(list)
			return list, end, nil
		}
	}
}

// rowOf reads an entry and tells whether it belongs to a lane.
func rowOf(tx *store.Tx, index int64, l proof.Lane) (proof.Row, bool, error) {
	leaf, err := tx.AuditLeaf(index)
	if errors.Is(err, store.ErrNotFound) {
		return proof.Row{}, false, nil // somebody took it out: the comparison shows what is missing, audit verify says where
	}
	if err != nil {
		return proof.Row{}, false, err
	}
	e, err := leaf.Entry()
	if err != nil {
		return proof.Row{}, false, fmt.Errorf("audit entry %d: %w", index, err)
	}
	r, ok := laneRow(e, leaf.Body == nil, l)
	r.Entry = index
	return r, ok, nil
}

// laneRow says what an entry is in a lane.
func laneRow(e protocol.AuditEntry, erased bool, l proof.Lane) (proof.Row, bool) {
	received := e.Action == protocol.ActReceive || e.Action == protocol.ActDeny
	switch {
	case received != (l.Direction == proof.Received) || !received && e.Action != protocol.ActDisclose:
		return proof.Row{}, false
	case erased: // its channel is not known any more: it stands in both
		return proof.Row{Erased: true}, e.Type == "" || slices.Contains(protocol.Types(), protocol.Type(e.Type))
	case received && e.Ground == "quota":
		n, err := strconv.ParseUint(e.Details["times"], 10, 64)
		return proof.Row{Counted: n}, err == nil && n > 0
	case e.Details["message"] == "" || e.MessageSeq == 0 || e.Channel != string(l.Channel):
		return proof.Row{}, false
	}
	r := proof.Row{Seq: e.MessageSeq, Hash: e.Details["message"], At: e.Time.UTC()}
	if len(e.Documents) > 0 {
		r.Document = e.Documents[0]
	}
	return r, true
}

// trust is the roster in force, as a checker takes it.
func (s *Service) trust() (*proof.Trust, error) {
	r := s.o.Roster()
	if r == nil {
		return nil, desk.Conflict("no roster is in force: `proofmark roster install` brings one in")
	}
	return proof.TrustIn([]*roster.Roster{r}), nil
}
