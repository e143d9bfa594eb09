package proof

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/tlog"

	"proofmark/crypto"
	"proofmark/protocol"
)

// TypeReport is the typ header of a transparency report.
const TypeReport = "proofmark-report+jws"

// Limits of a report.
const (
	MaxReport = 16 << 20 // bytes, signed
	maxCounts = 50_000   // kinds of entries that are counted apart
	maxLine   = 4 << 10  // of one leaf in its file
	maxWindow = 8 << 20  // of the decompressor
)

// ErrReport marks a report that cannot be read, or whose figures are not what its leaves give.
var ErrReport = errors.New("the report does not hold")

// Report counts what a country's log holds of a period. Its leaves, header and body hash of every entry from First to before End, are in a file of their
// own: whoever has both recomputes the counts and the log's root, and learns of no object and no person.
type Report struct {
	Country protocol.Country `json:"country"`
	From    string           `json:"from"` // first day, YYYY-MM-DD in UTC
	To      string           `json:"to"`   // the day after the last one
	Made    time.Time        `json:"made"`

	// The period's entries, with one neighbour on each side where the log has one: it is of another day, so that nothing was cut off.
	First   int64   `json:"first"`
	End     int64   `json:"end"`
	Outside int64   `json:"outside"` // entries among them that are of other days, the neighbours too
	Counts  []Count `json:"counts"`  // of the others

	Edge        []tlog.Hash `json:"edge"`       // the log of First entries: hashes of its complete subtrees, the large ones first
	StartRoot   tlog.Hash   `json:"start_root"` // of the log with First entries
	EndRoot     tlog.Hash   `json:"end_root"`   // with End entries
	Consistency []tlog.Hash `json:"consistency"`
	Checkpoint  string      `json:"checkpoint"` // signed note of a later log, of which Consistency proves that it begins with the one of End entries
	Leaves      string      `json:"leaves"`     // SHA-256 of the leaves' file, hex
}

// Kind is what entries are counted by.
type Kind struct {
	Counterpart string               `json:"counterpart"` // the other country; empty for what concerned none
	Type        string               `json:"type"`        // of the document, or kind of the object; empty where the log does not say
	Action      protocol.AuditAction `json:"action"`
	Decision    string               `json:"decision"`
	Ground      string               `json:"ground"`
}

// Count is the number of entries of one kind.
type Count struct {
	Kind
	Entries int64 `json:"entries"`
}

// tally counts headers, and keeps the tree.
type tally struct {
	from, to string
	tree     *frontier
	counts   map[Kind]int64
	outside  int64
}

func (t *tally) add(header, bodyHash []byte) (protocol.AuditHeader, error) {
	var h protocol.AuditHeader
	if err := protocol.CheckJSON(header, maxHeader, maxEntryDepth); err != nil {
		return h, err
	}
	if err := json.Unmarshal(header, &h); err != nil {
		return h, err
	}
	if err := t.tree.append(protocol.AuditLeaf{Header: header, BodyHash: bodyHash}.Content()); err != nil {
		return h, err
	}
	if h.Day < t.from || h.Day >= t.to {
		t.outside++
		return h, nil
	}
	k := Kind{h.Counterpart, h.Type, h.Action, h.Decision, h.Ground}
	if _, known := t.counts[k]; !known && len(t.counts) == maxCounts {
		return h, fmt.Errorf("more than %d kinds of entries", maxCounts)
	}
	t.counts[k]++
	return h, nil
}

func (t *tally) list() []Count {
	out := make([]Count, 0, len(t.counts))
	for k, n := range t.counts {
		out = append(out, Count{k, n})
	}
	slices.SortFunc(out, func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.Counterpart, b.Counterpart), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Action, b.Action), cmp.Compare(a.Decision, b.Decision), cmp.Compare(a.Ground, b.Ground))
	})
	return out
}

// ReportMaker writes the leaves of a report and counts them. Its memory does not grow with their number.
type ReportMaker struct {
	r    Report
	t    tally
	sum  hash.Hash
	out  *zstd.Encoder
	line []byte
}

