package protocol

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func sampleStanding() Standing {
	hash := strings.Repeat("a", 64)
	return Standing{From: "PT", To: "ES", Nonce: strings.Repeat("0", StandingNonce), At: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Checkpoint: "proofmark.PT\n0\nx\n", Shown: []string{},
		Channels: []ChannelStanding{{Channel: Urgent}, {Channel: Bulk, Sent: 3, SentHead: hash, Received: 1, ReceivedHead: hash}},
		Restored: &Restored{ID: strings.Repeat("b", 32), Made: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), Checkpoint: "proofmark.PT\n0\nx\n"}}
}

func TestStandingsAreChecked(t *testing.T) {
	good := sampleStanding()
	b, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := DecodeStanding(b); err != nil || s.Channels[1].Sent != 3 || s.Restored.ID != good.Restored.ID {
		t.Fatalf("%+v, %v", s, err)
	}
	for name, change := range map[string]func(s *Standing){
		"to itself":                func(s *Standing) { s.To = s.From },
		"no nonce":                 func(s *Standing) { s.Nonce = "" },
		"a nonce of other letters": func(s *Standing) { s.Nonce = strings.Repeat("Z", StandingNonce) },
		"no checkpoint":            func(s *Standing) { s.Checkpoint = "" },
		"one channel":              func(s *Standing) { s.Channels = s.Channels[:1] },
		"channels exchanged":       func(s *Standing) { s.Channels[0], s.Channels[1] = s.Channels[1], s.Channels[0] },
		"a number without a head":  func(s *Standing) { s.Channels[0].Sent = 1 },
		"a head without a number":  func(s *Standing) { s.Channels[0].ReceivedHead = strings.Repeat("a", 64) },
		"a head that is no hash":   func(s *Standing) { s.Channels[1].SentHead = "x" },
		"too much shown":           func(s *Standing) { s.Shown = make([]string, maxShown+1) },
		"too long shown":           func(s *Standing) { s.Shown = []string{strings.Repeat("x", maxShownSize+1)} },
		"a restore without an id":  func(s *Standing) { s.Restored.ID = "" },
	} {
		bad := sampleStanding()
		change(&bad)
		b, err := json.Marshal(bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeStanding(b); !errors.Is(err, ErrBadMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{`{}`, `{"restore":"x"}`, `{"restore":"` + strings.Repeat("a", 32) + `","channel":"slow"}`, `{"restore":"` + strings.Repeat("a", 32) + `","more":1}`} {
		if _, err := DecodeRestoreAsk([]byte(bad)); !errors.Is(err, ErrBadMessage) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if a, err := DecodeRestoreAsk([]byte(`{"restore":"` + strings.Repeat("a", 32) + `","channel":"bulk","after":7}`)); err != nil || a.After != 7 {
		t.Errorf("%+v, %v", a, err)
	}
	for _, bad := range []string{`[]`, `{"messages":[{"seq":0,"hash":"` + strings.Repeat("a", 64) + `"}]}`, `{"messages":[{"seq":1,"hash":"x"}]}`, `{"messages":[` + strings.Repeat(`{"seq":1,"hash":"`+strings.Repeat("a", 64)+`"},`, MaxRestoredPage) + `{"seq":1,"hash":"` + strings.Repeat("a", 64) + `"}]}`} {
		if _, err := DecodeRestorePage([]byte(bad)); !errors.Is(err, ErrBadMessage) {
			t.Errorf("%.80s: %v", bad, err)
		}
	}
}

func FuzzDecodeStanding(f *testing.F) {
	b, err := json.Marshal(sampleStanding())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"from":"PT","to":"ES"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := DecodeStanding(b); err == nil && s.check() != nil || err != nil && !errors.Is(err, ErrBadMessage) {
			t.Errorf("%q: %v", b, err)
		}
	})
}

func FuzzDecodeRestorePage(f *testing.F) {
	f.Add([]byte(`{"messages":[{"seq":1,"hash":"` + strings.Repeat("a", 64) + `","bytes":"AAAA"}],"end":true}`))
	f.Add([]byte(`{"documents":[{"jws":"a.b.c","disclosures":[],"terms":{"handling":["H0"]}}],"last":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodeRestorePage(b)
		if err != nil && !errors.Is(err, ErrBadMessage) || err == nil && len(p.Messages)+len(p.Documents) > 2*MaxRestoredPage {
			t.Errorf("%q: %v", b, err)
		}
	})
}
