// Command exchange measures durable deliveries per second between two processes, Proofmark's exchange beside a NATS JetStream file stream:
// the same bytes, the same disk, the same number of messages under way. It is a module of its own, so that the product does not depend on NATS.
// It knows how to set both up and to count; what a figure is worth is said in docs/performance.md.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"
)

// run is one measurement: one system with a number of messages under way.
type run struct {
	System      string
	Outstanding int
	For         time.Duration
	Dir         string // of both ends' files
	Transport   string // of Proofmark: quic or tcp
	Profile     string // prefix of files with processor profiles; empty: none
}

func main() {
	log.SetFlags(0)
	var (
		r           run
		role        = flag.String("role", "", "internal: sender or receiver, in a process of its own")
		outstanding = flag.String("outstanding", "1,64,1024", "numbers of messages under way")
		systems     = flag.String("systems", "nats,proofmark", "what to measure")
		rounds      = flag.Int("rounds", 3, "how often each is measured, by turns; the median is shown")
	)
	flag.DurationVar(&r.For, "for", 10*time.Second, "length of each measurement, which begins a fifth of it after the first delivery")
	flag.StringVar(&r.Dir, "dir", "", "folder on the disk to measure (default: the system's folder for temporary files)")
	flag.StringVar(&r.Transport, "transport", "quic", "of Proofmark: quic or tcp")
	flag.StringVar(&r.Profile, "profile", "", "write profiles of processor and memory to files that begin with this")
	flag.StringVar(&r.System, "system", "", "internal: what this process measures")
	flag.IntVar(&r.Outstanding, "n", 1, "internal: messages under way")
	flag.Parse()
	err := errors.New("unknown role " + *role)
	switch *role {
	case "":
		err = compare(r, strings.Split(*systems, ","), strings.Split(*outstanding, ","), *rounds)
	case "sender":
		err = profiled(r, *role, func() error { return send(r) })
	case "receiver":
		err = profiled(r, *role, func() error { return receive(r) })
	}
	if err != nil {
		log.Fatalf("exchange: %v", err)
	}
}

func profiled(r run, role string, f func() error) error {
	if r.Profile == "" {
		return f()
	}
	file, err := os.Create(fmt.Sprintf("%s-%s-%d-%s.cpu", r.Profile, r.System, r.Outstanding, role))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	defer func() {
		pprof.StopCPUProfile()
		if memory, err := os.Create(strings.TrimSuffix(file.Name(), "cpu") + "mem"); err == nil {
			_ = pprof.Lookup("allocs").WriteTo(memory, 0)
			_ = memory.Close()
		}
	}()
	return f()
}

// compare measures all systems by turns, so that a busy neighbour meets each of them, and prints a table.
func compare(r run, systems, outstanding []string, rounds int) error {
	fmt.Printf("%d bytes a message, %s a measurement, median of %d\n\n", len(samplePayload()), r.For, rounds)
	fmt.Printf("| under way | system | deliveries/s | ratio | p50 ms | p99 ms | cpu ms | allocations | bytes allocated | commits |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, text := range outstanding {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("outstanding %q: not a number of messages", text)
		}
		results := map[string][]result{}
		for range rounds {
			for _, s := range systems {
				r.System, r.Outstanding = s, n
				one, err := inProcess(r)
				if err != nil {
					return fmt.Errorf("%s with %d under way: %w", s, n, err)
				}
				results[s] = append(results[s], one)
			}
		}
		first := 0.0
		for _, s := range systems {
			m := median(results[s])
			if first == 0 {
				first = m.PerSecond
			}
			fmt.Printf("| %d | %s | %.0f | %.2f | %.2f | %.2f | %.2f | %.0f | %.0f | %.2f |\n", n, s, m.PerSecond, m.PerSecond/first, m.P50, m.P99, m.CPU, m.Allocs, m.Bytes, m.Commits)
		}
	}
	return nil
}

func median(all []result) result {
	slices.SortFunc(all, func(a, b result) int { return int(a.PerSecond - b.PerSecond) })
	return all[len(all)/2]
}

// inProcess runs one measurement in two fresh processes on an empty folder.
func inProcess(r run) (out result, err error) {
	if r.Dir, err = os.MkdirTemp(r.Dir, "exchange-"); err != nil {
		return out, err
	}
	defer os.RemoveAll(r.Dir)
	cmd := child(r, "sender")
	b, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	return out, err
}

func child(r run, role string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-role", role, "-system", r.System, "-n", strconv.Itoa(r.Outstanding), "-for", r.For.String(), "-dir", r.Dir,
		"-transport", r.Transport, "-profile", r.Profile)
	cmd.Stderr = os.Stderr
	return cmd
}

// receiver is the other process, as the sender sees it: it says one line when it is ready, and one with its usage for each line it is sent.
type receiver struct {
	cmd  *exec.Cmd
	say  *bufio.Writer
	hear *bufio.Scanner
}

func startReceiver(r run, about string) (*receiver, string, error) {
	cmd := child(r, "receiver")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	p := &receiver{cmd: cmd, say: bufio.NewWriter(in), hear: bufio.NewScanner(out)}
	ready, err := p.ask(about)
	return p, ready, err
}

func (p *receiver) ask(line string) (string, error) {
	fmt.Fprintln(p.say, line)
	if err := p.say.Flush(); err != nil {
		return "", err
	}
	if !p.hear.Scan() {
		return "", fmt.Errorf("the receiver ended: %w", errors.Join(p.hear.Err(), p.cmd.Wait()))
	}
	return p.hear.Text(), nil
}

func (p *receiver) usage() (u usage, err error) {
	line, err := p.ask("usage")
	if err == nil {
		err = json.Unmarshal([]byte(line), &u)
	}
	return u, err
}

func (p *receiver) end() error {
	_, _ = p.ask("end")
	return p.cmd.Wait()
}
