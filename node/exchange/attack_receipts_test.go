package exchange

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p-kad-dht/pb"
	recpb "github.com/libp2p/go-libp2p-record/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"proofmark/crypto"
	"proofmark/protocol"
	"proofmark/store"
)

// TestHostileReceipts: PT has a document for FR, and FR acknowledges it as it must not. It is never counted as delivered, the operator reads what is
// wrong, and the good members go on.
func TestHostileReceipts(t *testing.T) {
	t.Parallel()
	var (
		mu     sync.Mutex
		answer func(to protocol.Hello) [][]byte
		open   = map[network.Stream]bool{}
	)
	a := newArena(t, func(s network.Stream) {
		defer s.Reset()
		_ = s.SetDeadline(time.Now().Add(time.Minute))
		b, err := protocol.ReadFrame(s, protocol.MaxHello)
		if err != nil {
			return
		}
		h, err := protocol.DecodeHello(b)
		if err != nil {
			return
		}
		mu.Lock()
		parts := answer
		open[s] = true
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			delete(open, s)
		}()
		if parts == nil {
			return
		}
		for _, p := range parts(*h) {
			_, _ = s.Write(p)
		}
		_, _ = io.Copy(io.Discard, s)
	})
	set := func(f func(h protocol.Hello) [][]byte) { // FR hangs up, and answers so from now on
		mu.Lock()
		defer mu.Unlock()
		answer = f
		for s := range open {
			_ = s.Reset()
		}
	}
	es := a.nodes["ES"].keys.Signer()
	sign := func(by *crypto.Signer, typ string, change func(r *protocol.Receipt)) func(h protocol.Hello) [][]byte {
		return func(h protocol.Hello) [][]byte {
			r := protocol.Receipt{From: "PT", To: "FR", Channel: protocol.Urgent, At: a.now()}
			change(&r)
			return [][]byte{frame(a.hello()), frame(map[string]string{"receipt": must(by.Sign(typ, must(json.Marshal(r))))})}
		}
	}
	nought := strings.Repeat("0", 64)
	fr := a.fr.keys.Signer()
	a.pt.note("FR", "for the bad one")
	set(sign(fr, crypto.TypeReceipt, func(*protocol.Receipt) {}))
	eventually(t, "the document is a message", func() bool { // formed once FR has greeted
		var head store.ChannelHead
		_ = a.pt.store.View(func(tx *store.Tx) (err error) {
			head, err = tx.OutHead("FR", string(protocol.Urgent))
			return err
		})
		return head.Seq == 1
	})
	for _, c := range []struct {
		name, shows, ground string
		answer              func(h protocol.Hello) [][]byte
	}{
		{"receipt signed by another member", "not among the expected", "forged", sign(es, crypto.TypeReceipt, func(r *protocol.Receipt) { r.UpTo, r.Head = 1, nought })},
		{"receipt signed for another use", "signed for another use", "forged", sign(fr, crypto.TypeBatch, func(r *protocol.Receipt) { r.UpTo, r.Head = 1, nought })},
		{"receipt of another's channel", "about the channel from", "forged", sign(fr, crypto.TypeReceipt, func(r *protocol.Receipt) { r.From, r.UpTo, r.Head = "ES", 1, nought })},
		{"receipt of the other direction", "about the channel from", "forged", sign(fr, crypto.TypeReceipt, func(r *protocol.Receipt) { r.From, r.To = "FR", "PT" })},
		{"receipt for another content", "receipt", "false-receipt", sign(fr, crypto.TypeReceipt, func(r *protocol.Receipt) { r.UpTo, r.Head = 1, nought })},
		{"receipt beyond what was sent", "only 1 were sent", "false-receipt", sign(fr, crypto.TypeReceipt, func(r *protocol.Receipt) { r.UpTo, r.Head = 1000, nought })},
		{"receipt for the other channel", "only 0 were sent", "false-receipt", sign(fr, crypto.TypeReceipt, func(r *protocol.Receipt) { r.Channel, r.UpTo, r.Head = protocol.Bulk, 1, nought })},
		{"receipt without a head", "do not agree", "malformed", sign(fr, crypto.TypeReceipt, func(r *protocol.Receipt) { r.UpTo = 1 })},
		{"stale receipts for ever", "acknowledges nothing new", "", func(h protocol.Hello) [][]byte {
			parts := sign(fr, crypto.TypeReceipt, func(*protocol.Receipt) {})(h)
			return append(parts, parts[1], parts[1], parts[1])
		}},
		{"answer of 1 GB", "larger than allowed", "", func(protocol.Hello) [][]byte { return [][]byte{frame(a.hello()), announced(1 << 30)} }},
		{"answer nested deep", "nested deeper", "", func(protocol.Hello) [][]byte { return [][]byte{frame(a.hello()), frame(strings.Repeat("[", 500))} }},
		{"refusal that clears the screen", "closed [2J", "", func(protocol.Hello) [][]byte {
			return [][]byte{frame(a.hello()), frame(map[string]string{"refusal": "closed\x1b[2J"})}
		}},
	} {
		onPage(t, c.name)
		t.Run(c.name, func(t *testing.T) {
			a.t, a.federation.t = t, t
			defer func() { a.t, a.federation.t = nil, nil }()
			before := len(a.pt.denials("FR"))
			set(c.answer)
			a.exchange(c.name)
			eventually(t, "PT shows "+c.shows, func() bool { return strings.Contains(a.status("FR").LastError, c.shows) })
			if st := a.status("FR"); st.ToDo == "" || strings.ContainsRune(st.LastError, '\x1b') {
				t.Errorf("status %+v", st)
			}
			eventually(t, "its entry", func() bool {
				if err := a.pt.FlushRefusals(context.Background(), true); err != nil { // also what was counted behind an answer of the case before
					t.Fatal(err)
				}
				all := a.pt.denials("FR")
				for _, r := range all[:len(all)-before] {
					if r.Ground == c.ground {
						return true
					}
				}
				return c.ground == ""
			})
			if n := must(a.pt.Waiting("FR", protocol.Urgent)); n != 1 {
				t.Errorf("%d documents wait for FR, want 1", n)
			}
			a.ahead.Add(int64(2 * time.Minute))
			if err := a.pt.FlushRefusals(context.Background(), true); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestHostileDHT: FR puts into the members' table what does not belong there.
func TestHostileDHT(t *testing.T) {
	t.Parallel()
	a := newArena(t, nil)
	const kad = "/proofmark/kad/1.0.0"
	ask := func(m *dht_pb.Message) (*dht_pb.Message, string) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		s, err := a.bad.NewStream(ctx, a.pt.x.host.ID(), kad)
		if err != nil {
			return nil, err.Error()
		}
		defer s.Reset()
		_ = s.SetDeadline(time.Now().Add(30 * time.Second))
		b := must(proto.Marshal(m))
		if _, err := s.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...)); err != nil {
			return nil, "refused"
		}
		got, err := protocol.ReadFrame(s, 4<<20)
		if err != nil {
			return nil, "refused"
		}
		var out dht_pb.Message
		if err := proto.Unmarshal(got, &out); err != nil {
			return nil, err.Error()
		}
		return &out, ""
	}
	put := func(key, under string, value []byte) func(a *arena) string {
		return func(a *arena) string {
			m := &dht_pb.Message{Type: dht_pb.Message_PUT_VALUE, Key: []byte(under), Record: &recpb.Record{Key: []byte(key), Value: value}}
			_, said := ask(m)
			if got, _ := ask(&dht_pb.Message{Type: dht_pb.Message_GET_VALUE, Key: []byte(under)}); got != nil && got.GetRecord() != nil {
				return "PT keeps and passes on the record"
			}
			return said
		}
	}
	a.suffer([]attack{
		{name: "forged roster record", run: put("/proofmark/roster", "/proofmark/roster", []byte(`{"version":99}`)), says: "refused"},
		{name: "record under another key", run: put("/proofmark/roster", "/proofmark/other", []byte(`{}`)), says: "refused"},
		{name: "record of another name space", run: put("/pk/"+string(a.bad.ID()), "/pk/"+string(a.bad.ID()), []byte("x")), says: "refused"},
		{name: "record of 5 MB", run: put("/proofmark/roster", "/proofmark/roster", make([]byte, 5<<20)), says: "refused"},
		{name: "serial number as a key", run: put("/proofmark/serial/AB12345", "/proofmark/serial/AB12345", []byte("held")), says: "refused"},
		{name: "provider record", run: func(a *arena) string {
			_, said := ask(&dht_pb.Message{Type: dht_pb.Message_ADD_PROVIDER, Key: []byte("hash"), ProviderPeers: []*dht_pb.Message_Peer{{Id: []byte(a.bad.ID())}}})
			got, _ := ask(&dht_pb.Message{Type: dht_pb.Message_GET_PROVIDERS, Key: []byte("hash")})
			if got != nil && len(got.GetProviderPeers()) > 0 {
				return "PT passes on a provider"
			}
			return said
		}, says: "refused"},
		{name: "another member's place under a false address", run: func(a *arena) string {
			// PT is led to believe that ES listens where FR does: the handshake wants ES's key.
			id := a.es.x.host.ID()
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			h := rawHost(a.t)
			defer h.Close()
			err := h.Connect(ctx, peer.AddrInfo{ID: id, Addrs: a.bad.Addrs()})
			if err == nil {
				return "a handshake with a false key went well"
			}
			return ""
		}},
	})
	if n := a.pt.x.dht.RoutingTable().Find(a.nodes["DE"].peer()); n != "" {
		t.Errorf("a suspended member stands in the table")
	}
}

func (n *node) peer() peer.ID { return peerOf(n.f.t, n.keys) }
