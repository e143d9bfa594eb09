package node

import (
	"crypto/rand"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat"

	"proofmark/correlate/synth"
	"proofmark/node/control"
	"proofmark/node/release"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// BenchmarkHiddenAnswer measures, at the end of the one who asks, whether the answer about an exhibit that it was never told of can be told by its time
// from the answer about one that does not exist: two samples of 1,000 answers each, asked in random order over real hosts on loopback and synced stores,
// with a tick of 100 ms. Two times are compared by the two-sample Kolmogorov–Smirnov test: from question to answer, and from the last tick to the answer,
// which lets the phase of the question out and so sees more. Reported are D and p of each, and the smallest delay of all hidden answers that the second
// test tells from none at p < 0.01.
func BenchmarkHiddenAnswer(b *testing.B) {
	const sample, workers, tick = 1000, 4, 100 * time.Millisecond
	es, fr := newBureau(b, "ES"), newBureau(b, "FR")
	denied := "forbid (principal == Country::\"FR\", action == Action::\"share\", resource is Signature);\n"
	if err := os.WriteFile(filepath.Join(es.dir, policyDir, "99-fr.cedar"), []byte(denied), 0o600); err != nil {
		b.Fatal(err)
	}
	const budgets = "[[country]]\nasks = \"scan\"\nlimit = 100000\nper = \"P1D\"\n\n[[person]]\ndoes = \"scan:request\"\nlimit = 100000\nper = \"P1D\"\n"
	for _, n := range []*bureau{es, fr} {
		if err := os.WriteFile(filepath.Join(n.dir, policyDir, policy.BudgetsFile), []byte(budgets), 0o600); err != nil {
			b.Fatal(err)
		}
		n.scans = scanPace{tick: tick, quota: 1 << 20}
		n.start()
		n.login(roles)
	}
	federate(b, es, fr)
	var hidden []string
	for i := range workers {
		hidden = append(hidden, es.enrol(fmt.Sprintf("ES-%d", i), synth.NewMaker(1).Firearm(uint64(i)).Fire(1, synth.Shot{})).Signature)
	}
	for b.Loop() {
		kinds := make([]bool, 2*sample) // true: it exists
		for i := range kinds[:sample] {
			kinds[i] = true
		}
		mathrand.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		var mu sync.Mutex
		times := map[bool]*answerTimes{true: {}, false: {}}
		var all sync.WaitGroup
		for w := range workers {
			all.Go(func() {
				for i := w; i < len(kinds); i += workers {
					signature := hidden[w]
					if !kinds[i] {
						id, err := protocol.NewDocumentID("ES", time.Now(), rand.Reader)
						if err != nil {
							b.Error(err)
							return
						}
						signature = id
					}
					r, err := fr.answered(signature)
					if err != nil {
						b.Error(err)
						return
					}
					mu.Lock()
					times[kinds[i]].add(r, tick)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if b.Failed() {
			return
		}
		whole, pWhole := smirnov(times[true].whole, times[false].whole)
		past, pPast := smirnov(times[true].past, times[false].past)
		b.ReportMetric(whole, "D-question-to-answer")
		b.ReportMetric(pWhole, "p-question-to-answer")
		b.ReportMetric(past, "D-past-the-tick")
		b.ReportMetric(pPast, "p-past-the-tick")
		b.ReportMetric(stat.Quantile(0.5, stat.Empirical, times[true].past, nil)*1e3, "hidden-p50-ms")
		b.ReportMetric(stat.Quantile(0.5, stat.Empirical, times[false].past, nil)*1e3, "absent-p50-ms")
		b.ReportMetric(detectable(times[true].past, times[true].past)*1e3, "told-apart-ms")
	}
}

// answerTimes are in seconds, sorted.
type answerTimes struct{ whole, past []float64 }

func (a *answerTimes) add(r *release.Request, tick time.Duration) {
	insert := func(list []float64, d time.Duration) []float64 {
		i, _ := slices.BinarySearch(list, d.Seconds())
		return slices.Insert(list, i, d.Seconds())
	}
	a.whole = insert(a.whole, r.Refusal.At.Sub(r.Created))
	a.past = insert(a.past, r.Refusal.At.Sub(r.Refusal.At.Truncate(tick)))
}

// answered asks and waits for the answer; the times in what it returns are those of the asking node's own transactions.
func (b *bureau) answered(signature string) (r *release.Request, err error) {
	r, err = control.Call[*release.Request](b.t.Context(), b.people["exam1"], "scan.request", "", release.Ask{Signature: signature, Reason: "a guess"})
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(time.Minute); r.State != release.Refused; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return nil, fmt.Errorf("request %s was not answered within a minute", r.Number)
		}
		err := b.node.store.View(func(tx *store.Tx) (err error) {
			r, err = store.NewCollection[release.Request]("scan-request").Get(tx, r.ID)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if r.Refusal.Code != protocol.ScanUnknown {
		return nil, fmt.Errorf("request %s was answered with %s", r.Number, r.Refusal.Code)
	}
	return r, nil
}

// smirnov is the two-sample Kolmogorov–Smirnov test of sorted samples: the largest distance D of their distribution functions, and the probability p of
// one at least as large if both come from one distribution, by the asymptotic formula with Stephens' correction for finite samples (M. A. Stephens, Use
// of the Kolmogorov–Smirnov, Cramér–von Mises and related statistics without extensive tables, J. R. Stat. Soc. B 32, 1970).
func smirnov(x, y []float64) (d, p float64) {
	d = stat.KolmogorovSmirnov(x, nil, y, nil)
	n := math.Sqrt(float64(len(x)) * float64(len(y)) / float64(len(x)+len(y)))
	lambda := (n + 0.12 + 0.11/n) * d
	if lambda < 0.2 {
		return d, 1 // the series converges slowly, and its sum is 1 to twelve digits
	}
	for j, sign := 1.0, 1.0; j <= 100; j, sign = j+1, -sign {
		p += 2 * sign * math.Exp(-2*j*j*lambda*lambda)
	}
	return d, min(max(p, 0), 1)
}

// detectable is the smallest delay, in seconds and in steps of 50 µs, by which all of y would have to come later to be told from x at p < 0.01.
func detectable(x, y []float64) float64 {
	for delay := 0.0; ; delay += 50e-6 {
		late := slices.Clone(y)
		for i := range late {
			late[i] += delay
		}
		if _, p := smirnov(x, late); p < 0.01 {
			return delay
		}
	}
}

// TestSmirnov: samples of one distribution are not told apart, those of two are, and p is what the published table says (critical values of D for large
// samples are 1.224, 1.358 and 1.628 over √n at 10, 5 and 1 %).
func TestSmirnov(t *testing.T) {
	random := mathrand.New(mathrand.NewPCG(1, 2))
	draw := func(shift float64) []float64 {
		out := make([]float64, 1000)
		for i := range out {
			out[i] = random.NormFloat64() + shift
		}
		slices.Sort(out)
		return out
	}
	if d, p := smirnov(draw(0), draw(0)); p < 0.01 {
		t.Errorf("one distribution: D %.3f, p %.4f", d, p)
	}
	if d, p := smirnov(draw(0), draw(0.2)); p > 0.01 {
		t.Errorf("two distributions: D %.3f, p %.4f", d, p)
	}
	if x := draw(0); detectable(x, x) < 0.02 || detectable(x, x) > 0.2 {
		t.Errorf("a shift of %v is told apart", detectable(x, x))
	}
	for critical, want := range map[float64]float64{1.224: 0.10, 1.358: 0.05, 1.628: 0.01} {
		n := 1_000_000
		x, y := make([]float64, n), make([]float64, n)
		move := critical * math.Sqrt(2/float64(n)) // of a uniform distribution: D is the shift
		for i := range x {
			x[i] = float64(i) / float64(n)
			y[i] = x[i] + move
		}
		if _, p := smirnov(x, y); math.Abs(p-want) > 0.002 {
			t.Errorf("at %.3f: p %.4f, want %.2f", critical, p, want)
		}
	}
}
