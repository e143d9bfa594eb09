package exchange

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"proofmark/crypto/roster"
	"proofmark/protocol"
)

// What the members' table holds. No serial number, signature hash or case reference is ever a key.
const (
	namespace       = "proofmark"
	rosterRecord    = "/" + namespace + "/roster/"    // and a version
	addressesRecord = "/" + namespace + "/addresses/" // and a country
)

// How much is put into the table, and by whom: a version is kept by the twenty members nearest to its key, and these few of all put it there, those whose
// countries come first by a hash with the version's. So a version costs the table a hundred copies, however many members there are.
const (
	versionsKept = 8
	putters      = 5
)

// records decides what the members' table holds on this node: versions of the chain in force and the one that follows, and announcements that verify.
type records struct{ x atomic.Pointer[Exchange] }

var errNoRecord = errors.New("the members' table holds rosters and announced addresses only")

// Validate implements the table's validator, for what others put here and for what is found.
func (r *records) Validate(key string, value []byte) error {
	x := r.x.Load()
	if x == nil || x.o.Rosters == nil {
		return errNoRecord
	}
	if version, ok := strings.CutPrefix(key, rosterRecord); ok {
		return x.validateRoster(version, value)
	}
	if country, ok := strings.CutPrefix(key, addressesRecord); ok {
		if len(value) > roster.MaxAddressRecord {
			return fmt.Errorf("announcement of %d bytes", len(value))
		}
		a, err := x.o.Rosters.CheckAddresses(string(value))
		if err == nil && a.Country != country {
			err = fmt.Errorf("announcement of %s under %.8q", a.Country, country)
		}
		return err
	}
	return errNoRecord
}

func (x *Exchange) validateRoster(version string, value []byte) error {
	v, err := strconv.Atoi(version)
	if err != nil || strconv.Itoa(v) != version {
		return fmt.Errorf("%.20q is no version", version)
	}
	got, verdict, err := x.o.Rosters.Judge(value)
	switch {
	case err != nil:
		return err
	case got != v:
		return fmt.Errorf("version %d under %d", got, v)
	case verdict == InForce:
		return nil
	case verdict == Foreign:
		return errors.New("a roster that this node cannot verify")
	}
	x.learnSoon(value)
	if verdict == Beside {
		return errors.New("another roster beside the one in force")
	}
	return nil
}

// learnSoon learns a version that was met in the table, apart from whoever brought it.
func (x *Exchange) learnSoon(document []byte) {
	if !x.begin() {
		return
	}
	document = bytes.Clone(document)
	go func() {
		defer x.works.Done()
		x.learn([][]byte{document})
	}()
}

func (x *Exchange) learn(documents [][]byte) (learned int) {
	ctx, cancel := context.WithTimeout(x.life, x.pace.answer)
	defer cancel()
	learned, err := x.o.Rosters.Learn(ctx, "the members' table", documents)
	if err != nil && x.life.Err() == nil {
		x.o.Log.Info("roster from the members' table refused", "err", err)
	}
	return learned
}

// Select implements the table's validator: the version in force here goes first, the newer announcement too.
func (r *records) Select(key string, values [][]byte) (int, error) {
	x := r.x.Load()
	if x == nil || x.o.Rosters == nil || len(values) == 0 {
		return 0, errNoRecord
	}
	best := 0
	if strings.HasPrefix(key, rosterRecord) {
		for i, v := range values {
			if _, verdict, err := x.o.Rosters.Judge(v); err == nil && verdict == InForce {
				return i, nil
			}
		}
		return best, nil
	}
	var newest time.Time
	for i, v := range values {
		if a, err := x.o.Rosters.CheckAddresses(string(v)); err == nil && a.Issued.After(newest) {
			best, newest = i, a.Issued
		}
	}
	return best, nil
}

