package main

import (
	"fmt"
	"io"
	"time"

	"proofmark/protocol"
)

// parseDay accepts a date, which is that day in UTC wherever the command is typed, as in a file of firearm records; or a time.
func parseDay(s string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	return parseTime(s)
}

// endOf is the last second of a day that was written as a date; a time stays what it is.
func endOf(t time.Time, written string) time.Time {
	if _, err := time.Parse(time.DateOnly, written); err != nil {
		return t
	}
	return t.AddDate(0, 0, 1).Add(-time.Second)
}

// parseInterval reads two flags' values as an interval: a date stands for the whole day, and a missing end is that of the beginning.
func parseInterval(fromFlag, from, toFlag, to string, parse func(string) (time.Time, error)) (protocol.Interval, error) {
	var i protocol.Interval
	var err error
	if i.From, err = parse(from); err != nil {
		return i, fmt.Errorf("%s: %w", fromFlag, err)
	}
	if to == "" {
		i.To = endOf(i.From, from)
		return i, nil
	}
	if i.To, err = parse(to); err != nil {
		return i, fmt.Errorf("%s: %w", toFlag, err)
	}
	i.To = endOf(i.To, to)
	if err := i.Check(); err != nil {
		return i, fmt.Errorf("%s, %s: %w", fromFlag, toFlag, err)
	}
	return i, nil
}

// span writes an interval; nothing for none.
func span(i *protocol.Interval) string {
	if i == nil || i.From.IsZero() {
		return ""
	}
	from, to := stamp(i.From), stamp(i.To)
	if from == to {
		return from
	}
	return from + " to " + to
}

// spell writes a duration as people say it: the field measures its work by these.
func spell(d time.Duration) string {
	switch {
	case d < 0:
		return "–" // a clock was set back between
	case d < time.Minute:
		return "under a minute"
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	}
	return fmt.Sprintf("%.1f days", d.Hours()/24)
}

// event is one line of a timeline.
type event struct {
	what string
	at   time.Time
	by   string
}

// timeline prints events with the time between each and the one before.
func timeline(w io.Writer, events []event) {
	rows := make([][]string, len(events))
	for i, e := range events {
		between := ""
		if i > 0 {
			between = spell(e.at.Sub(events[i-1].at))
		}
		rows[i] = []string{stamp(e.at), e.what, orDash(e.by), between}
	}
	table(w, "Nothing happened yet.", []string{"TIME", "EVENT", "BY", "AFTER"}, rows)
}

// count writes a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
