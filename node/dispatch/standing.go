package dispatch

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"proofmark/crypto"
	"proofmark/protocol"
	"proofmark/store"
)

// Asked is a question for a peer's standing that is under way, and what was known when it was asked: an honest peer is at least there.
type Asked struct {
	peer   protocol.Country
	nonce  string
	before *protocol.Standing // this node's own view, from which the peer's is expected
	fetch  *fetch             // after this node's restore
}

// AskStanding makes the question: this node's own standing towards the peer, signed.
func (d *Dispatch) AskStanding(_ context.Context, peer protocol.Country) (*Asked, string, error) {
	nonce := make([]byte, protocol.StandingNonce/2)
	if _, err := io.ReadFull(d.Random, nonce); err != nil {
		return nil, "", fmt.Errorf("standing for %s: %w", peer, err)
	}
	a := &Asked{peer: peer, nonce: hex.EncodeToString(nonce)}
	err := d.Store.View(func(tx *store.Tx) (err error) {
		a.before, err = d.standing(tx, peer, a.nonce)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("standing for %s: %w", peer, err)
	}
	signed, err := d.signStanding(a.before)
	return a, signed, err
}

// standing gathers what this node says of itself to a peer.
func (d *Dispatch) standing(tx *store.Tx, peer protocol.Country, nonce string) (*protocol.Standing, error) {
	checkpoint, err := tx.Checkpoint()
	if err != nil {
		return nil, err
	}
	s := &protocol.Standing{From: d.Country, To: peer, Nonce: nonce, At: d.Now().UTC(), Checkpoint: string(checkpoint), Shown: []string{}}
	for _, ch := range protocol.Channels {
		out, err := tx.OutHead(string(peer), string(ch))
		if err != nil {
			return nil, err
		}
		in, err := tx.InHead(string(peer), string(ch))
		if err != nil {
			return nil, err
		}
		s.Channels = append(s.Channels, protocol.ChannelStanding{Channel: ch, Sent: out.Seq, SentHead: out.Head, Received: in.Seq, ReceivedHead: in.Head})
		manifest, err := getText(tx, rawManifest+string(peer)+"/"+string(ch))
		if err != nil {
			return nil, err
		}
		for _, j := range []string{manifest, string(out.Receipt)} {
			if j != "" {
				s.Shown = append(s.Shown, j)
			}
		}
	}
	if s.Seen, err = getText(tx, rawSeen+string(peer)); err != nil {
		return nil, err
	}
	own, err := d.restoring(tx, peer)
	if own != nil {
		s.Restored = &own.Restored
	}
	return s, err
}

func (d *Dispatch) signStanding(s *protocol.Standing) (string, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("standing for %s: %w", s.To, err)
	}
	return d.signer().Sign(crypto.TypeStanding, b)
}

func (d *Dispatch) openStanding(peer protocol.Country, signed string) (*protocol.Standing, error) {
	keys, err := d.keysOf(peer, d.Now())
	if err != nil {
		return nil, err
	}
	payload, _, err := crypto.Verify(signed, crypto.TypeStanding, keys, 2*protocol.MaxStanding)
	if err != nil {
		return nil, fmt.Errorf("standing of %s: %w: %w", peer, ErrForged, err)
	}
	s, err := protocol.DecodeStanding(payload)
	if err == nil && (s.From != peer || s.To != d.Country) {
		err = fmt.Errorf("standing of %s: %w: it is of %s for %s", peer, ErrForged, s.From, s.To)
	}
	return s, err
}

// AnswerStanding takes a peer's question: what it shows of this node's own signatures is held against the database, a declared restore is recorded, and
// this node's standing goes back. The peer's own claims are judged only where this node asks: then it knows what was before.
func (d *Dispatch) AnswerStanding(ctx context.Context, from protocol.Country, ask string) (string, error) {
	theirs, err := d.openStanding(from, ask)
	if err != nil {
		return "", d.refused(ctx, from, "standing", err)
	}
	var answer *protocol.Standing
	err = d.Store.Update(ctx, func(tx *store.Tx) error {
		if err := d.checkHere(tx, from, theirs); err != nil {
			return err
		}
		lost := ""
		if theirs.Restored != nil {
			if lost, err = d.declared(tx, from, theirs.Restored); err != nil {
				return err
			}
		}
		if answer, err = d.standing(tx, from, theirs.Nonce); err != nil {
			return err
		}
		if lost != "" {
			answer.Seen = lost
		}
		return d.noteCheckpoint(tx, from, theirs)
	})
	if err != nil {
		return "", fmt.Errorf("standing of %s: %w", from, err)
	}
	return d.signStanding(answer)
}

