package exchange

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"proofmark/protocol"
)

// Errors of a greeting.
var (
	errVersion  = errors.New("another version of the exchange protocol")
	errClock    = errors.New("clocks differ")
	errIdentity = errors.New("the greeting does not fit the connection")
)

// refusedError is what the other side said when it would not go on.
type refusedError struct{ reason string }

func (e refusedError) Error() string { return "refused by the other node: " + e.reason }

// hello is what this node says first on a stream to a peer.
func (x *Exchange) hello(to protocol.Country, refusal string) protocol.Hello {
	return protocol.Hello{Version: protocol.ExchangeVersion, Country: x.o.Country, To: to, Roster: x.o.RosterHash(), Now: x.o.Now().UTC(),
		Refusal: printable(refusal, maxRefusal)}
}

// checkHello holds what a peer says against what its connection proves: remote is the member that the roster knows by the peer's ID.
// Another roster is no fault here: rosters spread over time.
func checkHello(h *protocol.Hello, remote *member, self protocol.Country, now time.Time) error {
	switch {
	case h.Refusal != "":
		return refusedError{printable(h.Refusal, maxRefusal)}
	case h.Version != protocol.ExchangeVersion:
		return fmt.Errorf("%w: %s speaks version %d, this node version %d; the older of the two must be updated", errVersion, remote.country, h.Version, protocol.ExchangeVersion)
	case h.Country != remote.country:
		return fmt.Errorf("%w: it says it is %.8q, its key is that of %s", errIdentity, h.Country, remote.country)
	case h.To != self:
		return fmt.Errorf("%w: it wants to speak with %.8q, this is %s", errIdentity, h.To, self)
	}
	if err := h.CheckSkew(now); err != nil {
		return fmt.Errorf("%w: %w; set the clock of the one that is wrong", errClock, err)
	}
	return nil
}

// printable cuts foreign text to most bytes and takes out what a terminal could obey.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}
