package accounting

import (
	"context"
	"errors"
	"io"
	"time"

	"proofmark/crypto/proof"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// ReportRequest names the days of a report, in UTC.
type ReportRequest struct {
	From string `json:"from"` // the first, YYYY-MM-DD
	To   string `json:"to"`   // the day after the last
}

// Reported is a signed report, and its leaves' number.
type Reported struct {
	Report  string `json:"report"` // compact JWS
	Entries int64  `json:"entries"`
}

const leavesBetweenLooks = 4096

// Report makes a transparency report: its leaves are written as they are read, so that a period of any length takes the same memory.
func (s *Service) Report(ctx context.Context, who desk.Actor, r ReportRequest, leaves io.Writer) (*Reported, error) {
	since, err := time.Parse(time.DateOnly, r.From)
	if err != nil {
		return nil, desk.Invalid("from: %.20q is not a day such as 2026-01-01", r.From)
	}
	until, err := time.Parse(time.DateOnly, r.To)
	if err != nil {
		return nil, desk.Invalid("to: %.20q is not a day such as 2026-04-01", r.To)
	}
	if !since.Before(until) {
		return nil, desk.Invalid("the period ends before it begins: --to is the day after the last one")
	}
	if err := s.read(ctx, who, policy.AuditReport, protocol.AuditEntry{AuditBody: protocol.AuditBody{Event: "transparency report made", Details: map[string]string{"from": r.From, "to": r.To}}}); err != nil {
		return nil, err
	}
	out := &Reported{}
	err = s.o.Desk.Store.View(func(tx *store.Tx) error {
		first, end, err := period(tx, r, since, until)
		if err != nil {
			return err
		}
		checkpoint, size, err := s.checkpoint(tx, end-1)
		if err != nil {
			return err
		}
		m, err := proof.NewReportMaker(proof.Report{Country: s.o.Desk.Country, From: r.From, To: r.To, Made: s.o.Now().UTC(), First: first}, tx.AuditHashes(), leaves)
		if err != nil {
			return err
		}
		for index := first; index < end; index++ {
			leaf, err := tx.AuditLeaf(index)
			if err == nil {
				err = m.Add(leaf)
			}
			if err == nil && index%leavesBetweenLooks == 0 {
				err = ctx.Err()
			}
			if err != nil {
				return errors.Join(err, m.Close())
			}
		}
		out.Entries = end - first
		out.Report, err = m.Finish(size, tx.AuditHashes(), checkpoint, s.o.Signer())
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// period finds the entries of the days, with one neighbour on each side where there is one.
func period(tx *store.Tx, r ReportRequest, since, until time.Time) (first, end int64, err error) {
	note, err := tx.Checkpoint()
	if err != nil {
		return 0, 0, err
	}
	size, _, err := store.ParseCheckpoint(note)
	if err != nil {
		return 0, 0, err
	}
	if first, end, err = tx.AuditPeriod(since, until); err != nil {
		return 0, 0, err
	}
	for ; first < end; first++ {
		if in, err := within(tx, first, r); err != nil || in {
			if err != nil {
				return 0, 0, err
			}
			break
		}
	}
	for ; end > first; end-- {
		if in, err := within(tx, end-1, r); err != nil || in {
			if err != nil {
				return 0, 0, err
			}
			break
		}
	}
	return max(first-1, 0), min(end+1, size), nil
}

func within(tx *store.Tx, index int64, r ReportRequest) (bool, error) {
	leaf, err := tx.AuditLeaf(index)
	if err != nil {
		return false, err
	}
	e, err := leaf.Entry()
	return e.Day >= r.From && e.Day < r.To, err
}
