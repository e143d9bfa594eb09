package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func documents(t *testing.T, s *Store, peer, channel string, limit int) string {
	t.Helper()
	var out []string
	view(t, s, func(tx *Tx) error {
		ins, err := tx.Intents(peer, channel, limit)
		for _, in := range ins {
			if !in.Queued.Equal(testStart) {
				t.Errorf("%+v", in)
			}
			out = append(out, in.Document)
		}
		return err
	})
	return strings.Join(out, " ")
}

func TestIntents(t *testing.T) {
	s := openTest(t)
	update(t, s, func(tx *Tx) error {
		for _, d := range []string{"c", "a", "b", "a", "c"} {
			if err := tx.Enqueue("ES", "bulk", d); err != nil {
				return err
			}
		}
		return errors.Join(tx.Enqueue("ES", "urgent", "a"), tx.Enqueue("ESX", "bulk", "z"))
	})
	if got := documents(t, s, "ES", "bulk", 0); got != "c a b" {
		t.Errorf("order of arrival: %q", got)
	}
	if got := documents(t, s, "ES", "bulk", 2); got != "c a" {
		t.Errorf("limit: %q", got)
	}
	var in Intent
	remove := func(tx *Tx) error { return tx.RemoveIntent("ES", "bulk", in) }
	update(t, s, func(tx *Tx) error {
		ins, err := tx.Intents("ES", "bulk", 1)
		if err != nil {
			return err
		}
		in = ins[0]
		return remove(tx)
	})
	wantErr(t, s.Update(background, remove), ErrNotFound, "ES/bulk", "c")
	update(t, s, func(tx *Tx) error { return tx.Enqueue("ES", "bulk", "c") }) // anew, at the end
	if got := documents(t, s, "ES", "bulk", 0); got != "a b c" {
		t.Errorf("after removal: %q", got)
	}
	wantErr(t, s.Update(background, remove), ErrNotFound) // the old intent does not stand for the new one
	view(t, s, func(tx *Tx) error {
		q, err := tx.QueueLengths()
		if want := "[{ES bulk 3 0} {ES urgent 1 0} {ESX bulk 1 0}]"; fmt.Sprint(q) != want || err != nil {
			t.Errorf("queues %v, %v, want %s", q, err, want)
		}
		return nil
	})
	for _, bad := range [][3]string{{"", "bulk", "d"}, {"ES", "", "d"}, {"ES", "bulk", ""}, {"E\x00S", "bulk", "d"}, {"ES", "b\x00", "d"}, {"ES", "bulk", "d\x00"}} {
		if err := s.Update(background, func(tx *Tx) error { return tx.Enqueue(bad[0], bad[1], bad[2]) }); err == nil {
			t.Errorf("%q was queued", bad)
		}
	}
}

func fix(t *testing.T, s *Store, n int) {
	t.Helper()
	update(t, s, func(tx *Tx) error {
		for range n {
			head, err := tx.OutHead("ES", "bulk")
			if err != nil {
				return err
			}
			msg := fmt.Sprintf("message %d after %q", head.Seq+1, head.Head)
			seq, err := tx.FixMessage("ES", "bulk", fmt.Sprintf("d%d", head.Seq+1), []byte(msg), fmt.Sprintf("h%d", head.Seq+1))
			if err != nil || seq != head.Seq+1 {
				return fmt.Errorf("fixed as %d: %w", seq, err)
			}
		}
		return nil
	})
}

func sequences(t *testing.T, s *Store, after uint64, limit int) string {
	t.Helper()
	out := ""
	view(t, s, func(tx *Tx) error {
		msgs, err := tx.Messages("ES", "bulk", after, limit)
		for _, m := range msgs {
			if m.Hash != fmt.Sprintf("h%d", m.Seq) || m.Document != fmt.Sprintf("d%d", m.Seq) || !strings.HasPrefix(string(m.Bytes), fmt.Sprintf("message %d ", m.Seq)) {
				t.Errorf("%+v", m)
			}
			out += fmt.Sprint(m.Seq)
		}
		return err
	})
	return out
}