// spread tells the members what is new here, looks into the table for what is new elsewhere, and keeps the table filled.
func (x *Exchange) spread() {
	look := time.NewTicker(x.pace.rosters)
	defer look.Stop()
	var told string
	published := map[string]time.Time{}
	due := true // until there is somebody to ask
	for {
		select {
		case <-x.life.Done():
			return
		case <-look.C:
			due = true
		case <-x.tidings:
		}
		if news := x.news(); news != told {
			told, due = news, true
			for _, l := range x.all() {
				l.tidings.tender.wake()
			}
		}
		if !due || x.dht.RoutingTable().Size() == 0 {
			continue
		}
		due = false
		if err := contained(func() error {
			x.findRosters()
			x.publish(published)
			return nil
		}); err != nil {
			x.o.Log.Error("the members' table", "err", err)
		}
	}
}

// news identifies what there is to tell.
func (x *Exchange) news() string {
	return x.o.RosterHash() + x.known().digest
}

func (x *Exchange) all() []*link {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := make([]*link, 0, len(x.links))
	for _, l := range x.links {
		out = append(out, l)
	}
	return out
}

// findRosters follows the table from the version in force on.
func (x *Exchange) findRosters() {
	for x.life.Err() == nil {
		ctx, cancel := context.WithTimeout(x.life, x.pace.locate)
		b, err := x.dht.GetValue(ctx, rosterRecord+strconv.Itoa(len(x.o.Rosters.Hashes())+1))
		cancel()
		if err != nil || x.learn([][]byte{b}) == 0 {
			return
		}
	}
}

// findAddresses learns what a member announced.
func (x *Exchange) findAddresses(ctx context.Context, c protocol.Country) {
	if x.o.Rosters == nil {
		return
	}
	if b, err := x.dht.GetValue(ctx, addressesRecord+string(c)); err == nil {
		if err := x.o.Rosters.LearnAddresses(ctx, "the members' table", []string{string(b)}); err != nil {
			x.o.Log.Info("announced addresses refused", "peer", c, "err", err)
		}
	}
}

// publish puts the last versions and the announcements in force into the table, each as often as it is forgotten there. Of many members only some do it for
// rosters; announcements are their member's own.
func (x *Exchange) publish(published map[string]time.Time) {
	put := func(key, mark string, value func() ([]byte, error)) {
		if at, ok := published[key+mark]; ok && time.Since(at) < x.pace.publish {
			return
		}
		b, err := value()
		if err == nil && b != nil {
			ctx, cancel := context.WithTimeout(x.life, x.pace.locate)
			defer cancel()
			err = x.dht.PutValue(ctx, key, b)
		}
		if err != nil {
			x.o.Log.Debug("put into the members' table", "key", key, "err", err)
			return
		}
		published[key+mark] = time.Now()
	}
	hashes := x.o.Rosters.Hashes()
	for v := max(1, len(hashes)-versionsKept+1); v <= len(hashes); v++ {
		put(rosterRecord+strconv.Itoa(v), hashes[v-1], func() ([]byte, error) {
			if !x.puts(hashes[v-1]) {
				return nil, nil
			}
			docs, err := x.o.Rosters.After(v - 1)
			if err != nil || len(docs) == 0 || len(docs[0]) > roomInTable {
				return nil, err
			}
			return docs[0], nil
		})
	}
	for _, r := range x.o.Rosters.Announcements() {
		if a, err := x.o.Rosters.CheckAddresses(r); err == nil && a.Country == string(x.o.Country) {
			put(addressesRecord+a.Country, r, func() ([]byte, error) { return []byte(r), nil })
		}
	}
}

// roomInTable bounds a version in the table, whose messages have 4 MiB at most; larger ones travel between members alone.
const roomInTable = 3 << 20

// puts tells whether this node is one of those that put a version into the table.
func (x *Exchange) puts(hash string) bool {
	place := func(c protocol.Country) string {
		sum := sha256.Sum256([]byte(hash + string(c)))
		return string(sum[:])
	}
	ours, before := place(x.o.Country), 0
	for _, l := range x.all() {
		if place(l.country) < ours {
			before++
		}
	}
	return before < putters
}
