package accounting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"time"

	"proofmark/crypto"
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
	var out *Reported
	err = s.o.Desk.Store.View(func(tx *store.Tx) (err error) {
		out, err = WriteReport(ctx, tx, ReportOn{Country: s.o.Desk.Country, Since: since, Until: until, Made: s.o.Now(), Signer: s.o.Signer(), Checkpoint: s.checkpoint}, leaves)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ReportOn says what a report is on and who signs it.
type ReportOn struct {
	Country      protocol.Country
	Since, Until time.Time // midnights in UTC
	Made         time.Time
	Signer       *crypto.Signer

	// Checkpoint chooses the signed note that covers an entry, and says of how many entries it is.
	Checkpoint func(tx *store.Tx, index int64) (note []byte, size int64, err error)
}

// WriteReport reads the log from the period's first entry to its last and writes their leaves; its memory depends on the number of kinds of entries alone.
func WriteReport(ctx context.Context, tx *store.Tx, on ReportOn, leaves io.Writer) (*Reported, error) {
	days := ReportRequest{From: on.Since.UTC().Format(time.DateOnly), To: on.Until.UTC().Format(time.DateOnly)}
	first, end, err := period(tx, days, on.Since, on.Until)
	if err != nil {
		return nil, err
	}
	checkpoint, size, err := on.Checkpoint(tx, end-1)
	if err != nil {
		return nil, err
	}
	m, err := proof.NewReportMaker(proof.Report{Country: on.Country, From: days.From, To: days.To, Made: on.Made.UTC(), First: first}, tx.AuditHashes(), leaves)
	if err != nil {
		return nil, err
	}
	out := &Reported{}
	for leaf, err := range tx.AuditLeaves(first, end) {
		if err == nil {
			err = m.Add(leaf)
		}
		if err == nil && out.Entries%leavesBetweenLooks == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		out.Entries++
	}
	if out.Report, err = m.Finish(size, tx.AuditHashes(), checkpoint, on.Signer); err != nil {
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
	if first == end { // nothing is of these days: the neighbours are the entries between which it would lie
		n := sort.Search(int(size), func(i int) bool {
			day, derr := dayOf(tx, int64(i))
			err = errors.Join(err, derr)
			return derr != nil || day >= r.From
		})
		if err != nil {
			return 0, 0, err
		}
		first, end = int64(n), int64(n)
	}
	return max(first-1, 0), min(end+1, size), nil
}

func within(tx *store.Tx, index int64, r ReportRequest) (bool, error) {
	day, err := dayOf(tx, index)
	return day >= r.From && day < r.To, err
}

func dayOf(tx *store.Tx, index int64) (string, error) {
	leaf, err := tx.AuditLeaf(index)
	if err != nil {
		return "", err
	}
	var h protocol.AuditHeader
	if err := json.Unmarshal(leaf.Header, &h); err != nil {
		return "", fmt.Errorf("audit entry %d: header: %w", index, err)
	}
	return h.Day, nil
}
