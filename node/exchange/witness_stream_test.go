package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"

	"proofmark/protocol"
)

// TestWitnessStreams talks over real hosts: question after question on one stream, and what a hostile side may not do.
func TestWitnessStreams(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	var served atomic.Int32
	for _, n := range f.nodes {
		n.witness = func(_ context.Context, from protocol.Country, ask []byte) ([]byte, error) {
			served.Add(1)
			if string(ask) == "fail" {
				return nil, errors.New("a fault of this node")
			}
			if string(ask) == "panic" {
				panic("in the answer")
			}
			return fmt.Appendf(nil, "%s asks %s", from, ask), nil
		}
	}
	f.start()
	pt := f.nodes["PT"]
	eventually(t, "PT and ES are connected", func() bool { return f.connected("PT", "ES") })
	var got []string
	var err error
	eventually(t, "a talk comes to its end", func() bool { // of two connections that crossed one is closed, and what began on it with it
		got = nil
		err = pt.x.AskWitness(t.Context(), "ES", func(answer []byte) ([]byte, error) {
			if answer != nil {
				got = append(got, string(answer))
			}
			if len(got) == 3 {
				return nil, nil
			}
			return fmt.Append(nil, len(got)), nil
		})
		return err == nil
	})
	if err != nil || strings.Join(got, ", ") != "PT asks 0, PT asks 1, PT asks 2" {
		t.Fatalf("%q, %v", got, err)
	}
	endless := 0
	err = pt.x.AskWitness(t.Context(), "ES", func([]byte) ([]byte, error) { endless++; return []byte("more"), nil })
	if err == nil || endless > maxWitnessRounds+1 {
		t.Errorf("%d questions on one stream, %v", endless, err)
	}
	for _, bad := range []string{"fail", "panic"} {
		if err := pt.x.AskWitness(t.Context(), "ES", func(a []byte) ([]byte, error) { return []byte(bad), nil }); err == nil {
			t.Errorf("%s: an answer came", bad)
		}
	}
	if err := pt.x.AskWitness(t.Context(), "FR", func([]byte) ([]byte, error) { return []byte("x"), nil }); err == nil {
		t.Error("a country that is no member was asked")
	}
	before := served.Load()
	raw := func(frames ...[]byte) {
		s, err := pt.x.link("ES").newest().NewStream(network.WithAllowLimitedConn(t.Context(), "test"))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Reset()
		if err := s.SetProtocol(WitnessProtocol); err != nil {
			t.Fatal(err)
		}
		p := within(lazily(s, WitnessProtocol), pt.x.pace.hello)
		for _, b := range frames {
			_ = protocol.WriteFrame(p, b)
		}
		for { // until the other side ends it
			if _, err := protocol.ReadFrame(p, MaxWitnessFrame); err != nil {
				return
			}
		}
	}
	raw([]byte("no hello"))
	raw(bytes.Repeat([]byte{'x'}, protocol.MaxHello+1))
	if served.Load() != before {
		t.Error("a question was answered without a greeting")
	}
	// More than a member may ask in a while is not answered, and a minute's worth of it is not served.
	refused := 0
	for range 60 {
		if err := pt.x.AskWitness(t.Context(), "ES", func(a []byte) ([]byte, error) {
			if a != nil {
				return nil, nil
			}
			return []byte("again"), nil
		}); err != nil {
			refused++
		}
	}
	if refused == 0 {
		t.Error("60 questions in a row were all answered")
	}
}