// TakeStanding takes the answer. It reports whether there is something to fetch, because this node was restored.
func (d *Dispatch) TakeStanding(ctx context.Context, a *Asked, answer string) (more bool, err error) {
	theirs, err := d.openStanding(a.peer, answer)
	if err == nil && theirs.Nonce != a.nonce {
		err = fmt.Errorf("standing of %s: %w: it answers another question", a.peer, ErrForged)
	}
	if err != nil {
		return false, d.refused(ctx, a.peer, "standing", err)
	}
	err = d.Store.Update(ctx, func(tx *store.Tx) error {
		own, err := d.restoring(tx, a.peer)
		if err != nil {
			return err
		}
		if own != nil {
			a.fetch = &fetch{restore: *own, theirs: theirs, signed: answer}
			return nil
		}
		if err := d.checkHere(tx, a.peer, theirs); err != nil {
			return err
		}
		if theirs.Restored == nil { // otherwise it asks this node itself
			if err := d.checkThere(tx, a, theirs, answer); err != nil {
				return err
			}
		}
		return d.noteCheckpoint(tx, a.peer, theirs)
	})
	if err != nil {
		return false, fmt.Errorf("standing of %s: %w", a.peer, err)
	}
	return a.fetch != nil, nil
}

// checkHere holds what a peer shows of this node's own signatures against the database: this node's state only grows, so whatever it has signed it must
// know. Where it does not, its database is older than what it said, and the exchange stops here, whoever showed it.
func (d *Dispatch) checkHere(tx *store.Tx, peer protocol.Country, theirs *protocol.Standing) error {
	if own, err := d.restoring(tx, peer); err != nil || own != nil {
		return err // a declared restore knows it
	}
	for _, signed := range theirs.Shown {
		what, err := d.forgotten(tx, peer, signed)
		if err != nil {
			return err
		}
		if what != "" {
			return d.stopHere(tx, peer, what, signed)
		}
	}
	if theirs.Seen == "" {
		return nil
	}
	size, root, err := d.openCheckpoint(d.Country, theirs.Seen)
	if err != nil {
		return nil //nolint:nilerr // what this node has not signed proves nothing about it
	}
	switch now, err := tx.AuditRootAt(size); {
	case errors.Is(err, store.ErrNotFound):
		return d.stopHere(tx, peer, fmt.Sprintf("its audit log had %d entries", size), theirs.Seen)
	case err != nil:
		return err
	case now != root:
		return d.stopHere(tx, peer, fmt.Sprintf("the first %d entries of its audit log were other ones", size), theirs.Seen)
	}
	return nil
}

func (d *Dispatch) stopHere(tx *store.Tx, peer protocol.Country, what, signed string) error {
	checkpoint, err := tx.Checkpoint()
	if err != nil {
		return err
	}
	return d.stop(tx, Stop{Peer: peer, Here: true, Evidence: []string{string(checkpoint), signed},
		Text: fmt.Sprintf("%s shows this node's own signature that %s: the database here is older than that, or a copy of it runs elsewhere; stop this node, and bring it back with `proofmark restore` from its newest backup (`proofmark backup FILE` makes one of this state if there is no newer)", peer, what)})
}

// forgotten says what a batch or receipt that this node signed proves, where the database does not know it; empty otherwise.
func (d *Dispatch) forgotten(tx *store.Tx, peer protocol.Country, signed string) (string, error) {
	if payload, ok := d.ownSigned(signed, crypto.TypeBatch); ok {
		m, err := protocol.DecodeManifest(payload)
		if err != nil || m.From != d.Country || m.To != peer {
			return "", nil
		}
		last := m.First + uint64(m.Count) - 1
		head, err := tx.OutHead(string(peer), string(m.Channel))
		if err != nil {
			return "", err
		}
		if last > head.Seq {
			return fmt.Sprintf("it had sent %d messages on the %s channel, here are %d", last, m.Channel, head.Seq), nil
		}
		hash, err := tx.MessageHash(string(peer), string(m.Channel), last)
		if errors.Is(err, store.ErrNotFound) { // from before a declared restore
			return "", nil
		}
		if err == nil && hash != m.Head {
			return fmt.Sprintf("message %d on the %s channel was another one", last, m.Channel), nil
		}
		return "", err
	}
	payload, ok := d.ownSigned(signed, crypto.TypeReceipt)
	if !ok {
		return "", nil
	}
	r, err := protocol.DecodeReceipt(payload)
	if err != nil || r.From != peer || r.To != d.Country {
		return "", nil
	}
	head, err := tx.InHead(string(peer), string(r.Channel))
	if err == nil && r.UpTo > head.Seq {
		return fmt.Sprintf("it had received %d messages on the %s channel, here are %d", r.UpTo, r.Channel, head.Seq), nil
	}
	return "", err
}

