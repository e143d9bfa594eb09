// Package terrain is the ground on which the nodes of a soak stand: a network namespace and a small disk for each, joined by a bridge on which they reach
// each other only through the proxies before them; or loopback addresses and plain folders, where the machine lets nobody make namespaces. It refuses to
// know what stands on it.
package terrain

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Ground is prepared ground for some nodes, counted from 0.
type Ground struct {
	Namespaces bool
	Nodes      int
	Dropped    int64 // packets, by all cuts so far
}

// port is where every node and every proxy listens.
const port = 4931

// inside marks the process that stands in the hub's namespace.
const inside = "PROOFMARK_SOAK_INSIDE"

// Enter puts this process into namespaces of its own for network and mounts, by starting it again in them; what is made in them vanishes with it. It
// returns whether this is that process; otherwise the caller exits with the code, or, where the error says that there can be no namespaces, goes on on
// loopback.
func Enter() (within bool, code int, err error) {
	if os.Getenv(inside) != "" {
		return true, 0, nil
	}
	if os.Geteuid() != 0 {
		return false, 0, errors.New("network namespaces are made by root alone")
	}
	for _, tool := range []string{"ip", "nft", "mount"} {
		if _, err := exec.LookPath(tool); err != nil {
			return false, 0, fmt.Errorf("%s is missing", tool)
		}
	}
	flags := uintptr(syscall.CLONE_NEWNET | syscall.CLONE_NEWNS)
	probe := exec.Command("ip", "link", "add", "probe", "type", "bridge")
	probe.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	if out, err := probe.CombinedOutput(); err != nil {
		return false, 0, fmt.Errorf("a bridge in a network namespace cannot be made: %w: %s", err, strings.TrimSpace(string(out)))
	}
	program, err := os.Executable()
	if err != nil {
		return false, 0, err
	}
	c := exec.Command(program, os.Args[1:]...)
	c.Env = append(os.Environ(), inside+"=1")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: flags, Pdeathsig: syscall.SIGTERM}
	err = c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return false, max(exit.ExitCode(), 1), nil
	}
	return false, 0, err
}

// Prepare makes the ground for so many nodes.
func Prepare(nodes int, namespaces bool) (*Ground, error) {
	g := &Ground{Namespaces: namespaces, Nodes: nodes}
	if !namespaces {
		return g, nil
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return nil, fmt.Errorf("ground: %w", err)
	}
	steps := []string{
		"mount -t tmpfs soak /run/netns",
		"ip link set lo up",
		"ip link add hub type bridge",
		"ip link set hub up",
		"ip addr add 10.66.0.1/16 dev hub",
	}
	for i := range nodes {
		steps = append(steps,
			fmt.Sprintf("ip addr add %s/16 dev hub", g.Proxy(i).Addr()),
			fmt.Sprintf("ip netns add soak%d", i),
			fmt.Sprintf("ip link add port%d type veth peer name eth0 netns soak%d", i, i),
			fmt.Sprintf("ip link set port%d master hub up", i),
			fmt.Sprintf("ip link set port%d type bridge_slave isolated on", i), // nodes reach the proxies, not each other
			fmt.Sprintf("ip -n soak%d addr add %s/16 dev eth0", i, g.Node(i).Addr()),
			fmt.Sprintf("ip -n soak%d link set eth0 up", i),
			fmt.Sprintf("ip -n soak%d link set lo up", i),
		)
	}
	for _, s := range steps {
		if err := run(s); err != nil {
			return nil, err
		}
	}
	return g, g.Cut(nil)
}

func run(line string) error {
	f := strings.Fields(line)
	if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("ground: %s: %w: %s", line, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Node is where node i listens, Proxy where the others find it.
func (g *Ground) Node(i int) netip.AddrPort { return g.at(0, i) }

// Proxy is the address before node i.
func (g *Ground) Proxy(i int) netip.AddrPort { return g.at(1, i) }

func (g *Ground) at(row byte, i int) netip.AddrPort {
	a := [4]byte{10, 66, row, byte(11 + i)}
	if !g.Namespaces {
		a = [4]byte{127, 0, 1 + row, byte(11 + i)}
	}
	return netip.AddrPortFrom(netip.AddrFrom4(a), port)
}

// Who is the node with an address, −1 for none: on loopback, TCP does not show it.
func (g *Ground) Who(a netip.Addr) int {
	for i := range g.Nodes {
		if g.Node(i).Addr() == a {
			return i
		}
	}
	return -1
}

// Bind is the address from which a node's connections are carried on: that of the proxy before it.
func (g *Ground) Bind(i int) netip.Addr { return g.Proxy(i).Addr() }

// Multiaddrs writes an address for QUIC and for TCP.
func Multiaddrs(a netip.AddrPort) []string {
	return []string{fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", a.Addr(), a.Port()), fmt.Sprintf("/ip4/%s/tcp/%d", a.Addr(), a.Port())}
}

// Command is the command that runs a program as node i.
func (g *Ground) Command(i int, program string, args ...string) *exec.Cmd {
	if g.Namespaces {
		args = append([]string{"netns", "exec", fmt.Sprintf("soak%d", i), program}, args...)
		program = "ip"
	}
	return exec.Command(program, args...)
}

// Disk puts a small disk at dir, or makes the folder where there are no namespaces. It reports whether there is one.
func (g *Ground) Disk(dir string, megabytes int) (bool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, fmt.Errorf("ground: %w", err)
	}
	if !g.Namespaces {
		return false, nil
	}
	return true, run(fmt.Sprintf("mount -t tmpfs -o size=%dm,mode=0700 soak %s", megabytes, dir))
}

// Filler is the file that fills a node's disk.
func Filler(dir string) string { return filepath.Join(dir, "filler") }

// Fill leaves only so many bytes free on the disk at dir.
func Fill(dir string, free uint64) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return err
	}
	f, err := os.OpenFile(Filler(dir), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	avail := st.Bavail * uint64(st.Bsize)
	zeros := make([]byte, 1<<20)
	for avail > free {
		n, err := f.Write(zeros[:min(avail-free, uint64(len(zeros)))])
		if errors.Is(err, syscall.ENOSPC) {
			return nil
		}
		if err != nil {
			return err
		}
		avail -= uint64(n)
	}
	return nil
}

// Empty takes the filler away.
func Empty(dir string) error {
	err := os.Remove(Filler(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
