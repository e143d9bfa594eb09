package exchange

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"

	"proofmark/protocol"
)

// chest keeps copies in memory.
type chest struct {
	mu     sync.Mutex
	files  map[string][]byte // by hash, whole or not
	cutAt  int               // bytes after which this side breaks, 0: never
	opened int
	closed int
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (c *chest) take(_ context.Context, _ protocol.Country, o CopyOffer) (*CopyIntake, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.Size > 200<<20 {
		return nil, RefusedCopy{errors.New("more than is granted")}
	}
	if c.files == nil {
		c.files = map[string][]byte{}
	}
	have := c.files[o.SHA256]
	if int64(len(have)) == o.Size {
		return &CopyIntake{Receipt: "receipt of " + o.Name, Close: func() {}}, nil
	}
	c.opened++
	return &CopyIntake{Have: int64(len(have)), Prefix: hashOf(have),
		Start: func(offset int64) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.files[o.SHA256] = c.files[o.SHA256][:offset]
			return nil
		},
		Take: func(b []byte) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.files[o.SHA256] = append(c.files[o.SHA256], b...)
			if c.cutAt > 0 && len(c.files[o.SHA256]) >= c.cutAt {
				return RefusedCopy{errors.New("the disk is full")}
			}
			return nil
		},
		Done: func() (string, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if hashOf(c.files[o.SHA256]) != o.SHA256 {
				delete(c.files, o.SHA256)
				return "", RefusedCopy{errors.New("not the file that was offered")}
			}
			return "receipt of " + o.Name, nil
		},
		Close: func() { c.mu.Lock(); c.closed++; c.mu.Unlock() },
	}, nil
}

func (c *chest) has(hash string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.files[hash])
}

// keeping makes a federation in which PT keeps copies, ES is a node and FR a libp2p host of its own.
func keeping(t *testing.T, c *chest, handler network.StreamHandler) *bad {
	t.Helper()
	f := newFederation(t, "PT", "ES", "FR")
	b := &bad{f: f, h: rawHost(t, libp2p.Identity(f.nodes["FR"].keys.HostKey()))}
	addrs := map[protocol.Country][]string{"FR": nil}
	if handler != nil {
		b.h.SetStreamHandler(CustodyProtocol, handler)
		for _, a := range b.h.Addrs() {
			addrs["FR"] = append(addrs["FR"], a.String())
		}
	}
	for _, n := range []protocol.Country{"PT", "ES"} {
		impatient(&f.nodes[n].pace)
		f.nodes[n].open()
		addrs[n] = f.nodes[n].x.Addresses()
	}
	f.nodes["PT"].x.o.TakeCopy = c.take
	f.enact(addrs)
	f.nodes["PT"].run()
	f.nodes["ES"].run()
	eventually(t, "PT serves", func() bool {
		return b.h.Connect(context.Background(), infoOf(t, f.nodes["PT"].x, "tcp")) == nil && f.connected("PT", "FR") && f.connected("ES", "PT")
	})
	return b
}

func offerOf(b []byte) CopyOffer {
	return CopyOffer{Name: "week-0000.backup", Size: int64(len(b)), SHA256: hashOf(b), Head: "head"}
}

func content(seed string, n int) []byte { return bytes.Repeat([]byte(seed), n/len(seed)+1)[:n] }

