package node

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"proofmark/correlate/synth"
	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/node/membership"
	"proofmark/node/memory"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

var growthProfiles = flag.String("growth-profiles", "", "a folder that BenchmarkGrowth writes profiles of heap and goroutines at rest to")

var growthMembers = flag.String("growth", "5", "numbers of members that BenchmarkGrowth measures, such as 10,50,200")

// BenchmarkGrowth runs federations of real nodes, hosts and synced stores in one process, everyone connected with everyone, and says what one node takes,
// how long a publication needs to all of the others, and how long a new version of the roster that one member installs needs until it is in force at half of
// them and at all. Sizes are chosen with -growth=10,50,200; an iteration is one publication and one version. Memory is the process's own, divided: a size
// that is measured after another shows what that one left.
func BenchmarkGrowth(b *testing.B) {
	if dir := os.Getenv(growthFolders); dir != "" { // as another process, below
		n, err := strconv.Atoi(*growthMembers)
		if err != nil {
			b.Fatal(err)
		}
		found(b, dir, n)
		return
	}
	for _, text := range strings.Split(*growthMembers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 2 {
			b.Fatalf("-growth=%s: not a number of members", text)
		}
		b.Run("members="+text, func(b *testing.B) { grow(b, n) })
	}
}

// growthFolders names the environment variable that has a process make the nodes' folders, in the folder that it says.
const growthFolders = "PROOFMARK_GROWTH_FOLDERS"

const rosterFile, holderFile = "roster.json", "holder-%d" // beside the nodes' folders

// found makes the folders of a federation: each member has installed the first roster before it starts for the first time.
func found(b *testing.B, dir string, n int) {
	var bureaus []*bureau
	for _, c := range countryCodes(n) {
		bureaus = append(bureaus, makeBureau(b, filepath.Join(dir, c), c))
	}
	doc, private := compose(b, bureaus...)
	raw, err := doc.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, rosterFile), raw, 0o600); err != nil {
		b.Fatal(err)
	}
	for i, p := range private {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf(holderFile, i)), p, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	admin := desk.Actor{Name: "admin", Roles: []string{policy.Administrator}}
	for _, m := range bureaus {
		node, err := Open(m.dir, []byte(testPassphrase), Options{Cost: crypto.TestCost})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := node.membership.Install(b.Context(), admin, "", [][]byte{raw}, doc.Hash()); err != nil {
			b.Fatal(err)
		}
		if err := node.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// founded reads what found wrote beside the folders.
func founded(b *testing.B, dir string) (doc *roster.Document, keys []*roster.HolderKey) {
	raw, err := os.ReadFile(filepath.Join(dir, rosterFile))
	if err != nil {
		b.Fatal(err)
	}
	if doc, err = roster.Parse(raw); err != nil {
		b.Fatal(err)
	}
	for i := range 2 {
		private, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf(holderFile, i)))
		if err != nil {
			b.Fatal(err)
		}
		k, err := roster.OpenHolder(private, []byte(testPassphrase))
		if err != nil {
			b.Fatal(err)
		}
		keys = append(keys, k)
	}
	return doc, keys
}