// NewReportMaker begins a report on the days from r.From to before r.To, with the entry r.First; hashes reads the log's tree.
func NewReportMaker(r Report, hashes tlog.HashReader, leaves io.Writer) (*ReportMaker, error) {
	tree, err := readFrontier(r.First, hashes)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	r.Edge = tree.edge()
	if r.StartRoot, err = tree.root(); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	m := &ReportMaker{r: r, t: tally{from: r.From, to: r.To, tree: tree, counts: map[Kind]int64{}}, sum: sha256.New()}
	if m.out, err = zstd.NewWriter(io.MultiWriter(leaves, m.sum), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20)); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return m, nil
}

// Add takes the next entry.
func (m *ReportMaker) Add(leaf protocol.AuditLeaf) error {
	at := m.t.tree.size
	if _, err := m.t.add(leaf.Header, leaf.BodyHash); err != nil {
		return fmt.Errorf("report: entry %d: %w", at, err)
	}
	m.line = base64.StdEncoding.AppendEncode(m.line[:0], leaf.BodyHash)
	m.line = append(append(append(m.line, ' '), leaf.Header...), '\n')
	if _, err := m.out.Write(m.line); err != nil {
		return fmt.Errorf("report: write leaves: %w", err)
	}
	return nil
}

// Close gives up a report that cannot be finished.
func (m *ReportMaker) Close() error { return m.out.Close() }

// Finish ends the leaves and signs the report. checkpoint is of a log of the given size, which has at least the entries that were added.
func (m *ReportMaker) Finish(size int64, hashes tlog.HashReader, checkpoint []byte, s *crypto.Signer) (string, error) {
	if err := m.out.Close(); err != nil {
		return "", fmt.Errorf("report: write leaves: %w", err)
	}
	r := m.r
	r.End, r.Outside, r.Counts, r.Checkpoint, r.Leaves = m.t.tree.size, m.t.outside, m.t.list(), string(checkpoint), hex.EncodeToString(m.sum.Sum(nil))
	var err error
	if r.EndRoot, err = m.t.tree.root(); err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	p, err := tlog.ProveTree(size, r.End, hashes)
	if err != nil {
		return "", fmt.Errorf("report: prove that a log of %d entries begins with these %d: %w", size, r.End, err)
	}
	r.Consistency = append([]tlog.Hash{}, p...)
	b, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	return s.Sign(TypeReport, b)
}

// ReportFound is what a report proves.
type ReportFound struct {
	Report
	Head      Head     `json:"log"`
	Proved    []string `json:"proved"`
	NotProved []string `json:"not_proved"`
}

// OpenReport verifies a report's signature by its country and reads it; what it counts is for CheckReport to verify.
func (t *Trust) OpenReport(signed string) (*Report, error) {
	signed = strings.TrimSpace(signed)
	payload, _, err := crypto.Unverified(signed, TypeReport, MaxReport)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	r, err := decodeReport(payload)
	if err != nil {
		return nil, err
	}
	if _, err := t.verify(r.Country, signed, TypeReport, MaxReport, func([]byte) (time.Time, error) { return r.Made, nil }); err != nil {
		return nil, fmt.Errorf("report of %s: %w", r.Country, err)
	}
	return r, nil
}

// ReadReport reads a report that comes from where it was signed: its signature is not verified.
func ReadReport(signed string) (*Report, error) {
	payload, _, err := crypto.Unverified(signed, TypeReport, MaxReport)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return decodeReport(payload)
}

func decodeReport(payload []byte) (*Report, error) {
	var r Report
	if err := decodeOnly(payload, MaxReport, 4, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReport, err)
	}
	if _, err := protocol.ParseCountry(string(r.Country)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReport, err)
	}
	for _, day := range []string{r.From, r.To} {
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			return nil, fmt.Errorf("%w: %.20q is not a day", ErrReport, day)
		}
	}
	if r.From >= r.To || r.First < 0 || r.End < r.First || r.End < 1 || len(r.Counts) > maxCounts {
		return nil, fmt.Errorf("%w: period, entries or counts do not fit", ErrReport)
	}
	return &r, nil
}

