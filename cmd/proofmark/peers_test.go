package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"proofmark/node"
	"proofmark/node/budget"
	"proofmark/node/control"
	"proofmark/node/exchange"
	"proofmark/protocol"
)

// A member with which all is well takes one line; for others it is said what fails and what to do.
func TestPeersInWords(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	bare := []exchange.PeerStatus{
		{Country: "ES", Name: "OCN Madrid", Connected: true, Transport: "quic", LastContact: now,
			Channels: []exchange.ChannelStatus{{Channel: protocol.Urgent}, {Channel: protocol.Bulk}}},
		{Country: "FR", Name: "BCN Paris", LagSeconds: 3 * 3600, LastError: "nothing listens at its address: the other node may be down", ToDo: "ask the member whether its node runs",
			NextTry: now.Add(11 * time.Second), Channels: []exchange.ChannelStatus{{Channel: protocol.Urgent, Queued: 2, LagSeconds: 3 * 3600}, {Channel: protocol.Bulk, Queued: 70}}},
		{Country: "KE", Name: "NCB Nairobi", Connected: true, Transport: "relay", OtherRoster: "sha256:x", Sync: &exchange.SyncStatus{Delivered: 250, Total: 1000},
			LagSeconds: 5, LastError: "clocks differ\x1b[2J", Channels: []exchange.ChannelStatus{{Channel: protocol.Urgent, Queued: -1}, {Channel: protocol.Bulk, Queued: 750}}},
	}
	all := []control.Peer{}
	for _, p := range bare {
		all = append(all, control.Peer{PeerStatus: p})
	}
	all[2].Stopped = true
	all[0].Budgets = []budget.Spent{{Who: budget.Who{Country: "ES"}, What: "trace", Used: 3, Limit: 200, Per: 24 * time.Hour}, {Who: budget.Who{Country: "ES"}, What: "trace", Purpose: "missing-persons", Used: 1, Limit: 10, Per: 24 * time.Hour}}
	all[1].Budgets = []budget.Spent{{Who: budget.Who{Country: "FR"}, What: "scan", Purpose: "criminal-investigation", Used: 50, Limit: 50, Per: 24 * time.Hour, Refused: 7, Frees: now.Add(time.Hour)}}
	show := func(c peersCmd) string {
		t.Helper()
		list, empty, err := c.choose(all)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		writePeers(&out, list, empty, now)
		return out.String()
	}
	got := show(peersCmd{})
	for _, want := range []string{"ES       OCN Madrid   quic", "urgent 0, bulk 0", "urgent 2, bulk 70", "3.0 h", "in 12 s", "see below", "STOPPED, see below", "none before that", "ask the member whether its node runs", "relay", "urgent ?, bulk 750", "under a minute",
		"250 of 1000 documents (25 %)", "another version of the roster (sha256:x)", "clocks differ·[2J", "trace 4/210", "scan 50/50",
		"FR has used up its budget: scan 50 of 50 in a day for criminal-investigation; refused: 7."} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "ES has used up") {
		t.Errorf("a budget of which much is left is told as used up:\n%s", got)
	}
	if got := show(peersCmd{Country: "es"}); strings.Contains(got, "FR") || !strings.Contains(got, "ES") {
		t.Errorf("Spain alone:\n%s", got)
	}
	if got := show(peersCmd{Failing: true}); strings.Contains(got, "ES") || !strings.Contains(got, "FR") || !strings.Contains(got, "KE") {
		t.Errorf("those that fail:\n%s", got)
	}
	if got := show(peersCmd{Country: "ES", Failing: true}); !strings.Contains(got, "Nothing fails") {
		t.Errorf("nothing fails:\n%s", got)
	}
	if _, _, err := (&peersCmd{Country: "XX"}).choose(all); err == nil || !strings.Contains(err.Error(), "roster show") {
		t.Errorf("an unknown country: %v", err)
	}
}

// What doctor says of a member names what was last said on its connection once, and a stop is a fault even where the connection is up.
func TestMemberFindings(t *testing.T) {
	queued := []exchange.ChannelStatus{{Channel: protocol.Urgent, Queued: 2}}
	for name, c := range map[string]struct {
		peer  control.Peer
		grade node.Grade
		says  string
		do    string
	}{
		"well":    {control.Peer{PeerStatus: exchange.PeerStatus{Country: "ES", Connected: true, Transport: "quic"}}, node.Good, "Connected by quic, nothing waits for it.", ""},
		"failing": {control.Peer{PeerStatus: exchange.PeerStatus{Country: "ES", Connected: true, Transport: "quic", LastError: "clocks differ", ToDo: "set it"}}, node.Warn, "Connected by quic, nothing waits for it. Last error: clocks differ.", "set it"},
		"away":    {control.Peer{PeerStatus: exchange.PeerStatus{Country: "ES", Channels: queued, LastError: "no answer", ToDo: "ask it"}}, node.Warn, "Not connected, 2 documents waiting for it. Last error: no answer.", "If it lasts: ask it; meanwhile proofmark bundle export --to ES"},
		"stopped": {control.Peer{Stopped: true, PeerStatus: exchange.PeerStatus{Country: "ES", Connected: true, LastError: "the exchange is stopped: x", ToDo: "act"}}, node.Bad, "the exchange is stopped: x.", "act"},
	} {
		if f := memberFinding(c.peer); f.Grade != c.grade || f.Says != c.says || f.Do != c.do {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
