package exchange

import "time"

// dialTimeout bounds one attempt to reach one address.
const dialTimeout = 10 * time.Second

// pace holds the exchange's times; tests shorten them.
type pace struct {
	hello     time.Duration // for the whole greeting, either side
	progress  time.Duration // without a single byte while a batch travels
	batch     time.Duration // for one batch, however slow the line
	answer    time.Duration // for the receiver to apply a batch and answer
	linger    time.Duration // a stream with nothing to send stays open this long
	idle      time.Duration // a receiver closes a silent stream after this; longer than linger
	dial      time.Duration // for all addresses of a member
	locate    time.Duration // for asking the other members
	busy      time.Duration // a second stream for a channel waits this long for the first to end
	yield     time.Duration // a bulk batch lets urgent ones go first for at most this long
	reserve   time.Duration // between looks at which relays a place is to be had
	reconcile time.Duration // between looks at which entries have begun or ended
	retryMin  time.Duration
	retryMax  time.Duration
	courtesy  time.Duration // of two nodes one dials at once, the other after this
	nudge     time.Duration // after a failed try, until a sign of life from the member allows another
	crossing  time.Duration // two hosts that dial each other get two connections within this
	slow      time.Duration // a batch that took longer makes its receiver a slow one
	rosters   time.Duration // between looks into the members' table for a new roster
	publish   time.Duration // between puts of what is in force into the members' table, which forgets after two days
}

// A batch of 4 MiB passes in the longest time allowed at 28 kbit/s.
var defaultPace = pace{
	hello:     10 * time.Second,
	progress:  30 * time.Second,
	batch:     20 * time.Minute,
	answer:    time.Minute,
	linger:    30 * time.Second,
	idle:      75 * time.Second,
	dial:      15 * time.Second,
	locate:    10 * time.Second,
	busy:      time.Second,
	yield:     5 * time.Second,
	reserve:   10 * time.Second,
	reconcile: 30 * time.Second,
	retryMin:  200 * time.Millisecond,
	retryMax:  time.Minute,
	courtesy:  time.Second,
	nudge:     5 * time.Second,
	crossing:  2 * time.Second,
	slow:      2 * time.Second,
	rosters:   10 * time.Minute,
	publish:   12 * time.Hour,
}

// backoff is the wait after so many failures in a row: it doubles from least to most, less a random part (chance in 0 to 1) of up to a
// half, so that members that failed together do not return together.
func backoff(failures int, least, most time.Duration, chance float64) time.Duration {
	d := least
	for i := 1; i < failures && d < most; i++ {
		d *= 2
	}
	d = min(d, most)
	return d - time.Duration(chance*float64(d)/2)
}
