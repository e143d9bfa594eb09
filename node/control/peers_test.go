package control

import (
	"strings"
	"testing"
	"time"

	"proofmark/node/dispatch"
	"proofmark/node/exchange"
)

// TestAStopIsToldInOwnWords: whatever the other side said last on the connection.
func TestAStopIsToldInOwnWords(t *testing.T) {
	p := Peer{PeerStatus: exchange.PeerStatus{Country: "ES", LastError: "refused by the other node: something", ToDo: "ask", NextTry: time.Unix(9, 0)}}
	if p.tell(nil); p.Stopped || p.ToDo != "ask" {
		t.Errorf("%+v", p)
	}
	p.tell(&dispatch.Stop{Peer: "ES", Text: "ES has signed two things"})
	if !p.Stopped || p.LastError != "the exchange is stopped: ES has signed two things" || !strings.Contains(p.ToDo, "audit query") || !p.NextTry.IsZero() {
		t.Errorf("%+v", p)
	}
}