// boundAsDaemons gives each of n nodes in this process the collector's room that it would have as a daemon of its own.
func boundAsDaemons(ctx context.Context, n int) {
	tick := time.NewTicker(memory.Look)
	defer tick.Stop()
	for {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(sample)
		debug.SetGCPercent(memory.Percent(sample[0].Value.Uint64()/uint64(n), store.TableBytes()/uint64(n)))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func grow(b *testing.B, n int) {
	// The folders are made by another process, as `proofmark init` and `proofmark join` make them: the tables in memory of two hundred stores that were opened for it and
	// closed would count as these nodes'.
	dir := shortTemp(b)
	child := exec.Command(os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkGrowth$", "-test.benchtime=1x", "-growth="+strconv.Itoa(n))
	child.Env = append(os.Environ(), growthFolders+"="+dir)
	if out, err := child.CombinedOutput(); err != nil {
		b.Fatalf("make %d folders: %v\n%s", n, err, out)
	}
	list, keys := founded(b, dir)
	bureaus := make([]*bureau, n)
	for i, c := range countryCodes(n) {
		bureaus[i] = &bureau{t: b, country: c, dir: filepath.Join(dir, c), people: map[string]*control.Client{}}
	}
	// A store's table in memory is hardly written to, but resident whole where Go has to fill it with zeros, on pages used before: seemingly by chance, where many stores are opened one
	// after another. So nothing is collected, and no page used again, meanwhile. Figures of before this are not to be set beside those of now.
	collect := debug.SetGCPercent(-1)
	for i, m := range bureaus {
		m.open()
		tell(b, bureaus[:i+1], "%d of %d members opened", i+1, n)
	}
	defer debug.SetGCPercent(collect)
	bounding, unbound := context.WithCancel(b.Context())
	defer unbound()
	go boundAsDaemons(bounding, n)
	ready := make([]func(), n)
	for i, m := range bureaus { // all at once: most of a federation is up at most times
		ready[i] = m.run()
	}
	for i, wait := range ready {
		wait()
		tell(b, bureaus, "%d of %d members run", i+1, n)
	}
	bureaus[0].login(roles)
	begun := time.Now() // of the last start: the first ones dial already
	want := n * (n - 1)
	wait(b, "everybody is connected with everybody", func() bool {
		have := connections(bureaus)
		tell(b, bureaus, "%d of %d connections", have, want)
		return have == want
	})
	mesh := time.Since(begun)
	settle(b, bureaus)
	for range 4 { // a node at rest collects every two minutes, and each collection halves the stacks that the handshakes had needed
		runtime.GC()
	}
	debug.FreeOSMemory()
	resident, goroutines := residentMB(b, os.Getpid()), runtime.NumGoroutine()
	profile(b, n)
	held := holdings(b)
	maker := synth.NewMaker(1)
	var whole, half, everywhere []time.Duration
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		scan := bureaus[0].prepare(fmt.Sprintf("E-%d", i), maker.Firearm(1).Fire(uint64(i)+1, synth.Shot{}))
		b.StartTimer()
		if _, err := control.Upload[*ballistics.Acquisition](b.Context(), bureaus[0].people["tech"], "acquire", "",
			ballistics.NewAcquisition{Exhibit: fmt.Sprintf("E-%d", i), ROI: "breech-face", Scans: []ballistics.File{{Name: "scan.x3p", Size: int64(len(scan))}}}, scan); err != nil {
			b.Fatal(err)
		}
		acquired := time.Now()
		wait(b, "the publication has reached all", func() bool {
			for _, m := range bureaus[1:] {
				if m.accepted() < i+1 {
					return false
				}
			}
			return true
		})
		whole = append(whole, time.Since(acquired))
		b.StopTimer()
		var toHalf, toAll time.Duration
		list, toHalf, toAll = renew(b, bureaus, list, keys)
		half, everywhere = append(half, toHalf), append(everywhere, toAll)
		b.StartTimer()
	}
	b.ReportMetric(mesh.Seconds(), "s-mesh")
	b.ReportMetric(resident/float64(n), "MB/node")
	for class, bytes := range held {
		b.ReportMetric(bytes/(1<<20)/float64(n), class)
	}
	b.ReportMetric(float64(goroutines)/float64(n), "goroutines/node")
	b.ReportMetric(float64(open(bureaus))/float64(n), "connections/node")
	b.ReportMetric(ms(whole, 50)/1000, "s-to-all-p50")
	b.ReportMetric(ms(whole, 100)/1000, "s-to-all-max")
	b.ReportMetric(ms(half, 50)/1000, "s-roster-half-p50")
	b.ReportMetric(ms(everywhere, 50)/1000, "s-roster-all-p50")
	b.ReportMetric(ms(everywhere, 100)/1000, "s-roster-all-max")
	var wg sync.WaitGroup
	for _, m := range bureaus {
		wg.Go(m.halt)
	}
	wg.Wait()
}

// renew has the first member install the next version of the roster, and tells how long it takes from the end of that command until the version is in
// force at half of all members, and at all.
func renew(b *testing.B, bureaus []*bureau, list *roster.Document, keys []*roster.HolderKey) (next *roster.Document, toHalf, toAll time.Duration) {
	next, err := list.Next(time.Now())
	if err != nil {
		b.Fatal(err)
	}
	for _, k := range keys {
		if err := next.Sign(k); err != nil {
			b.Fatal(err)
		}
	}
	raw, err := next.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	call[*membership.Installed](b, bureaus[0].people["admin"], "roster.install", control.InstallRequest{Documents: [][]byte{raw}})
	installed, version := time.Now(), next.Roster().Version
	wait(b, "the roster is in force everywhere", func() bool {
		n := 0
		for _, m := range bureaus {
			if r := m.node.membership.Current(); r != nil && r.Version == version {
				n++
			}
		}
		if toHalf == 0 && 2*n >= len(bureaus) {
			toHalf = time.Since(installed)
		}
		return n == len(bureaus)
	})
	return next, toHalf, time.Since(installed)
}

// holdings says of what the process's memory is: bytes by class, apart from the store's files that are mapped.
func holdings(b *testing.B) map[string]float64 {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}, {Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/metadata/other:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	out := map[string]float64{}
	for _, s := range samples {
		out["MB-"+strings.NewReplacer("/memory/classes/", "", ":bytes", "", "/", "-").Replace(s.Name)] = float64(s.Value.Uint64())
	}
	f, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(f)) {
		if kb, ok := strings.CutPrefix(line, "RssFile:"); ok {
			n, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(kb), " kB"), 64)
			out["MB-files"] = n * 1024
		}
	}
	return out
}

