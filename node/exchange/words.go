package exchange

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"

	"github.com/libp2p/go-libp2p/core/network"
	p2pprotocol "github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multistream"

	"proofmark/node/dispatch"
	"proofmark/protocol"
)

// Things a person can do about what fails.
const (
	doReach   = "ask the member whether its node runs; if it does, compare its address in `proofmark roster show` with where it listens, and let UDP and TCP of that port through both firewalls"
	doAddress = "ask the member for its address; its roster entry has to name it"
	doRoster  = "compare the roster versions on both sides (`proofmark roster show`); the older side installs the newer one; who was suspended asks the key holders"
	doUpdate  = "update the older of the two nodes"
	doClock   = "set the clock of the machine that is wrong (NTP); `proofmark doctor` shows this one's"
	doCall    = "call the member: its node rewrote or lost what both sides had signed; `proofmark audit query` shows the entry, and nothing more is taken on this channel until it is repaired"
	doMember  = "tell the member: its node breaks the protocol or is used against it; `proofmark audit query` shows what was refused"
	doQuota   = "update this node, if `proofmark audit query` shows documents of a type that it does not know; otherwise tell the member"
	doStopped = "what the message says; `proofmark audit query --text stopped` shows both signed statements"
	doWait    = "nothing: it is being asked for what came after the backup as soon as it is connected"
	doTheirs  = "ask the member: its own log says more"
	doOurs    = "see `proofmark doctor` and this node's log; it is tried again by itself, and everything waits in its queue"
)

// plain says an error of the network as an operator would.
func plain(err error) string {
	what, _ := explain(err)
	return what
}

// explain says an error as an operator would, and what can be done about it.
func explain(err error) (what, todo string) {
	var refused refusedError
	switch {
	case errors.As(err, new(multistream.ErrNotSupported[p2pprotocol.ID])):
		return "it does not speak this version of the exchange", doUpdate
	case errors.As(err, &refused):
		return refused.Error(), doTheirs
	case errors.Is(err, errVersion):
		return short(err), doUpdate
	case isAny(err, errClock, dispatch.ErrClock):
		return short(err), doClock
	case errors.Is(err, dispatch.ErrStopped):
		return short(err), doStopped
	case errors.Is(err, dispatch.ErrRestoring):
		return short(err), doWait
	case errors.Is(err, dispatch.ErrQuota):
		return short(err), doQuota
	case isAny(err, dispatch.ErrFork, dispatch.ErrFalseReceipt):
		return short(err), doCall
	case isAny(err, dispatch.ErrForged, protocol.ErrBadMessage, protocol.ErrFrameTooLarge, errBadAnswer, errChannel, errIdentity, errTooMany, errNoProgress):
		return short(err), doMember
	case errors.Is(err, dispatch.ErrNotMember):
		return short(err), doRoster
	case errors.Is(err, swarm.ErrNoAddresses):
		return "the roster gives no address for it, and no other member knows one", doAddress
	case errors.Is(err, swarm.ErrGaterDisallowedConnection):
		return "it is not an active member of the roster in force", doRoster
	case mentions(err, syscall.ECONNREFUSED):
		return "nothing listens at its address: the other node may be down", doReach
	case errors.Is(err, swarm.ErrAllDialsFailed), errors.Is(err, context.DeadlineExceeded), timedOut(err):
		return "no answer in time: the other node may be down, or a firewall stands between", doReach
	case errors.Is(err, network.ErrReset), errors.As(err, new(*network.ConnError)), errors.Is(err, io.ErrUnexpectedEOF), mentions(err, syscall.ECONNRESET),
		strings.Contains(err.Error(), "stateless reset"): // QUIC's answer for a connection of a process that is gone
		return "it closed the connection: its roster may not list this node, or list it as suspended, or it was just restarted", doRoster
	}
	return short(err), doOurs
}

// short is the first line of an error, fit for a terminal.
func short(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return printable(line, maxRefusal)
}

// mentions looks for an errno also in errors that carry it as text alone.
func mentions(err error, no syscall.Errno) bool {
	return errors.Is(err, no) || strings.Contains(err.Error(), no.Error())
}
