// Package load does at each node what people do: it publishes signatures, asks and answers traces, releases and answers leads, withdraws, and keeps a
// journal of what the nodes have confirmed. It refuses to know of faults.
package load

import (
	"context"
	"errors"
	"sync"

	"proofmark/cmd/proofmark-soak/bureau"
	"proofmark/protocol"
)

// Tally is what became of the commands of one kind at one node.
type Tally struct {
	Confirmed int `json:"confirmed"` // the node said that it is done
	Refused   int `json:"refused"`   // the node said that it is not, and why
	Unknown   int `json:"unknown"`   // the run ended before the node answered
}

// Journal counts the commands of all nodes by the type of the document that each issues.
type Journal struct {
	mu       sync.Mutex
	tallies  map[protocol.Country]map[protocol.Type]*Tally
	refusals map[string]int // by their words
}

// NewJournal returns an empty journal.
func NewJournal() *Journal {
	return &Journal{tallies: map[protocol.Country]map[protocol.Type]*Tally{}, refusals: map[string]int{}}
}

// note writes down how a command ended, and returns whether it was done.
func (j *Journal) note(b *bureau.Bureau, t protocol.Type, err error) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.tallies[b.Country] == nil {
		j.tallies[b.Country] = map[protocol.Type]*Tally{}
	}
	n := j.tallies[b.Country][t]
	if n == nil {
		n = &Tally{}
		j.tallies[b.Country][t] = n
	}
	switch {
	case err == nil:
		n.Confirmed++
	case errors.Is(err, bureau.ErrGaveUp), errors.Is(err, context.Canceled):
		n.Unknown++
	default:
		n.Refused++
		j.refusals[string(t)+": "+err.Error()]++
	}
	return err == nil
}

// Of is what became of the commands of one kind at one node.
func (j *Journal) Of(c protocol.Country, t protocol.Type) Tally {
	j.mu.Lock()
	defer j.mu.Unlock()
	if n := j.tallies[c][t]; n != nil {
		return *n
	}
	return Tally{}
}

// Sums adds the tallies of all nodes.
func (j *Journal) Sums() map[protocol.Type]Tally {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := map[protocol.Type]Tally{}
	for _, of := range j.tallies {
		for t, n := range of {
			s := out[t]
			out[t] = Tally{s.Confirmed + n.Confirmed, s.Refused + n.Refused, s.Unknown + n.Unknown}
		}
	}
	return out
}

// Refusals are the words of the refusals, with how often each was said.
func (j *Journal) Refusals() map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := map[string]int{}
	for w, n := range j.refusals {
		out[w] = n
	}
	return out
}