// profile writes what lives, by where it was allocated, and the goroutines.
func profile(b *testing.B, n int) {
	if *growthProfiles == "" {
		return
	}
	for _, name := range []string{"heap", "goroutine"} {
		f, err := os.Create(filepath.Join(*growthProfiles, fmt.Sprintf("%s-%d.pprof", name, n)))
		if err != nil {
			b.Fatal(err)
		}
		if err := errors.Join(pprof.Lookup(name).WriteTo(f, 0), f.Close()); err != nil {
			b.Fatal(err)
		}
	}
}

// countryCodes lists codes that exist.
func countryCodes(n int) (out []string) {
	for c := range 26 * 26 {
		code := string([]byte{'A' + byte(c/26), 'A' + byte(c%26)})
		if _, err := protocol.ParseCountry(code); err == nil && len(out) < n {
			out = append(out, code)
		}
	}
	return out
}

// connections counts how many members each node sees connected, together.
func connections(bureaus []*bureau) (n int) {
	for _, m := range bureaus {
		for _, p := range m.node.exchange.Peers() {
			if p.Connected {
				n++
			}
		}
	}
	return n
}

// open counts the ends of connections, those that two nodes have twice among them.
func open(bureaus []*bureau) (n int) {
	for _, m := range bureaus {
		n += m.node.exchange.Connections()
	}
	return n
}

// tell writes to standard error how far it is, each ten seconds at most, with what the process costs.
func tell(b *testing.B, bureaus []*bureau, format string, a ...any) {
	if time.Since(told) < 10*time.Second {
		return
	}
	told = time.Now()
	fmt.Fprintf(os.Stderr, "%s: %s; %.0f MB/node\n", told.Format(time.TimeOnly), fmt.Sprintf(format, a...), residentMB(b, os.Getpid())/float64(len(bureaus)))
}

var told time.Time // when tell last wrote

// settle waits until the nodes are at rest: doubled connections are closed, hosts learn of each other after connecting, and streams with nothing to send end after
// half a minute at the one who opened them and after a whole one at the other.
func settle(b *testing.B, bureaus []*bureau) {
	const still = 90 * time.Second
	connections, running, since := -1, 0, time.Now()
	wait(b, "the nodes come to rest", func() bool {
		n, g := open(bureaus), runtime.NumGoroutine()
		tell(b, bureaus, "%d connections, %d goroutines", n, g)
		if n != connections || 100*g < 99*running || 100*g > 101*running {
			connections, running, since = n, g, time.Now()
		}
		return time.Since(since) > still
	})
}

func wait(b *testing.B, what string, done func() bool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Minute)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			b.Fatalf("not within 20 minutes: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// accepted counts the foreign signatures that a node has taken in.
func (b *bureau) accepted() (n int) {
	b.t.Helper()
	if err := b.node.store.View(func(tx *store.Tx) error {
		list, err := b.node.dispatch.List(tx, dispatch.DocumentFilter{Status: dispatch.Accepted, Limit: 1000})
		n = len(list)
		return err
	}); err != nil {
		b.t.Fatal(err)
	}
	return n
}

// residentMB is what a process holds in memory.
func residentMB(t testing.TB, process int) float64 {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", process))
	if err != nil {
		t.Skipf("no figures of memory on this system: %v", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if kb, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			n, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(kb), " kB"), 64)
			return n / 1024
		}
	}
	return 0
}
