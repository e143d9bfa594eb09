package terrain

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// Cut drops packets from one node to another: all of them at a Share of 1.
type Cut struct {
	From, To int
	Share    float64
}

// rules writes what the packet filter of the hub has to do. A node's packets for another all go to the proxy before that other one, whether the node
// has dialled or was dialled.
func (g *Ground) rules(cuts []Cut) string {
	var b strings.Builder
	b.WriteString("table inet soak\ndelete table inet soak\ntable inet soak {\n\tchain in {\n\t\ttype filter hook input priority 0;\n")
	for _, c := range cuts {
		fmt.Fprintf(&b, "\t\tip saddr %s ip daddr %s ", g.Node(c.From).Addr(), g.Proxy(c.To).Addr())
		if c.Share < 1 {
			fmt.Fprintf(&b, "numgen random mod 1000 < %d ", max(1, int(c.Share*1000)))
		}
		b.WriteString("counter drop\n")
	}
	b.WriteString("\t}\n}\n")
	return b.String()
}

// Cut puts these cuts in force in place of all before. On loopback it does nothing: there the proxies do it.
func (g *Ground) Cut(cuts []Cut) error {
	if !g.Namespaces {
		return nil
	}
	if err := g.tally(); err != nil {
		return err
	}
	c := exec.Command("nft", "-f", "-")
	c.Stdin = strings.NewReader(g.rules(cuts))
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("ground: packet filter: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

var dropped = regexp.MustCompile(`counter packets (\d+) bytes \d+ drop`)

// tally adds up what the cuts in force have dropped, before they go.
func (g *Ground) tally() error {
	out, err := exec.Command("nft", "list", "ruleset").CombinedOutput()
	if err != nil {
		return fmt.Errorf("ground: packet filter: %w: %s", err, strings.TrimSpace(string(out)))
	}
	for _, m := range dropped.FindAllSubmatch(out, -1) {
		n, err := strconv.ParseInt(string(m[1]), 10, 64)
		if err != nil {
			return fmt.Errorf("ground: packet filter: %w", err)
		}
		g.Dropped += n
	}
	return nil
}
