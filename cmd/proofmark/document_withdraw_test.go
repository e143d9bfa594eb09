package main

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"proofmark/node/dispatch"
	"proofmark/protocol"
)

func TestHelpNamesEveryReason(t *testing.T) {
	f, _ := reflect.TypeFor[withdrawalFlags]().FieldByName("Reason")
	for _, r := range protocol.WithdrawalReasons {
		if !strings.Contains(f.Tag.Get("help"), r) {
			t.Errorf("the help does not name %s", r)
		}
	}
}

func TestARecallTellsWhereEachHolderIs(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := &dispatch.Recall{Document: "0198", Type: protocol.TypeSignature, Reason: protocol.ReasonCourtOrder, By: "exam1", At: at, NeverSent: []string{"IT"}, Holders: []dispatch.Holder{
		{Peer: "DE", State: dispatch.HolderUntold},
		{Peer: "ES", State: dispatch.HolderErased, Told: at, At: at, Stays: []protocol.Remainder{{What: "lead", Reference: "ES-L-2026-000001", Ground: protocol.GroundOwnRecord, Note: "marked: source withdrawn"}}},
		{Peer: "FR", State: dispatch.HolderHolds, Told: at, At: at, Ground: "court\x1b 7", Stays: []protocol.Remainder{{What: "document", Ground: protocol.GroundLegalHold}}},
	}}
	var out bytes.Buffer
	printRecall(&out, r)
	for _, want := range []string{"COURT_ORDER", "had not left for IT", "not yet delivered", "confirmed erased", "lead ES-L-2026-000001 (marked: source withdrawn)", "court· 7", "document show 0198"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not told:\n%s", want, out.String())
		}
	}
	out.Reset()
	r.Holders = nil
	if printRecall(&out, r); !strings.Contains(out.String(), "No other country was ever sent it.") {
		t.Error(out.String())
	}
}
