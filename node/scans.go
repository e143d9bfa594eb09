package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"proofmark/node/exchange"
	"proofmark/node/release"
	"proofmark/protocol"
)

// scanPace are the measures of the release of scans; zero is the usual one.
type scanPace struct {
	tick  time.Duration
	quota int
	chunk int64
}

func (n *Node) newRelease(o Options) *release.Service {
	return release.New(release.Options{Desk: n.desk, Out: n.dispatch, Now: o.Now, Fetch: n.fetchScan, Tick: o.scans.tick, Quota: o.scans.quota, Chunk: o.scans.chunk})
}

// fetchScan gets the bytes of a released scan over the network.
func (n *Node) fetchScan(ctx context.Context, from protocol.Country, document string, scan protocol.ReleasedScan, offset int64, take func([]byte) error, done func() error) error {
	err := n.exchange.FetchScan(ctx, from, exchange.ScanAsk{Release: document, SHA256: scan.SHA256, Offset: offset}, scan.Size, exchange.ScanSink{Take: take, Done: done})
	if exchange.RefusedByPeer(err) {
		return fmt.Errorf("%w: %w", release.ErrRefused, err)
	}
	return err
}

// openScan asks whether a member may have a scan; of the reasons why not it is told none.
func (n *Node) openScan(ctx context.Context, peer protocol.Country, ask exchange.ScanAsk) (*exchange.ScanSource, error) {
	src, err := n.release.Open(ctx, peer, ask.Release, ask.SHA256, ask.Offset)
	if errors.Is(err, release.ErrNotReleased) {
		return nil, fmt.Errorf("%w: %w", exchange.ErrNoScan, err)
	}
	if err != nil {
		return nil, err
	}
	return &exchange.ScanSource{Size: src.Size, Read: src.Read, Standing: src.Standing, Sent: src.Sent}, nil
}
