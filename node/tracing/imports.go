package tracing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

const (
	importAtOnce  = 100 // rows in one transaction: far below its limit, whatever the rows hold
	faultsInError = 20  // broken rows that the error itself names; the report has more
)

// ImportReport says what became of a file.
type ImportReport struct {
	ID        string     `json:"id,omitempty"` // of the import; empty if nothing was stored
	Name      string     `json:"name"`
	SHA256    string     `json:"sha256"`
	Rows      int        `json:"rows"` // well-formed ones
	Added     int        `json:"added"`
	Unchanged int        `json:"unchanged"` // on record already with the same content, or repeated in the file
	Faults    []RowFault `json:"faults,omitempty"`
	Unlisted  int        `json:"unlisted,omitempty"` // faults beyond those listed
}

// load is an import on its way: the file is kept until every row is stored, so that a crash in between loses nothing and leaves no half.
type load struct {
	ImportReport
	By       string    `json:"by"`
	Key      string    `json:"key,omitempty"`
	Begun    time.Time `json:"begun"`
	Next     int       `json:"next"` // the first row that is not stored yet
	Finished time.Time `json:"finished,omitzero"`
}

var loads = store.NewCollection("firearm-import",
	store.Index[load]{Name: "command", Keys: func(l *load) []string {
		if l.Key == "" {
			return nil
		}
		return []string{l.By + "\x00" + l.Key}
	}},
	store.Index[load]{Name: "unfinished", Keys: func(l *load) []string {
		if l.Finished.IsZero() {
			return []string{"unfinished"}
		}
		return nil
	}})

// ImportFirearms records the firearms of a CSV file (see Columns) that is called name. It is all or nothing: if one row is broken, or conflicts
// with what is on record, the report names every such row, the error the first of them, and nothing is stored. Rows that are on record
// already with the same content change nothing.
func (s *Service) ImportFirearms(ctx context.Context, who desk.Actor, key, name string, file []byte) (*ImportReport, error) {
	sum := sha256.Sum256(file)
	name = shorten(name)
	report := &ImportReport{Name: name, SHA256: hex.EncodeToString(sum[:])}
	s.importing.Lock()
	defer s.importing.Unlock()
	act := desk.Act{Actor: who, Action: policy.FirearmImport, Purpose: Purpose, Resource: policy.Resource{Type: policy.KindFirearm},
		Request: []string{name, report.SHA256}}
	now, err := s.present(ctx, act, key, report, len(file))
	if err != nil {
		return nil, err
	}
	begun, err := s.begunBefore(who, key)
	if err != nil {
		return nil, err
	}
	p, err := parseCSV(file, now)
	if err != nil {
		return report, desk.Invalid("%s: %v. Nothing was stored.", name, err)
	}
	if begun == nil {
		if err := s.findConflicts(p); err != nil {
			return nil, err
		}
	}
	report.Rows, report.Unchanged, report.Faults, report.Unlisted = len(p.Rows), p.Repeated, p.Faults, p.Unlisted
	if len(p.Faults) > 0 {
		return report, desk.Invalid("%s", brokenFile(report))
	}
	if len(p.Rows) == 0 {
		return report, desk.Invalid("%s: the file has a header and no rows. Nothing was stored.", name)
	}
	if begun == nil {
		act.Key = key
		if begun, err = s.begin(ctx, act, report, file); err != nil {
			return nil, err
		}
	}
	return s.finish(ctx, begun.ID, p.Rows)
}

// present authorises the import and records that the file was presented, before it is read; it returns the node's clock.
func (s *Service) present(ctx context.Context, act desk.Act, key string, r *ImportReport, size int) (time.Time, error) {
	if key != "" {
		act.Key = key + "/presented"
	}
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (time.Time, error) {
		tx.Audit(entry(protocol.ActCollect, act.Actor.Name, policy.KindFirearm, "", "", "file of firearm records presented", "file", r.Name, "sha256", r.SHA256, "bytes", count(size)))
		return tx.Now(), nil
	})
}

func (s *Service) begunBefore(who desk.Actor, key string) (found *load, err error) {
	if key == "" {
		return nil, nil
	}
	err = s.desk.Store.View(func(tx *store.Tx) error {
		for _, l := range loads.By(tx, "command", who.Name+"\x00"+key) {
			found = l
		}
		return nil
	})
	return found, err
}

// findConflicts reports the rows whose reference is on record with other content.
func (s *Service) findConflicts(p *parsed) error {
	return s.desk.Store.View(func(tx *store.Tx) error {
		for _, row := range p.Rows {
			_, err := recorded(tx, row.Firearm)
			switch {
			case errors.Is(err, desk.ErrConflict):
				p.fault(row.Line, "reference", row.Firearm.Reference, "conflict: it is on record already with other content")
			case err != nil:
				return err
			}
		}
		return nil
	})
}

