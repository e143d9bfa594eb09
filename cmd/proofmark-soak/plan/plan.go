// Package plan draws the faults of a soak from a seed: what happens when, to whom, how strongly, for how long. It knows neither nodes nor networks, so
// that one seed always means the same plan.
package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Kind is a kind of fault.
type Kind string

// The kinds of faults. A way is one direction between two nodes.
const (
	Kill      Kind = "kill"      // kill -9 of A; its supervisor starts it again
	Partition Kind = "partition" // no packet between A and B
	Isolate   Kind = "isolate"   // no packet between A and anybody
	OneWay    Kind = "one-way"   // of what A sends to B, Strength is lost; the other direction is whole
	Delay     Kind = "delay"     // of up to a second on both ways between A and B
	Disorder  Kind = "disorder"  // between A and B: datagrams and connections overtake each other and come twice
	Flip      Kind = "flip"      // bits flipped in flight from A to B
	Replay    Kind = "replay"    // connections from A to B that ended or run are played to B once more
	Reserve   Kind = "reserve"   // free space of A falls below its reserve
	Full      Kind = "full"      // A's disk is full to the last byte
	Clock     Kind = "clock"     // A's clock jumps by Jump
)

// Kinds lists them all.
var Kinds = []Kind{Kill, Partition, Isolate, OneWay, Delay, Disorder, Flip, Replay, Reserve, Full, Clock}

// Event is one fault. A and B are nodes by number.
type Event struct {
	At       time.Duration `json:"at"` // from the start of the run
	For      time.Duration `json:"for"`
	Kind     Kind          `json:"kind"`
	A        int           `json:"a"`
	B        int           `json:"b"`                  // −1 where only A is meant
	Strength float64       `json:"strength,omitempty"` // 0 to 1
	Jump     time.Duration `json:"jump,omitempty"`
}

// String says the event on one line.
func (e Event) String() string {
	s := fmt.Sprintf("%v for %v: %s at %d", e.At.Round(time.Millisecond), e.For.Round(time.Millisecond), e.Kind, e.A)
	if e.B >= 0 {
		s += fmt.Sprintf(" towards %d", e.B)
	}
	if e.Jump != 0 {
		s += fmt.Sprintf(" by %v", e.Jump)
	}
	return s
}

// Between two faults pass up to twice usualGap; several run at the same time.
const (
	usualGap = 2500 * time.Millisecond
	longest  = 15 * time.Second
	shortest = 2 * time.Second
	// Idempotency keys are remembered for a day: a clock that jumped further would make a node forget one that a client still uses.
	furthest = 6 * time.Hour
)

// Draw plans the faults of a run of so long among so many nodes. Every kind comes once before any comes a second time.
func Draw(seed uint64, length time.Duration, nodes int) []Event {
	r := rand.New(rand.NewPCG(seed, 1))
	var out []Event
	var deck []Kind
	for at := usualGap / 2; at < length; at += time.Duration((0.2 + 1.6*r.Float64()) * float64(usualGap)) {
		if len(deck) == 0 {
			deck = slices.Clone(Kinds)
			r.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		}
		e := Event{At: at, Kind: deck[0], A: r.IntN(nodes), B: -1, For: shortest + time.Duration(r.Float64()*float64(longest-shortest)), Strength: 0.1 + 0.9*r.Float64()}
		deck = deck[1:]
		switch e.Kind {
		case Partition, OneWay, Delay, Disorder, Flip, Replay:
			e.B = (e.A + 1 + r.IntN(nodes-1)) % nodes
		case Clock:
			e.Jump = time.Duration((2*r.Float64() - 1) * float64(furthest)).Round(time.Second)
			if r.IntN(2) == 0 { // one that members bear with
				e.Jump /= 200
			}
		}
		e.For = min(e.For, length-at)
		out = append(out, e)
	}
	return out
}
