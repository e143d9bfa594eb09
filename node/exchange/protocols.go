package exchange

import p2pprotocol "github.com/libp2p/go-libp2p/core/protocol"

// Protocols are the ids of all protocols that this node answers, libp2p's own among them.
func (x *Exchange) Protocols() []p2pprotocol.ID { return x.host.Mux().Protocols() }
