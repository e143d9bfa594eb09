package exchange

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"proofmark/crypto"
	"proofmark/protocol"
)

func peerOf(t testing.TB, k *crypto.Keys) peer.ID {
	t.Helper()
	id, err := peer.IDFromPrivateKey(k.HostKey())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestDelivery(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	lead, publications := texts("lead", 3), texts("publication", 100)
	f.nodes["PT"].post.queue("ES", protocol.Bulk, publications...) // waits since before the start
	f.start()
	f.nodes["ES"].post.queue("PT", protocol.Urgent, lead...)
	f.delivered("PT", "ES", protocol.Bulk, publications)
	f.delivered("ES", "PT", protocol.Urgent, lead)
}