func brokenFile(r *ImportReport) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: nothing was stored, faults found: %d. Correct the file and import it again:", r.Name, len(r.Faults)+r.Unlisted)
	for i, f := range r.Faults {
		if i == faultsInError {
			fmt.Fprintf(&b, "\n  and %d more", len(r.Faults)+r.Unlisted-i)
			break
		}
		fmt.Fprintf(&b, "\n  %s", f)
	}
	return b.String()
}

// begin makes the import durable: from here on all of its rows will be stored, by this run or by Resume.
func (s *Service) begin(ctx context.Context, act desk.Act, r *ImportReport, file []byte) (*load, error) {
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*load, error) {
		id, err := protocol.NewID(tx.Now(), tx.Random())
		if err != nil {
			return nil, err
		}
		if _, err := tx.PutBlob(file); err != nil {
			return nil, err
		}
		l := &load{ImportReport: *r, By: act.Actor.Name, Key: act.Key, Begun: tx.Now()}
		l.ID = id
		tx.Audit(entry(protocol.ActCollect, act.Actor.Name, policy.KindFirearm, id, "", "import of firearm records begun", "file", r.Name, "sha256", r.SHA256, "rows", count(r.Rows)))
		return l, loads.Put(tx, id, l)
	})
}

// finish stores the rows that are not stored yet, a few in each transaction.
func (s *Service) finish(ctx context.Context, id string, rows []importRow) (*ImportReport, error) {
	var report *ImportReport
	for report == nil {
		err := s.desk.Store.Update(ctx, func(tx *store.Tx) error {
			l, err := loads.Get(tx, id)
			if err != nil {
				return err
			}
			for range importAtOnce {
				if l.Next >= len(rows) {
					break
				}
				if err := l.store(tx, rows[l.Next]); err != nil {
					return fmt.Errorf("line %d: %w", rows[l.Next].Line, err)
				}
				l.Next++
			}
			if l.Next >= len(rows) && l.Finished.IsZero() {
				l.Finished = tx.Now()
				if err := tx.DeleteBlob(l.SHA256); err != nil {
					return err
				}
				done := entry(protocol.ActCollect, l.By, policy.KindFirearm, id, "", "import of firearm records finished", "file", l.Name,
					"added", count(l.Added), "unchanged", count(l.Unchanged), "conflicts", count(len(l.Faults)+l.Unlisted))
				done.PolicyVer = s.desk.Policy().Version() // no act of its own: what permitted it stands with the beginning
				tx.Audit(done)
			}
			if err := loads.Put(tx, id, l); err != nil {
				return err
			}
			if !l.Finished.IsZero() {
				report = &l.ImportReport
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("import %s was interrupted; give the same command again, or restart the node, to finish it: %w", id, err)
		}
	}
	return report, nil
}

func (l *load) store(tx *store.Tx, row importRow) error {
	same, err := recorded(tx, row.Firearm)
	switch {
	case errors.Is(err, desk.ErrConflict): // only after a crash: somebody recorded it before the import was resumed
		p := parsed{Faults: l.Faults, Unlisted: l.Unlisted}
		p.fault(row.Line, "reference", row.Firearm.Reference, "conflict: it was recorded with other content while the import was interrupted, and that record stays")
		l.Faults, l.Unlisted = p.Faults, p.Unlisted
		return nil
	case err != nil:
		return err
	case same != nil:
		l.Unchanged++
		return nil
	}
	if _, err := insert(tx, row.Firearm, l.By, l.ID); err != nil {
		return err
	}
	l.Added++
	return nil
}

// Resume finishes imports that a crash interrupted. The node calls it when it starts.
func (s *Service) Resume(ctx context.Context) error {
	s.importing.Lock()
	defer s.importing.Unlock()
	var open []*load
	err := s.desk.Store.View(func(tx *store.Tx) error {
		for _, l := range loads.By(tx, "unfinished", "unfinished") {
			open = append(open, l)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("interrupted imports: %w", err)
	}
	for _, l := range open {
		var file []byte
		err := s.desk.Store.View(func(tx *store.Tx) (err error) {
			file, err = tx.Blob(l.SHA256)
			return err
		})
		if err != nil {
			return fmt.Errorf("interrupted import %s: %w", l.ID, err)
		}
		p, err := parseCSV(file, l.Begun) // the clock of then: the file was found good by it
		if err != nil {
			return fmt.Errorf("interrupted import %s: %w", l.ID, err)
		}
		if _, err := s.finish(ctx, l.ID, p.Rows); err != nil {
			return err
		}
	}
	return nil
}