func TestCustodyStream(t *testing.T) {
	t.Parallel()
	c := &chest{}
	f := keeping(t, c, nil).f
	es := f.nodes["ES"].x
	file := content("sealed ", 5_000_003)
	o := offerOf(file)
	send := func(o CopyOffer, file []byte) (string, int64, error) {
		return es.SendCopy(t.Context(), "PT", o, bytes.NewReader(file), nil)
	}
	// The holder breaks in the middle of the file: the next try begins where it ended.
	c.cutAt = 2_000_000
	if _, _, err := send(o, file); err == nil || !strings.Contains(err.Error(), "after ") {
		t.Errorf("a holder with a full disk: %v", err)
	}
	there := len(c.has(o.SHA256))
	if there < c.cutAt || there >= len(file) {
		t.Fatalf("%d bytes are there", there)
	}
	c.mu.Lock()
	c.cutAt = 0
	c.mu.Unlock()
	r, sent, err := send(o, file)
	if err != nil || r != "receipt of week-0000.backup" || sent != int64(len(file)-there) || !bytes.Equal(c.has(o.SHA256), file) {
		t.Errorf("resumed: %q, %d bytes sent, %v", r, sent, err)
	}
	if r, sent, err = send(o, file); err != nil || sent != 0 || r == "" {
		t.Errorf("once more: %q, %d bytes, %v", r, sent, err)
	}
	// What the holder has is not the beginning of this file.
	other := content("another ", 300_000)
	o = offerOf(other)
	c.mu.Lock()
	c.files[o.SHA256] = content("rotten ", 100_000)
	c.mu.Unlock()
	if r, sent, err = send(o, other); err != nil || sent != 300_000 || !bytes.Equal(c.has(o.SHA256), other) {
		t.Errorf("over a wrong beginning: %q, %d bytes, %v", r, sent, err)
	}
	// A file that changes while it is sent, and one that is shorter than was said.
	changed := content("third ", 300_000)
	o = offerOf(content("fourth ", 300_000))
	if _, _, err = send(o, changed); !RefusedByPeer(err) || !strings.Contains(err.Error(), "not the file that was offered") {
		t.Errorf("another content: %v", err)
	}
	o = offerOf(changed)
	if _, _, err = send(o, changed[:250_000]); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a short file: %v", err)
	}
	if n := len(c.has(o.SHA256)); n > 250_000 {
		t.Errorf("%d bytes of it are there", n)
	}
	eventually(t, "the place is free", func() bool { d := &f.nodes["PT"].x.copies; d.mu.Lock(); defer d.mu.Unlock(); return len(d.peers) == 0 })
	o.Size = 1 << 40
	if _, _, err = send(o, changed); !RefusedByPeer(err) || !strings.Contains(err.Error(), "more than is granted") {
		t.Errorf("too large: %v", err)
	}
	if _, _, err := es.SendCopy(t.Context(), "DE", o, nil, nil); err == nil || !strings.Contains(err.Error(), "not an active member") {
		t.Errorf("to a stranger: %v", err)
	}
	// ES keeps nothing for anybody.
	if _, _, err := f.nodes["PT"].x.SendCopy(t.Context(), "ES", offerOf(file), bytes.NewReader(file), nil); err == nil {
		t.Error("a node that keeps no copies took one")
	}
	eventually(t, "what was opened is closed", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.opened == c.closed })
}