// carriedBy lists the numbers of the messages that carry the documents of the same numbers.
func carriedBy(t *testing.T, s *Store, upTo uint64) string {
	t.Helper()
	var out []string
	view(t, s, func(tx *Tx) error {
		for seq, document := range tx.Carried("ES", "bulk", upTo) {
			if document != fmt.Sprintf("d%d", seq) || seq > upTo {
				t.Errorf("message %d carries %q", seq, document)
			}
			out = append(out, fmt.Sprint(seq))
		}
		return nil
	})
	return strings.Join(out, " ")
}

func TestChannels(t *testing.T) {
	s := openTest(t)
	fix(t, s, 3)
	fix(t, s, 3)
	for _, c := range []struct {
		after uint64
		limit int
		want  string
	}{
		{0, 0, "123456"}, {2, 0, "3456"}, {0, 2, "12"}, {6, 0, ""}, {99, 0, ""},
	} {
		if got := sequences(t, s, c.after, c.limit); got != c.want {
			t.Errorf("messages %+v: %q", c, got)
		}
	}
	ack := func(upTo uint64, head string) error {
		return s.Update(background, func(tx *Tx) error {
			return tx.Acknowledge("ES", "bulk", upTo, head, fmt.Appendf(nil, "receipt %d", upTo))
		})
	}
	state := func() string {
		var out string
		view(t, s, func(tx *Tx) error {
			h, err := tx.OutHead("ES", "bulk")
			out = fmt.Sprintf("%d %s %d %s %s", h.Seq, h.Head, h.Acked, h.AckedHead, h.Receipt)
			return err
		})
		return out
	}
	for _, st := range []struct {
		upTo     uint64
		head     string
		ok       bool
		state    string
		messages string
	}{
		{7, "h7", false, "6 h6 0  ", "123456"}, // beyond what was sent
		{2, "h3", false, "6 h6 0  ", "123456"},
		{2, "", false, "6 h6 0  ", "123456"},
		{0, "", true, "6 h6 0  ", "123456"}, // says nothing
		{0, "h0", false, "6 h6 0  ", "123456"},
		{2, "h2", true, "6 h6 2 h2 receipt 2", "3456"},
		{1, "h1", true, "6 h6 2 h2 receipt 2", "3456"}, // stale
		{2, "h2", true, "6 h6 2 h2 receipt 2", "3456"}, // repeated
		{1, "h2", false, "6 h6 2 h2 receipt 2", "3456"},
		{6, "h6", true, "6 h6 6 h6 receipt 6", ""},
	} {
		err := ack(st.upTo, st.head)
		if (err == nil) != st.ok || err != nil && !errors.Is(err, ErrReceipt) {
			t.Errorf("receipt %d %s: %v", st.upTo, st.head, err)
		}
		if got := state(); got != st.state {
			t.Errorf("after receipt %d %s: %q, want %q", st.upTo, st.head, got, st.state)
		}
		if got := sequences(t, s, 0, 0); got != st.messages {
			t.Errorf("after receipt %d %s: messages %q, want %q", st.upTo, st.head, got, st.messages)
		}
		for _, upTo := range []uint64{0, 4, 99} {
			if got, want := carriedBy(t, s, upTo), strings.Join(strings.Split(st.messages, ""), " "); got != want && upTo == 99 || !strings.HasPrefix(want, got) {
				t.Errorf("after receipt %d %s: up to %d carry %q, want of %q", st.upTo, st.head, upTo, got, want)
			}
		}
	}
	view(t, s, func(tx *Tx) error { // bytes are gone, hashes are kept
		for key, stored := range tx.scan(spaceMessage, "", true) {
			if m, err := decodeMessage(0, stored); err != nil || m.Document != "" || m.Bytes != nil {
				t.Errorf("of message %q is stored %q", key, stored)
			}
		}
		if h, err := tx.MessageHash("ES", "bulk", 1); h != "h1" || err != nil {
			t.Errorf("hash %s, %v", h, err)
		}
		_, err := tx.MessageHash("ES", "bulk", 7)
		wantErr(t, err, ErrNotFound, "ES/bulk", "message 7")
		return nil
	})
	if _, err := ackless(s, nil, "h"); err == nil {
		t.Error("an empty message was fixed")
	}
	if _, err := ackless(s, []byte("m"), ""); err == nil {
		t.Error("a message without a hash was fixed")
	}
}

