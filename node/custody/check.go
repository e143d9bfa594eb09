package custody

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// Check is what a holder proved when it was last asked for every copy of its newest chain.
type Check struct {
	Holder protocol.Country `json:"holder"`
	At     time.Time        `json:"at"`              // of the last try
	Asked  time.Time        `json:"asked,omitzero"`  // when it last answered for all of them, well or not
	Proved time.Time        `json:"proved,omitzero"` // when it last proved all of them
	Files  int              `json:"files"`           // of the chain
	Good   int              `json:"good"`            // of these it proved, in the last try
	Faults []string         `json:"faults,omitempty"`
	Silent string           `json:"silent,omitempty"` // why it could not be asked, or would not answer
}

// Checks holds the last check of each holder.
var Checks = store.NewCollection[Check]("custody-check")

// When holders are asked, and after how long without a proof that is an alarm.
const (
	checkEvery = 24 * time.Hour
	checkAgain = time.Hour // after a try that was not answered
	checkLate  = 7 * 24 * time.Hour
	lookEach   = time.Minute // of the wall clock
)

func checkOf(tx *store.Tx, holder protocol.Country) (*Check, error) {
	c, err := Checks.Get(tx, string(holder))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return c, err
}

// due tells whether a holder is to be asked now. chain is what it has confirmed, oldest first.
func due(now time.Time, chain []*Confirmed, c *Check) bool {
	switch {
	case c == nil, now.Before(c.At.Add(-time.Hour)): // the clock was set back
		return true
	case c.Silent != "":
		return now.Sub(c.At) >= checkAgain
	case len(c.Faults) > 0 && slices.ContainsFunc(chain, func(x *Confirmed) bool { return x.At.After(c.At) }): // sent again
		return true
	}
	return now.Sub(c.At) >= checkEvery
}

// alarm says what is wrong with what a holder keeps; "" where nothing is.
func alarm(now time.Time, chain []*Confirmed, c *Check) string {
	holder := chain[0].Holder
	if c != nil && len(c.Faults) > 0 {
		return fmt.Sprintf("%s does not have what it signed for: %s", holder, strings.Join(c.Faults, "; "))
	}
	since := chain[0].At
	why := "it was not asked"
	if c != nil {
		if c.Proved.After(since) {
			since = c.Proved
		}
		if c.Silent != "" {
			why = c.Silent
		}
	}
	if d := now.Sub(since); d >= checkLate {
		return fmt.Sprintf("%s has not proved for %d days that it keeps this node's backups: %s", holder, int(d/(24*time.Hour)), why)
	}
	return ""
}

// Alarms says what is wrong with copies at holders; reading it needs no person.
func (s *Service) Alarms() (out []string, err error) {
	err = s.o.Desk.Store.View(func(tx *store.Tx) error {
		out = nil
		all, err := newestChains(tx)
		for _, holder := range slices.Sorted(maps.Keys(all)) {
			c, cerr := checkOf(tx, holder)
			err = errors.Join(err, cerr)
			if text := alarm(tx.Now(), all[holder], c); text != "" {
				out = append(out, text)
			}
		}
		return err
	})
	return out, err
}

// Check asks holders, or with none named all that have confirmed copies, to prove that they have them.
func (s *Service) Check(ctx context.Context, who desk.Actor, codes []string) ([]Check, error) {
	var wanted []protocol.Country
	if len(codes) > 0 {
		var err error
		if wanted, err = s.holders(codes); err != nil {
			return nil, err
		}
	}
	entry := protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActAdminister, Ground: "policy"},
		AuditBody: protocol.AuditBody{Kind: "custody", Event: "holders are asked for proof", Details: map[string]string{"holders": strings.Join(codes, " ")}}}
	chains, err := desk.Read(ctx, s.o.Desk, manage(who), entry, func(tx *store.Tx) (map[protocol.Country][]*Confirmed, error) {
		all, err := newestChains(tx)
		for _, c := range wanted {
			if err == nil && all[c] == nil {
				err = desk.NotFound("%s has confirmed no copy: `proofmark custody status` shows who has", c)
			}
		}
		return all, err
	})
	if err != nil {
		return nil, err
	}
	if len(wanted) == 0 {
		wanted = slices.Sorted(maps.Keys(chains))
	}
	out := []Check{}
	for _, c := range wanted {
		r, err := s.check(ctx, c, chains[c], false)
		if err != nil {
			return nil, err
		}
		out = append(out, *r)
	}
	return out, nil
}