// TestBadOwnerOfCopies plays a member that breaks the protocol as it sends a copy: the stream ends, nothing becomes a copy, and ES's is taken meanwhile.
func TestBadOwnerOfCopies(t *testing.T) {
	t.Parallel()
	c := &chest{}
	b := keeping(t, c, nil)
	file := content("x", 200_000)
	good := offerOf(file)
	offer := func(f func(*CopyOffer)) []byte {
		o := good
		f(&o)
		return append(frame(goodHello()), frame(o)...)
	}
	begun := append(append(frame(goodHello()), frame(good)...), frame(copyStart{})...)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, q := range []struct {
		name string
		send []byte
		says string // empty: PT hangs up without a word
	}{
		{"no hello", nil, ""}, {"hello of 1 GB", announced(1 << 30), ""}, {"half a hello", frame(goodHello())[:30], ""}, {"no offer", frame(goodHello()), ""},
		{"offer of 1 GB", append(frame(goodHello()), announced(1<<30)...), ""}, {"another country", join(frame(protocol.Hello{Version: 1, Country: "ES", To: "PT", Now: time.Now()}), frame("{}")), "its key is that of FR"},
		{"an offer that is none", join(frame(goodHello()), frame("\x00")), "malformed offer"}, {"a list", join(frame(goodHello()), frame("[]")), "malformed offer"},
		{"a field twice", join(frame(goodHello()), frame(`{"size":1,"size":2}`)), "malformed offer"}, {"nested deep", join(frame(goodHello()), frame(strings.Repeat("[", 1000))), "malformed offer"},
		{"a name with slashes", offer(func(o *CopyOffer) { o.Name = "../../PT/x.backup" }), "malformed offer"}, {"a hidden name", offer(func(o *CopyOffer) { o.Name = ".x.backup" }), "malformed offer"},
		{"an absolute name", offer(func(o *CopyOffer) { o.Name = "/etc/x.backup" }), "malformed offer"}, {"a name with a zero", offer(func(o *CopyOffer) { o.Name = "x\x00.backup" }), "malformed offer"},
		{"a name of another system", offer(func(o *CopyOffer) { o.Name = `..\x.backup` }), "malformed offer"}, {"a long name", offer(func(o *CopyOffer) { o.Name = strings.Repeat("x", 300) + ".backup" }), "malformed offer"},
		{"a hash that is a path", offer(func(o *CopyOffer) { o.SHA256 = "../" + good.SHA256[3:] }), "malformed offer"}, {"no bytes", offer(func(o *CopyOffer) { o.Size = 0 }), "malformed offer"},
		{"fewer than none", offer(func(o *CopyOffer) { o.Size = -1 }), "malformed offer"}, {"no head", offer(func(o *CopyOffer) { o.Head = "" }), "malformed offer"},
		{"beyond its quota", offer(func(o *CopyOffer) { o.Size = 1 << 62 }), "more than is granted"}, {"no start", offer(func(*CopyOffer) {}), ""},
		{"a start in the middle", join(offer(func(*CopyOffer) {}), frame(copyStart{1000})), "it begins at 1000, 0 bytes are here"}, {"a start before it", join(offer(func(*CopyOffer) {}), frame(copyStart{-1})), "it begins at -1"},
		{"a start that is none", join(offer(func(*CopyOffer) {}), frame("x")), "does not arrive as it was offered"}, {"empty frames for ever", join(begun, frame([]byte{}), frame([]byte{})), "a frame of 0 bytes"},
		{"a frame of 1 GB", join(begun, announced(1<<30)), "could not keep it now"},
		{"wrong bytes", join(begun, frame(file[:65536]), frame(file[:65536]), frame(file[:65536]), frame([]byte(strings.Repeat("y", 200_000-3*65536)))), "not the file that was offered"},
		{"more bytes than offered", join(begun, frame(file[:65536]), frame(file[:65536]), frame(file[:65536]), frame(file[:65536])), "a frame of 65536 bytes where 3392 are missing"},
	} {
		s, err := b.h.NewStream(context.Background(), b.f.nodes["PT"].x.host.ID(), CustodyProtocol)
		if err != nil {
			t.Fatal(err)
		}
		_ = s.SetDeadline(time.Now().Add(time.Minute))
		_, _ = s.Write(q.send) // PT may have hung up before all of it was read
		got, err := io.ReadAll(s)
		switch {
		case err != nil && timedOut(err):
			t.Errorf("%s: the stream was left open", q.name)
		case q.says == "" && bytes.Contains(got, []byte("receipt")), q.says != "" && !bytes.Contains(got, []byte(q.says)):
			t.Errorf("%s: PT said %.300q, %v; want %q", q.name, got, err, q.says)
		case bytes.Contains(got, []byte("receipt of")):
			t.Errorf("%s: PT confirmed it", q.name)
		}
		_ = s.Reset()
		eventually(t, "the place of "+q.name+" is free", func() bool {
			d := &b.f.nodes["PT"].x.copies
			d.mu.Lock()
			defer d.mu.Unlock()
			return len(d.peers) == 0
		})
		c.mu.Lock()
		delete(c.files, good.SHA256)
		c.mu.Unlock()
	}
	// One that sends half and falls silent holds its own place alone, and not for ever; what it sent is there for its next try.
	s, err := b.h.NewStream(context.Background(), b.f.nodes["PT"].x.host.ID(), CustodyProtocol)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(join(begun, frame(file[:65536]))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its bytes", func() bool { return len(c.has(good.SHA256)) == 65536 })
	theirs := content("of ES", 100_000)
	if r, _, err := b.f.nodes["ES"].x.SendCopy(t.Context(), "PT", offerOf(theirs), bytes.NewReader(theirs), nil); err != nil || r == "" {
		t.Errorf("ES meanwhile: %q, %v", r, err)
	}
	eventually(t, "its place is free again", func() bool {
		d := &b.f.nodes["PT"].x.copies
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.peers) == 0
	})
	if n := len(c.has(good.SHA256)); n != 65536 {
		t.Errorf("%d bytes stayed", n)
	}
	_ = s.Reset()
}