func ackless(s *Store, msg []byte, hash string) (seq uint64, err error) {
	err = s.Update(background, func(tx *Tx) error { seq, err = tx.FixMessage("ES", "bulk", "d", msg, hash); return err })
	return seq, err
}

// One receipt for a huge backlog drops the bytes over several acts.
func TestAcknowledgeBacklog(t *testing.T) {
	s := openTest(t)
	const n = 2*sweepBatch + 300
	for range n / 100 {
		fix(t, s, 100)
	}
	stored := func() (count int) {
		view(t, s, func(tx *Tx) error {
			for key, stored := range tx.scan(spaceMessage, "", true) {
				if m, err := decodeMessage(0, stored); err != nil {
					t.Errorf("%q: %v", key, err)
				} else if len(m.Bytes) > 0 {
					count++
				}
			}
			return nil
		})
		return count
	}
	update(t, s, func(tx *Tx) error { return tx.Acknowledge("ES", "bulk", n, fmt.Sprintf("h%d", n), []byte("r")) })
	if got := stored(); got != n-sweepBatch {
		t.Errorf("%d messages after the receipt, want %d", got, n-sweepBatch)
	}
	if got := sequences(t, s, 0, 1); got != "" {
		t.Errorf("acknowledged, but offered again: %s", got)
	}
	if err := s.Sweep(background); err != nil {
		t.Fatal(err)
	}
	if got := stored(); got != 0 {
		t.Errorf("%d messages after the sweep", got)
	}
}

func TestAdvanceIn(t *testing.T) {
	s := openTest(t)
	for _, st := range []struct {
		seq uint64
		ok  bool
	}{{2, false}, {1, true}, {1, false}, {3, false}, {2, true}, {0, false}, {3, true}} {
		err := s.Update(background, func(tx *Tx) error { return tx.AdvanceIn("ES", "urgent", st.seq, fmt.Sprintf("h%d", st.seq)) })
		if (err == nil) != st.ok || err != nil && !errors.Is(err, ErrSequence) {
			t.Errorf("seq %d: %v", st.seq, err)
		}
	}
	view(t, s, func(tx *Tx) error {
		in, err := tx.InHead("ES", "urgent")
		out, err2 := tx.OutHead("ES", "urgent")
		if in.Seq != 3 || in.Head != "h3" || out.Seq != 0 || err != nil || err2 != nil {
			t.Errorf("in %+v, out %+v, %v, %v", in, out, err, err2)
		}
		return nil
	})
}

// Intents are found from the oldest on, whichever of them left before: the front, the middle (a withdrawal), all.
func TestIntentsAfterRemovals(t *testing.T) {
	s := openTest(t)
	var want []string
	enqueue := func(names ...string) {
		want = append(want, names...)
		update(t, s, func(tx *Tx) error {
			for _, n := range names {
				if err := tx.Enqueue("ES", "bulk", n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	remove := func(places ...int) {
		for _, at := range places {
			update(t, s, func(tx *Tx) error {
				found, err := tx.Unqueue("ES", "bulk", want[at])
				if err == nil && !found {
					err = errors.New("not in the queue")
				}
				return err
			})
			want = append(want[:at:at], want[at+1:]...)
		}
	}
	check := func() {
		t.Helper()
		if got := documents(t, s, "ES", "bulk", 0); got != strings.Join(want, " ") {
			t.Fatalf("queue %q, want %q", got, want)
		}
	}
	enqueue("a", "b", "c", "d", "e")
	for _, places := range [][]int{{0}, {1}, {0}, {0}, {0}} {
		remove(places...)
		check()
	}
	enqueue("f", "g", "h")
	check()
	remove(1, 0)
	enqueue("i")
	check()
	remove(0, 0)
	check()
	enqueue("j")
	check()
}