// Run asks every holder daily, and removes what was kept for its time. It goes on until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEach)
	defer tick.Stop()
	for {
		if err := errors.Join(s.Expire(ctx), s.Round(ctx)); err != nil && ctx.Err() == nil {
			s.o.Log.Error("custody", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Round asks those holders that are due.
func (s *Service) Round(ctx context.Context) error {
	asked, err := s.due()
	if err != nil {
		return err
	}
	var faults []error
	for _, holder := range slices.Sorted(maps.Keys(asked)) {
		_, err := s.check(ctx, holder, asked[holder], true)
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// due lists the holders that are to be asked now, with the chains that they have confirmed.
func (s *Service) due() (map[protocol.Country][]*Confirmed, error) {
	asked := map[protocol.Country][]*Confirmed{}
	err := s.o.Desk.Store.View(func(tx *store.Tx) error {
		all, err := newestChains(tx)
		for holder, chain := range all {
			c, cerr := checkOf(tx, holder)
			err = errors.Join(err, cerr)
			if due(tx.Now(), chain, c) {
				asked[holder] = chain
			}
		}
		return err
	})
	return asked, err
}

// check asks one holder for every copy of a chain and keeps what came of it. With unlessAsked a holder whom a person has asked meanwhile is not asked again;
// what came of that is nil then.
func (s *Service) check(ctx context.Context, holder protocol.Country, chain []*Confirmed, unlessAsked bool) (*Check, error) {
	s.asking.Lock()
	defer s.asking.Unlock()
	if unlessAsked {
		if still, err := s.due(); err != nil || still[holder] == nil {
			return nil, err
		}
	}
	out := &Check{Holder: holder, Files: len(chain)}
	for _, c := range chain {
		fault, err := s.ask(ctx, c)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		switch {
		case err != nil:
			out.Silent = fmt.Sprintf("%s: %v", c.Name, err)
		case fault != "":
			out.Faults = append(out.Faults, c.Name+": "+fault)
		default:
			out.Good++
		}
		if err != nil {
			break
		}
	}
	return out, s.keepCheck(ctx, out)
}

// ask has a holder prove one copy, by a block that nobody could know before.
func (s *Service) ask(ctx context.Context, c *Confirmed) (fault string, err error) {
	root, err := hex.DecodeString(c.Root)
	if err != nil || len(root) != tlog.HashSize {
		return "", errors.New("this node does not know what to ask for: `proofmark custody send FOLDER` once more, while the folder is there")
	}
	block, err := rand.Int(s.o.Random, big.NewInt(blocks(c.Size)))
	if err != nil {
		return "", err
	}
	p, err := s.o.Ask(ctx, c.Holder, Question{SHA256: c.SHA256, Block: block.Int64()}, c.Size)
	switch {
	case err != nil:
		return "", err
	case p.Missing != "":
		return p.Missing, nil
	}
	if err := checkProof(tlog.Hash(root), c.Size, block.Int64(), p.Path, p.Block); err != nil {
		return err.Error(), nil
	}
	return "", nil
}

// keepCheck keeps a check, with an entry in the log where the holder answered or its silence is news.
func (s *Service) keepCheck(ctx context.Context, c *Check) error {
	return s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		before, err := checkOf(tx, c.Holder)
		if err != nil {
			return err
		}
		c.At = tx.Now()
		if before != nil {
			c.Asked, c.Proved = before.Asked, before.Proved
		}
		if c.Silent == "" {
			c.Asked = c.At
		}
		if c.Good == c.Files {
			c.Proved = c.At
		}
		if c.Silent != "" && len(c.Faults) == 0 && before != nil { // what was found stands until the holder proves otherwise
			c.Faults = before.Faults
		}
		if c.Silent == "" || before == nil || before.Silent == "" {
			tx.Audit(checkEntry(c))
		}
		return Checks.Put(tx, string(c.Holder), c)
	})
}

func checkEntry(c *Check) protocol.AuditEntry {
	e := protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActAdminister, Counterpart: string(c.Holder), Decision: "permit", Ground: "custody"},
		AuditBody: protocol.AuditBody{Actor: desk.Node.Name, Kind: "custody", Object: string(c.Holder), Event: "the holder proved that it has its copies",
			Details: map[string]string{"files": strconv.Itoa(c.Files), "proved": strconv.Itoa(c.Good)}}}
	switch {
	case len(c.Faults) > 0:
		e.Decision, e.Event = "deny", "the holder does not have what it signed for"
		e.Details["faults"] = fmt.Sprintf("%.1000s", strings.Join(c.Faults, "; "))
	case c.Silent != "":
		e.Decision, e.Event = "deny", "the holder gave no proof"
		e.Details["why"] = fmt.Sprintf("%.300s", c.Silent)
	}
	return e
}