// TestBadHolder plays the holder: PT waits for nobody for ever, and takes nothing for a receipt that is none.
func TestBadHolder(t *testing.T) {
	t.Parallel()
	hello := func(s network.Stream) { _, _ = s.Write(frame(goodHello())) }
	word := func(w any) func(network.Stream) {
		return func(s network.Stream) { hello(s); _, _ = s.Write(frame(w)) }
	}
	drain := func(s network.Stream) { _, _ = io.CopyN(io.Discard, s, 1<<20) }
	behaviours := map[string]struct {
		serve func(s network.Stream)
		says  string
	}{
		"no hello":                {func(network.Stream) {}, "wait for hello"},
		"garbage for a hello":     {func(s network.Stream) { _, _ = s.Write(frame("\x00garbage")) }, "malformed"},
		"silence after the hello": {hello, "no copy is taken"},
		"more than there is":      {word(copyWord{Have: 1 << 50}), "it says it has"},
		"fewer than none":         {word(copyWord{Have: -5}), "it says it has"},
		"a word of 1 GB":          {func(s network.Stream) { hello(s); _, _ = s.Write(announced(1 << 30)) }, "larger than allowed"},
		"a word that is none":     {word("[1]"), "malformed answer"},
		"a refusal that steers":   {word(`{"refusal":"no\u001b[2J"}`), "refused by the other node"},
		"it never reads":          {word(copyWord{}), "after "},
		"no receipt at the end":   {func(s network.Stream) { word(copyWord{})(s); drain(s); _, _ = s.Write(frame("{}")) }, "no receipt"},
		"silence at the end":      {func(s network.Stream) { word(copyWord{})(s); _, _ = io.Copy(io.Discard, s) }, "wait for its receipt"},
		"it hangs up":             {func(s network.Stream) { word(copyWord{})(s); _ = s.Reset() }, "reset"},
	}
	var serve atomic.Pointer[func(network.Stream)]
	b := keeping(t, &chest{}, func(s network.Stream) { (*serve.Load())(s) })
	file := content("sealed ", 32<<20)
	for name, q := range behaviours {
		serve.Store(&q.serve)
		sending := file
		if strings.HasSuffix(name, "at the end") {
			sending = file[:1<<20]
		}
		r, _, err := b.f.nodes["PT"].x.SendCopy(t.Context(), "FR", offerOf(sending), bytes.NewReader(sending), nil)
		if err == nil || !strings.Contains(err.Error(), q.says) || strings.Contains(err.Error(), "\x1b") || r != "" {
			t.Errorf("%s: %q, %v, want %q", name, r, err, q.says)
		}
	}
}

func FuzzCopyOffer(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(`{"name":"a.backup","size":1,"sha256":%q,"head":"x"}`, strings.Repeat("0a", 32))))
	f.Add([]byte(`{"name":"../a.backup","size":-1}`))
	f.Add([]byte(fmt.Sprintf(`{"prove":{"sha256":%q,"block":3}}`, strings.Repeat("0a", 32))))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, q, err := decodeCopyOpening(b)
		if err != nil && !errors.Is(err, errCopyOffer) {
			t.Errorf("%q: %v", b, err)
		}
		if err == nil && q != nil && (q.Block < 0 || len(q.SHA256) != 64 || o != (CopyOffer{})) {
			t.Errorf("%+v, %+v", o, q)
		}
		if err == nil && q == nil && (o.Size <= 0 || strings.ContainsAny(o.Name, "/\\\x00") || o.Name[0] == '.') {
			t.Errorf("%+v", o)
		}
	})
}

func FuzzCopyWord(f *testing.F) {
	f.Add([]byte(`{"have":1,"prefix":"0a"}`))
	f.Add([]byte(`{"refusal":"no\u001b"}`))
	f.Add([]byte(fmt.Sprintf(`{"path":[%q]}`, strings.Repeat("Cg", 21)+"o=")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if w, err := decodeCopyWord(b); err == nil && (len(w.Refusal) > maxRefusal || strings.ContainsAny(w.Refusal, "\x1b\n")) {
			t.Errorf("%+v", w)
		}
		if h, err := decodeProofHead(b); err == nil && (len(h.Path) > maxProofPath || strings.ContainsAny(h.Refusal+h.Missing, "\x1b\n")) {
			t.Errorf("%+v", h)
		}
		if _, err := decodeCopyStart(b); err != nil && !errors.Is(err, errCopyData) {
			t.Errorf("%q: %v", b, err)
		}
	})
}
