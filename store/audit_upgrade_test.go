package store

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// Indexes of an earlier form are made anew when the folder is opened, also after a run that was broken off.
func TestIndexesOfAnEarlierFormAreMadeAnew(t *testing.T) {
	const entries = 2*auditPart + 700
	earlier := func(tx *Tx, form string, keepBlocks int64) error {
		for _, space := range []string{spaceBlock, spaceTimes, spaceEras} {
			for key := range tx.scan(space, "", false) {
				if space == spaceBlock && namedBy(key) < keepBlocks*timeBlock {
					continue
				}
				if err := tx.del(key); err != nil {
					return err
				}
			}
		}
		if form == "" {
			return tx.del(keyIndexed)
		}
		return tx.put(keyIndexed, []byte(form))
	}
	parent, dir := t, t.TempDir()
	s := open(t, testOptions(dir))
	for n := 0; n < entries; {
		update(t, s, func(tx *Tx) error {
			for end := min(n+1000, entries); n < end; n++ {
				e := entry("e", fmt.Sprintf("o%d", n%10))
				e.Counterpart, e.Time = []string{"ES", "FR"}[n%2], testStart.Add(time.Duration(n)*time.Hour)
				tx.Audit(e)
			}
			return nil
		})
	}
	update(t, s, func(tx *Tx) error { return tx.EraseAudit(256) })
	want, err := s.QueryAudit(background, AuditQuery{Actor: "ana", Counterpart: "FR", Limit: entries})
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(tx *Tx) error{
		"form 1": func(tx *Tx) error { return earlier(tx, "", 0) },
		"form 2": func(tx *Tx) error {
			for n := int64(0); n < entries; n += 10 { // as it was, one by one
				r, err := tx.auditRecord(n)
				if err != nil {
					return err
				}
				for _, key := range []string{auditIndexPrefix("a", r.Actor), auditIndexPrefix("k", r.Counterpart)} {
					if err := tx.put(key+newestFirst(n), present); err != nil {
						return err
					}
				}
			}
			for _, key := range []string{blockPrefix(blockKind, "exhibit") + newestFirst(0), blockPrefix(blockKind, "gone") + newestFirst(entries/timeBlock)} {
				if err := tx.put(key, present); err != nil {
					return err
				}
			}
			return tx.put(keyIndexed, []byte("2"))
		},
		"broken off at the beginning": func(tx *Tx) error { return earlier(tx, upgradeFrom+"0", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			update(t, s, spoil)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(parent, testOptions(dir))
			verify(t, s)
			got, err := s.QueryAudit(background, AuditQuery{Actor: "ana", Counterpart: "FR", Limit: entries})
			if err != nil || len(got) != len(want) {
				t.Errorf("%d entries, %v, want %d", len(got), err, len(want))
			}
		})
	}
	t.Run("broken off later", func(t *testing.T) {
		update(t, s, func(tx *Tx) error {
			for key := range tx.scan(spaceBlock, "", false) {
				if namedBy(key) >= auditPart {
					if err := tx.del(key); err != nil {
						return err
					}
				}
			}
			return tx.put(keyIndexed, []byte(upgradeFrom+"4096"))
		})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(parent, testOptions(dir))
		verify(t, s)
	})
	t.Run("a log that cannot be read", func(t *testing.T) {
		var kept []byte
		update(t, s, func(tx *Tx) (err error) {
			if kept, err = tx.get(spaceLeaf + number(5000)); err != nil {
				return err
			}
			if err := tx.del(spaceLeaf + number(5000)); err != nil {
				return err
			}
			return earlier(tx, "", 0)
		})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		var told bytes.Buffer
		opt := testOptions(dir)
		opt.Log = slog.New(slog.NewTextHandler(&told, nil))
		s = open(parent, opt)
		if !strings.Contains(told.String(), "not completed") {
			t.Errorf("the log says %q", told.String())
		}
		update(t, s, func(tx *Tx) error { return tx.put(spaceLeaf+number(5000), kept) })
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(parent, testOptions(dir))
		verify(t, s)
	})
	t.Run("a later form", func(t *testing.T) {
		update(t, s, func(tx *Tx) error { return tx.put(keyIndexed, []byte("4")) })
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := Open(testOptions(dir))
		if err == nil || !strings.Contains(err.Error(), "newer") {
			t.Errorf("opened: %v", err)
		}
	})
}
