package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/dispatch"
	"proofmark/node/exchange"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

const (
	sending, receiving = protocol.Country("PT"), protocol.Country("ES")
)

// must is for what the program itself made: it cannot fail unless the program is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// keysOf makes a country's keys, the same in both processes.
func keysOf(c protocol.Country) *crypto.Keys {
	return must(crypto.GenerateKeys(mathrand.NewChaCha8([32]byte{c[0], c[1]})))
}

// rosterWith lists both countries; address is where the receiver listens.
func rosterWith(address ...string) *roster.Roster {
	now := time.Now()
	holder := must(crypto.GenerateKeys(mathrand.NewChaCha8([32]byte{1})))
	d := must(roster.Create("bench", []roster.Holder{{Name: "holder", Key: holder.SigningJWK()}}, 1, now, now.AddDate(1, 0, 0)))
	for _, c := range []protocol.Country{sending, receiving} {
		k := keysOf(c)
		m := roster.Member{Country: string(c), Name: "NCB " + string(c), PeerIDs: []string{must(peer.IDFromPrivateKey(k.HostKey())).String()},
			SigningKeys: []json.RawMessage{k.SigningJWK()}, SealingKeys: []json.RawMessage{k.SealingJWK()}, LogKey: k.LogVerifierKey("proofmark." + string(c)),
			ValidFrom: now.Add(-time.Hour), ValidUntil: now.AddDate(1, 0, 0)}
		if c == receiving {
			m.Addresses = address
		}
		entry := must(roster.SignMember(m, k.Signer()))
		if err := d.Add(entry, now); err != nil {
			panic(err)
		}
	}
	return d.Roster()
}

// bureau is what a node has of the exchange: store, documents and network, with the default policy.
type bureau struct {
	store    *store.Store
	dispatch *dispatch.Dispatch
	exchange *exchange.Exchange
	stop     context.CancelFunc
	ended    chan error
}

// postbox tells what receipts acknowledge, once they are durable.
type postbox struct {
	*dispatch.Dispatch
	acknowledged func(upTo uint64)
}

// AcceptReceipt returns when what the receipt acknowledges is durable.
func (p postbox) AcceptReceipt(ctx context.Context, from protocol.Country, receipt string) error {
	if err := p.Dispatch.AcceptReceipt(ctx, from, receipt); err != nil {
		return err
	}
	b, _, err := crypto.Unverified(receipt, crypto.TypeReceipt, 2*protocol.MaxReceipt)
	if err != nil {
		return err
	}
	r, err := protocol.DecodeReceipt(b)
	if err == nil && p.acknowledged != nil {
		p.acknowledged(r.UpTo)
	}
	return err
}

func openBureau(c protocol.Country, r run, ro *roster.Roster, acknowledged func(uint64)) (*bureau, error) {
	k := keysOf(c)
	log := slog.New(slog.DiscardHandler)
	key := make([]byte, 32)
	s, err := store.Open(store.Options{Dir: filepath.Join(r.Dir, string(c)), Key: key, Now: time.Now, Random: rand.Reader,
		Signer: must(k.LogSigner("proofmark." + string(c))), Reserve: 64 << 20, Log: log})
	if err != nil {
		return nil, err
	}
	commits = s.Commits
	engine := policy.Default()
	b := &bureau{store: s, ended: make(chan error, 1)}
	current := func() *roster.Roster { return ro }
	b.dispatch = dispatch.New(dispatch.Options{Country: c, Store: s, Signer: k.Signer(), Policy: func() *policy.Engine { return engine }, Roster: current,
		Now: time.Now, Random: rand.Reader, Log: log, OnQueued: func(p protocol.Country, ch protocol.Channel) { b.exchange.Wake(p, ch) }})
	b.dispatch.Handle(protocol.TypeSignature, func(tx *store.Tx, in dispatch.Received) error {
		return tx.Put("held/"+in.Document.ID, in.Document.Body)
	})
	listen := "/ip4/127.0.0.1/udp/0/quic-v1"
	if r.Transport == "tcp" {
		listen = "/ip4/127.0.0.1/tcp/0"
	}
	b.exchange, err = exchange.New(exchange.Options{Country: c, HostKey: k.HostKey(), Listen: []string{listen}, Roster: current,
		RosterHash: func() string { return "bench" }, Mail: postbox{b.dispatch, acknowledged}, Now: time.Now, Log: log})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	go func() { b.ended <- b.exchange.Run(ctx) }()
	return b, nil
}

func (b *bureau) close() error {
	b.stop()
	if err := <-b.ended; err != nil {
		return err
	}
	return b.store.Close()
}

// proofmarkSender publishes signatures and waits for their receipts.
type proofmarkSender struct {
	*bureau
	body   *protocol.SignatureBody
	facts  dispatch.Facts
	issued uint64 // in the store's writer

	mu      sync.Mutex
	acked   uint64
	waiting map[uint64]chan struct{}
}

func sendProofmark(r run) (system, *receiver, error) {
	p, address, err := startReceiver(r, "begin")
	if err != nil {
		return nil, nil, err
	}
	s := &proofmarkSender{waiting: map[uint64]chan struct{}{}}
	s.body, s.facts = samplePublication() // once, as the other system's bytes: making its noise is no part of a delivery
	s.bureau, err = openBureau(sending, r, rosterWith(address), s.acknowledge)
	return s, p, err
}

func (s *proofmarkSender) acknowledge(upTo uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := s.acked + 1; n <= upTo; n++ {
		if c := s.waiting[n]; c != nil {
			close(c)
			delete(s.waiting, n)
		}
	}
	s.acked = max(s.acked, upTo)
}

func (s *proofmarkSender) deliver(ctx context.Context) error {
	var number uint64
	var draft *dispatch.Draft
	err := s.store.View(func(tx *store.Tx) (err error) { // as an acquisition does
		draft, err = s.dispatch.Draft(tx, protocol.TypeSignature, s.body, s.facts)
		return err
	})
	if err != nil {
		return err
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if err := s.dispatch.IssueDraft(tx, draft); err != nil {
			return err
		}
		s.issued++ // intents become messages in the order in which they are queued
		number = s.issued
		return nil
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.acked >= number {
		s.mu.Unlock()
		return nil
	}
	c := make(chan struct{})
	s.waiting[number] = c
	s.mu.Unlock()
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func receiveProofmark(r run) (ready string, stop func() error, err error) {
	b, err := openBureau(receiving, r, rosterWith(), nil)
	if err != nil {
		return "", nil, err
	}
	addresses := b.exchange.Addresses()
	if len(addresses) == 0 {
		return "", nil, fmt.Errorf("the receiver listens nowhere")
	}
	return addresses[0], b.close, nil
}
