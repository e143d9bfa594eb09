package node

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"proofmark/crypto"
)

func rawList(jwk json.RawMessage) []json.RawMessage { return []json.RawMessage{jwk} }

// reachable turns the addresses that a node listens on into those under which others reach it: "any address" becomes those of this machine's network
// interfaces.
func reachable(listen []string) ([]string, error) {
	var own []multiaddr.Multiaddr
	var out []string
	for _, s := range listen {
		a, err := multiaddr.NewMultiaddr(s)
		if err != nil {
			return nil, fmt.Errorf("address %q: %w", s, err)
		}
		if !manet.IsIPUnspecified(a) {
			out = append(out, s)
			continue
		}
		if own == nil {
			if own, err = manet.InterfaceMultiaddrs(); err != nil {
				return nil, fmt.Errorf("addresses of this machine: %w", err)
			}
		}
		out = append(out, specific(a, own)...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// specific puts each of the machine's own addresses of the same family in the place of the unspecified one. Loopback counts only where there is nothing
// else.
func specific(a multiaddr.Multiaddr, own []multiaddr.Multiaddr) []string {
	host, rest := multiaddr.SplitFirst(a)
	var out, loopback []string
	for _, o := range own {
		first, _ := multiaddr.SplitFirst(o)
		if first == nil || first.Protocol().Code != host.Protocol().Code || strings.HasPrefix(first.Value(), "fe80:") {
			continue
		}
		address := first.String() + rest.String()
		if manet.IsIPLoopback(o) {
			loopback = append(loopback, address)
			continue
		}
		out = append(out, address)
	}
	if len(out) == 0 {
		return loopback
	}
	return out
}

// peerID is the libp2p identity of a node's host key.
func peerID(keys *crypto.Keys) (string, error) {
	id, err := peer.IDFromPrivateKey(keys.HostKey())
	if err != nil {
		return "", fmt.Errorf("peer id: %w", err)
	}
	return id.String(), nil
}
