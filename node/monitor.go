package node

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"proofmark/node/control"
	"proofmark/node/monitor"
	"proofmark/store"
)

// maxToken bounds the token's file before it is read.
const maxToken = 4 << 10

// monitor opens the page for machines.
func (n *Node) monitor() (*monitor.Server, error) {
	path := n.Config.Monitor.TokenFile
	if err := control.Guard(path, 0o077); err != nil {
		return nil, fmt.Errorf("monitor.token_file: %w", err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("monitor.token_file: %w", err)
	}
	if len(b) > maxToken {
		return nil, fmt.Errorf("monitor.token_file: %s has %d bytes: it is no token", path, len(b))
	}
	page, err := monitor.Listen(n.Config.Monitor.Listen, string(bytes.TrimSpace(b)), n.sources(), n.log.With("part", "monitor"))
	if err != nil {
		return nil, err
	}
	n.log.Info("figures for machines", "address", page.Address())
	return page, nil
}

func (n *Node) sources() monitor.Sources {
	return monitor.Sources{
		Peers: n.exchange.Peers,
		Queues: func() (queues []store.QueueLength, err error) {
			err = n.store.View(func(tx *store.Tx) error {
				queues, err = tx.QueueLengths()
				return err
			})
			return queues, err
		},
		Entries: n.store.AuditSize, Spare: n.store.Spare, Signatures: n.ballistics.Held, Waiting: n.ballistics.Waiting, Refused: n.dispatch.Refused, Ready: n.unready,
		Roster: func() monitor.Roster { return monitor.Roster(n.membership.Figures()) },
		Store:  n.store.Figures, Network: n.figures, Agenda: n.agenda,
		Witness: func() (monitor.Witness, error) {
			f, err := n.witness.Figures()
			return monitor.Witness{Alarms: f.Alarms, Cosigned: f.Cosigned, Oldest: f.Oldest, Enough: f.Enough}, err
		},
	}
}

// unready says why the node does not do its work.
func (n *Node) unready() (reasons []string) {
	if n.membership.Current() == nil {
		reasons = append(reasons, "no roster is installed: nobody is let in")
	}
	switch spare, err := n.store.Spare(); {
	case err != nil:
		reasons = append(reasons, "the disk cannot be read: "+err.Error())
	case spare == 0:
		reasons = append(reasons, "no disk space is left beside the reserve: nothing is written")
	}
	if err := n.store.Update(context.Background(), func(*store.Tx) error { return nil }); err != nil {
		reasons = append(reasons, "the database takes no writes: "+err.Error())
	}
	stops, err := n.dispatch.Stopped()
	if err != nil {
		reasons = append(reasons, "the database cannot be read: "+err.Error())
	}
	for _, s := range stops {
		reasons = append(reasons, "the exchange is stopped: "+s.Text)
	}
	switch f, err := n.witness.Figures(); {
	case err != nil:
		reasons = append(reasons, "the database cannot be read: "+err.Error())
	case f.OwnAlarms > 0:
		reasons = append(reasons, "members hold proof that this node's audit log was put back or forked: `proofmark witness show "+n.Config.Country+"`")
	}
	return reasons
}
