package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"proofmark/cmd/proofmark-soak/bureau"
	"proofmark/cmd/proofmark-soak/ledger"
	"proofmark/cmd/proofmark-soak/terrain"
	"proofmark/protocol"
)

// types are the documents whose number must agree with what people were told.
var types = []protocol.Type{protocol.TypeSignature, protocol.TypeTraceRequest, protocol.TypeTraceStatus, protocol.TypeTraceAnswer, protocol.TypeLead, protocol.TypeLeadAck, protocol.TypeFeedback,
	protocol.TypeWithdrawal}

// compare stops the nodes, reads their books and compares them; then it changes copies of the logs and sees that it is found.
func (s *soak) compare(ctx context.Context) error {
	s.say("stopping the nodes")
	for _, b := range s.bureaus {
		s.report.Starts += b.Starts()
	}
	if err := s.all(func(b *bureau.Bureau) error {
		if err := b.Stop(); err != nil {
			return fmt.Errorf("%s: %w", b.Country, err)
		}
		return terrain.Empty(b.Disk())
	}); err != nil {
		return err
	}
	s.report.Weather = map[string]int64{"connections": s.count.Connections.Load(), "datagrams": s.count.Datagrams.Load(), "flipped": s.count.Flipped.Load(),
		"repeated": s.count.Repeated.Load(), "replayed": s.count.Replayed.Load(), "delayed": s.count.Delayed.Load(), "lost": s.count.Lost.Load() + s.ground.Dropped}
	s.say("reading the books")
	books := map[protocol.Country]*ledger.Books{}
	var mu sync.Mutex
	err := s.all(func(b *bureau.Bureau) error {
		read, err := ledger.Read(ctx, s.folder(b))
		mu.Lock()
		defer mu.Unlock()
		books[b.Country] = read
		return err
	})
	if err != nil {
		return err
	}
	var findings []ledger.Finding
	s.report.Totals, findings = ledger.Compare(books)
	var acts []ledger.Act
	for _, b := range s.bureaus {
		for _, t := range types {
			n := s.load.Journal.Of(b.Country, t)
			acts = append(acts, ledger.Act{Country: b.Country, Type: t, Confirmed: n.Confirmed, Unknown: n.Unknown})
		}
	}
	s.report.Findings = append(append(s.report.Findings, findings...), ledger.CompareActs(books, acts)...)
	if s.report.Totals.Messages == 0 {
		return errors.New("not one message was sent: the run proves nothing")
	}
	return s.mutate(ctx)
}

func (s *soak) folder(b *bureau.Bureau) ledger.Folder {
	return ledger.Folder{Dir: b.Dir, Country: b.Country, Passphrase: b.Passphrase()}
}

func (s *soak) mutate(ctx context.Context) error {
	b := s.bureaus[0]
	scratch := filepath.Join(s.root, "mutations")
	defer os.RemoveAll(scratch)
	list, err := ledger.Mutate(ctx, s.folder(b), scratch, s.o.Seed)
	s.report.Mutations = list
	for _, m := range list {
		if m.Found == "" {
			s.report.Findings = append(s.report.Findings, ledger.Finding{Class: ledger.Tampered, Where: string(b.Country), Text: "a copy of the log verifies, in which " + m.Change})
		}
	}
	return err
}

// copyFolder copies files alone: a socket that a killed daemon left is none.
func copyFolder(to, from string) error {
	return filepath.WalkDir(from, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if e.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		if !e.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, b, 0o600)
	})
}