// ownSigned opens what this country signed, with its key of today or one that the roster lists.
func (d *Dispatch) ownSigned(signed, typ string) ([]byte, bool) {
	limit := 2 * protocol.MaxDocument
	if own, err := crypto.NewKeySet(d.signer().JWK()); err == nil {
		if payload, _, err := crypto.Verify(signed, typ, own, limit); err == nil {
			return payload, true
		}
	}
	if listed, err := d.keysOf(d.Country, d.Now()); err == nil {
		if payload, _, err := crypto.Verify(signed, typ, listed, limit); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// checkThere holds a peer's claims against what this node knew before it asked.
func (d *Dispatch) checkThere(tx *store.Tx, a *Asked, theirs *protocol.Standing, answer string) error {
	back := func(what, earlier string) error {
		return d.stop(tx, Stop{Peer: a.peer, Evidence: []string{earlier, answer},
			Text: fmt.Sprintf("%s has signed two things that contradict each other: %s. Its database was put back to an older state, or two copies of its node run. Call %s; it has to declare a restore (`proofmark restore`), and then this goes on by itself", a.peer, what, a.peer)})
	}
	for i, before := range a.before.Channels {
		claim := theirs.Channels[i]
		manifest, err := getText(tx, rawManifest+string(a.peer)+"/"+string(before.Channel))
		if err != nil {
			return err
		}
		switch {
		case claim.Sent < before.Received:
			return back(fmt.Sprintf("it had sent %d messages on the %s channel and now says %d", before.Received, before.Channel, claim.Sent), manifest)
		case claim.Sent == before.Received && claim.SentHead != before.ReceivedHead:
			return back(fmt.Sprintf("message %d on the %s channel was another one", claim.Sent, before.Channel), manifest)
		}
		out, err := tx.OutHead(string(a.peer), string(before.Channel))
		if err != nil {
			return err
		}
		if acked := a.acked(before.Channel); claim.Received < acked {
			return back(fmt.Sprintf("it had received %d messages on the %s channel and now says %d", acked, before.Channel, claim.Received), string(out.Receipt))
		}
	}
	if a.before.Seen == "" {
		return nil
	}
	was, wasRoot, err := d.openCheckpoint(a.peer, a.before.Seen)
	if err != nil {
		return nil //nolint:nilerr // its log key was changed since
	}
	now, nowRoot, err := d.openCheckpoint(a.peer, theirs.Checkpoint)
	switch {
	case err != nil:
		return fmt.Errorf("%w: the checkpoint of its log: %w", ErrForged, err)
	case now < was || now == was && nowRoot != wasRoot:
		return back(fmt.Sprintf("its audit log had %d entries and now has %d", was, now), a.before.Seen)
	}
	return nil
}

// acked is what the peer had acknowledged on a channel when it was asked, by its own receipt.
func (a *Asked) acked(ch protocol.Channel) (upTo uint64) {
	for _, signed := range a.before.Shown {
		if payload, _, err := crypto.Unverified(signed, crypto.TypeReceipt, 2*protocol.MaxReceipt); err == nil { // verified when it came
			if r, err := protocol.DecodeReceipt(payload); err == nil && r.Channel == ch {
				upTo = max(upTo, r.UpTo)
			}
		}
	}
	return upTo
}

// openCheckpoint verifies a checkpoint of a member's audit log by the key that the roster names.
func (d *Dispatch) openCheckpoint(c protocol.Country, signed string) (size int64, root tlog.Hash, err error) {
	r := d.Roster()
	if r == nil {
		return 0, root, ErrNotMember
	}
	m, ok := r.ByCountry(string(c))
	if !ok {
		return 0, root, ErrNotMember
	}
	v, err := note.NewVerifier(m.LogKey)
	if err != nil {
		return 0, root, err
	}
	if _, err := note.Open([]byte(signed), note.VerifierList(v)); err != nil {
		return 0, root, err
	}
	return store.ParseCheckpoint([]byte(signed))
}

// noteCheckpoint keeps the largest checkpoint of a peer's log.
func (d *Dispatch) noteCheckpoint(tx *store.Tx, peer protocol.Country, theirs *protocol.Standing) error {
	if stopped, err := Stops.Has(tx, string(peer)); err != nil || stopped {
		return err
	}
	size, _, err := d.openCheckpoint(peer, theirs.Checkpoint)
	if err != nil {
		return fmt.Errorf("%w: the checkpoint of %s's log: %w", ErrForged, peer, err)
	}
	known, err := getText(tx, rawSeen+string(peer))
	if err != nil {
		return err
	}
	if known != "" {
		if was, _, err := store.ParseCheckpoint([]byte(known)); err == nil && was >= size {
			return nil
		}
	}
	return tx.Put(rawSeen+string(peer), []byte(theirs.Checkpoint))
}