// CheckReport recomputes a report from the file of its leaves, whose size does not matter for memory. Nothing but the two and the roster is needed.
func CheckReport(r *Report, leaves io.Reader, t *Trust) (*ReportFound, error) {
	head, err := t.checkpoint(r.Country, []byte(r.Checkpoint))
	if err != nil {
		return nil, err
	}
	f := &ReportFound{Report: *r, Head: *head, Proved: []string{}, NotProved: []string{}}
	tree, err := givenFrontier(r.First, r.Edge)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReport, err)
	}
	if root, err := tree.root(); err != nil || root != r.StartRoot {
		return nil, fmt.Errorf("%w: the hashes at its start do not give the root that it names", ErrReport)
	}
	count := tally{from: r.From, to: r.To, tree: tree, counts: map[Kind]int64{}}
	before, behind, err := readLeaves(r, leaves, &count)
	if err != nil {
		return nil, fmt.Errorf("%w: the leaves: %w", ErrReport, err)
	}
	if root, err := tree.root(); err != nil || root != r.EndRoot {
		return nil, fmt.Errorf("%w: its leaves give the root %s, it names %s: an entry was changed, left out, added or moved", ErrReport, root, r.EndRoot)
	}
	if r.End > head.Size {
		return nil, fmt.Errorf("%w: it speaks of %d entries, its checkpoint of %d", ErrReport, r.End, head.Size)
	}
	if err := tlog.CheckTree(r.Consistency, head.Size, head.root, r.End, r.EndRoot); err != nil {
		return nil, fmt.Errorf("%w: the log of the checkpoint does not begin with these entries", ErrReport)
	}
	if !slices.Equal(count.list(), r.Counts) || count.outside != r.Outside {
		return nil, fmt.Errorf("%w: its figures are not what its leaves give", ErrReport)
	}
	f.say(t, before, behind)
	return f, nil
}

// readLeaves goes through the file. It tells whether the first and the last leaf are of days before and behind the period.
func readLeaves(r *Report, leaves io.Reader, count *tally) (before, behind bool, err error) {
	sum := sha256.New()
	all := io.TeeReader(leaves, sum)
	dec, err := zstd.NewReader(all, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return false, false, err
	}
	defer dec.Close()
	lines := bufio.NewScanner(dec)
	lines.Buffer(make([]byte, maxLine), maxLine)
	for lines.Scan() {
		at := count.tree.size
		if at == r.End {
			return false, false, fmt.Errorf("more than the %d that it speaks of", r.End-r.First)
		}
		text, header, ok := strings.Cut(lines.Text(), " ")
		bodyHash, err := base64.StdEncoding.Strict().DecodeString(text)
		if !ok || err != nil || len(bodyHash) != sha256.Size {
			return false, false, fmt.Errorf("entry %d is malformed", at)
		}
		h, err := count.add([]byte(header), bodyHash)
		if err != nil {
			return false, false, fmt.Errorf("entry %d: %w", at, err)
		}
		before = before || at == r.First && h.Day < r.From
		behind = at == r.End-1 && h.Day >= r.To
	}
	if err := lines.Err(); err != nil {
		return false, false, err
	}
	if count.tree.size != r.End {
		return false, false, fmt.Errorf("they end at entry %d, it speaks of those up to %d", count.tree.size, r.End)
	}
	if _, err := io.Copy(io.Discard, all); err != nil {
		return false, false, err
	}
	if hex.EncodeToString(sum.Sum(nil)) != r.Leaves {
		return false, false, errors.New("the file is not the one that was signed")
	}
	return before, behind, nil
}

func (f *ReportFound) say(t *Trust, before, behind bool) {
	proved := func(format string, args ...any) { f.Proved = append(f.Proved, fmt.Sprintf(format, args...)) }
	not := func(format string, args ...any) { f.NotProved = append(f.NotProved, fmt.Sprintf(format, args...)) }
	log := "signed by the log's own key"
	if len(f.Head.Cosigned) > 0 {
		log += ", cosigned by " + witnesses(f.Head.Cosigned)
	} else {
		not("That %s showed everybody this same log: no other member has cosigned its checkpoint.", f.Country)
	}
	proved("Every figure is the number of entries in the log of %s, at indexes %d to %d; the log with %d entries, %s, begins with them.", f.Country, f.First, f.End-1, f.Head.Size, log)
	switch {
	case (before || f.First == 0) && (behind || f.End == f.Head.Size):
		proved("No entry of these days was left out: the entries on both sides are of other days, or the log begins or ends there.")
	default:
		not("That no entry of these days lies elsewhere in the log: the entries on both sides are not both of other days. A clock that was set does that.")
	}
	not("That the entries are true, and that the entries' bodies say what the headers say: the bodies are not shown.")
	if !t.Anchored {
		not("That the roster is the federation's: it was taken as it is. Give --anchor, which you were told by another way than the file.")
	}
}
