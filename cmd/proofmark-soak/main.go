// Proofmark-soak runs some nodes of one federation for a while, works at all of them and harms them at random: kills, cuts, tampering, full disks, wrong
// clocks. Then it compares both ends of every channel and both logs, entry by entry. It exits with 1 if it finds any discrepancy, with 2 if it could not
// be run.
package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"proofmark/cmd/proofmark-soak/terrain"
)

// Exit codes.
const (
	exitOK      = 0
	exitFound   = 1
	exitBroken  = 2
	leastNodes  = 2
	mostNodes   = 12
	leastMinute = 0.2
)

type options struct {
	Minutes  float64 `help:"How long to harm the nodes, in minutes." default:"10"`
	Seed     uint64  `help:"Seed of faults and load; drawn if 0."`
	Nodes    int     `help:"How many nodes." default:"5"`
	Program  string  `help:"The proofmark program, built with the tag soak." default:"bin/proofmark-for-soak" type:"existingfile"`
	Dir      string  `help:"Folder for logs, and for everything where a fault is found; a temporary one if empty." type:"path"`
	Loopback bool    `help:"Use loopback addresses even where network namespaces can be made."`
	JSON     bool    `help:"Print the report as JSON."`
}

func main() {
	var o options
	kong.Parse(&o, kong.Name("proofmark-soak"), kong.Description("Run a federation under faults and compare what both ends have written down."))
	os.Exit(start(o))
}

func start(o options) int {
	if o.Nodes < leastNodes || o.Nodes > mostNodes || o.Minutes < leastMinute {
		fmt.Fprintf(os.Stderr, "proofmark-soak: %d to %d nodes for at least %v minutes\n", leastNodes, mostNodes, leastMinute)
		return exitBroken
	}
	namespaces := false
	if !o.Loopback {
		within, code, err := terrain.Enter()
		switch {
		case err != nil:
			fmt.Fprintf(os.Stderr, "proofmark-soak: %v: the nodes run on loopback addresses, without disks of their own; the proxies cut the ways between them\n", err)
		case !within:
			return code
		}
		namespaces = within
	}
	if o.Seed == 0 {
		var b [4]byte
		if _, err := rand.Read(b[:]); err != nil {
			fmt.Fprintln(os.Stderr, "proofmark-soak:", err)
			return exitBroken
		}
		o.Seed = uint64(binary.BigEndian.Uint32(b[:])) + 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	out := io.Writer(os.Stdout)
	if o.JSON {
		out = os.Stderr
	}
	r, err := run(ctx, o, namespaces, out)
	if r != nil {
		if o.JSON {
			enc := json.NewEncoder(os.Stdout)
			enc.SetIndent("", "  ")
			err = errors.Join(err, enc.Encode(r))
		} else {
			r.print(os.Stdout)
		}
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "proofmark-soak:", err)
		return exitBroken
	case len(r.Findings) > 0:
		return exitFound
	}
	return exitOK
}

// again is the command line that does the same once more.
func (o options) again() string {
	return fmt.Sprintf("make soak MINUTES=%v SEED=%d NODES=%d", o.Minutes, o.Seed, o.Nodes)
}

func (o options) length() time.Duration { return time.Duration(o.Minutes * float64(time.Minute)) }
