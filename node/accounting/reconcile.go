package accounting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"proofmark/crypto/proof"
	"proofmark/node/desk"
	"proofmark/protocol"
)

// patience is how often a question for a page is asked again after the connection failed.
const patience = 5

// Reconcile compares this country's log of the channels with a member with that member's, whose statement is fetched now. A failure of the connection
// goes on where it broke off. progress is told the entries of the member's log that were gone through, as if its four lanes were one.
func (s *Service) Reconcile(ctx context.Context, who desk.Actor, with protocol.Country, progress func(done, total int64)) (*proof.Reconciliation, error) {
	if err := s.oversee(ctx, who, with, "log reconciled with that of a member"); err != nil {
		return nil, err
	}
	if err := s.checkCountry(with); err != nil {
		return nil, err
	}
	if s.o.Fetch == nil {
		return nil, desk.Conflict("this node has no network: compare the files of `audit statement` instead")
	}
	trust, err := s.trust()
	if err != nil {
		return nil, err
	}
	theirs, err := s.fetch(ctx, trust, with, progress)
	if err != nil {
		return nil, err
	}
	own := &proof.Gathered{}
	for ask := (&proof.Ask{Lane: proof.Lanes[0]}); ask != nil; {
		page, _, err := s.page(with, *ask)
		if err != nil {
			return nil, err
		}
		ask = following(page)
		if err := own.Add(page); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	r, err := proof.Reconcile(own, theirs)
	if err != nil {
		return nil, fmt.Errorf("compare with %s: %w", with, err)
	}
	return r, nil
}

// fetch asks a member for its statement, page after page.
func (s *Service) fetch(ctx context.Context, trust *proof.Trust, with protocol.Country, progress func(done, total int64)) (*proof.Gathered, error) {
	g := &proof.Gathered{}
	failures := 0
	for !g.Complete() {
		ask := g.Due()
		raw, err := json.Marshal(ask)
		if err != nil {
			return nil, err
		}
		signed, err := s.o.Fetch(ctx, with, raw)
		if err != nil {
			if failures++; failures >= patience || ctx.Err() != nil {
				return nil, desk.Conflict("%s did not give its statement: %v. Ask again when it is connected, or compare files that both sides make with `audit statement`", with, err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(failures) * time.Second):
			}
			continue
		}
		failures = 0
		p, err := trust.OpenPage(string(signed))
		if err == nil && (p.From != with || p.With != s.o.Desk.Country || ask.Size != 0 && p.Size != ask.Size) {
			err = errors.New("it is a page of another statement")
		}
		if err == nil {
			err = g.Add(p)
		}
		if err != nil {
			return nil, fmt.Errorf("statement of %s: %w", with, err)
		}
		progress(g.Through()/int64(len(proof.Lanes)), g.Size)
	}
	progress(g.Size, g.Size)
	return g, nil
}
