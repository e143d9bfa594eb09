package evaluate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"time"

	"proofmark/correlate"
	"proofmark/correlate/calibrate"
	"proofmark/correlate/x3p"
)

// Figures are the numbers of an evaluation under the names they have in JSON.
// What was not measured is left out.
type Figures struct {
	ROI       correlate.ROI `json:"roi"`
	Algorithm string        `json:"algorithm"`
	Seed      uint64        `json:"seed"`
	Sector    float64       `json:"sector,omitempty"` // % of the area that queries were cut to

	Scans      int         `json:"scans"`
	Sources    int         `json:"sources"`
	Rejected   int         `json:"rejected"`
	Rejections []Rejection `json:"rejections,omitempty"`
	CutBelow   int         `json:"cut_queries_below_gate,omitempty"` // compared all the same
	CutLost    int         `json:"cut_queries_lost,omitempty"`       // nothing left to encode

	// Of the cut queries' centres from the whole scans', µm.
	CutCentreMedian float64 `json:"cut_centre_error_median,omitempty"`
	CutCentreMax    float64 `json:"cut_centre_error_max,omitempty"`

	SamePairs      int     `json:"same_pairs"`
	DifferentPairs int     `json:"different_pairs"`
	AUC            float64 `json:"auc"`
	AUCLow         float64 `json:"auc_low"`  // 95 %, by firearm: see aucInterval
	AUCHigh        float64 `json:"auc_high"` //
	EER            float64 `json:"eer"`
	TPRAtFPR0      float64 `json:"tpr_at_fpr0"`
	SameMin        float64 `json:"same_min"`
	DifferentMax   float64 `json:"different_max"`
	Gap            float64 `json:"gap"`
	SameMinPair    string  `json:"same_min_pair"`
	DifferentPair  string  `json:"different_max_pair"`

	Queries   int                `json:"queries"` // marks with a mate
	Gallery   int                `json:"gallery"` // marks searched, distractors among them
	Rank1     float64            `json:"rank1"`
	Top10     float64            `json:"top10"`
	HitAt     map[string]float64 `json:"hit_at"`
	WorstRank int                `json:"worst_rank"` // of any mate
	Padded    *Padded            `json:"padded,omitempty"`

	Cllr        *float64     `json:"cllr,omitempty"`
	CllrMin     *float64     `json:"cllr_min,omitempty"`
	Calibration *Calibration `json:"calibration,omitempty"`

	BytesMean       float64  `json:"bytes_mean"`
	BytesMax        int      `json:"bytes_max"`
	EncodeMS        float64  `json:"encode_ms,omitempty"`  // from the decoded scan, one core
	CompareUS       float64  `json:"compare_us,omitempty"` // 360°, one core
	ShortlistRecall *float64 `json:"shortlist_recall,omitempty"`

	Bullets *BulletFigures `json:"bullets,omitempty"`

	Groups []Group  `json:"groups,omitempty"`
	Notes  []string `json:"notes"`
}

// Group is what one part of the pairs gives.
type Group struct {
	Name           string  `json:"name"`
	SamePairs      int     `json:"same_pairs"`
	DifferentPairs int     `json:"different_pairs"`
	AUC            float64 `json:"auc"`
	SameMin        float64 `json:"same_min"`
	DifferentMax   float64 `json:"different_max"`
}

// Calibration says where the likelihood ratios come from.
type Calibration struct {
	Population    string   `json:"population"`
	Version       string   `json:"version,omitempty"`
	CrossFolds    int      `json:"cross_validation_folds,omitempty"`
	MaxLog10LR    float64  `json:"max_log10_lr"`
	MinLog10LR    float64  `json:"min_log10_lr"`
	NotCalibrated int      `json:"pairs_not_calibrated,omitempty"`
	Limits        []string `json:"limits,omitempty"`
}

// evidence holds the log10 likelihood ratios of the pairs, where there are any.
type evidence struct{ same, different []float64 }

func (e *Evaluation) describe(set []Labelled, o Options) {
	e.ROI, e.Algorithm, e.Seed, e.Sector = o.ROI, correlate.Algorithm, o.Seed, o.Sector
	e.Scans, e.Sources = len(set), len(Sources(set))
	encoded := 0
	for _, m := range e.marks {
		if m.rejects != nil {
			e.Rejected++
			e.Rejections = append(e.Rejections, Rejection{m.Scan, m.rejects})
		} else if o.Sector > 0 && m.query == nil {
			e.CutLost++
		} else if m.cutLost != "" {
			e.CutBelow++
		}
		if m.bytes > 0 {
			encoded++
			e.BytesMean += float64(m.bytes)
			e.BytesMax = max(e.BytesMax, m.bytes)
		}
	}
	e.BytesMean /= float64(max(encoded, 1))
	var off []float64
	for _, m := range e.marks {
		if o.Sector > 0 && m.query != nil {
			off = append(off, m.cutOff)
		}
	}
	if slices.Sort(off); len(off) > 0 {
		e.CutCentreMedian, e.CutCentreMax = off[len(off)/2], off[len(off)-1]
	}
}

// separate measures how well scores tell same from different.
func (e *Evaluation) separate(p parallel, seed uint64) error {
	same, different := scores(e.Pairs)
	e.roc = rates(same, different)
	e.SamePairs, e.DifferentPairs = len(same), len(different)
	e.AUC, e.EER, e.TPRAtFPR0 = areaUnder(e.roc), equalError(e.roc), truePositiveAtZero(e.roc)
	e.SameMin, e.DifferentMax = slices.Min(same), slices.Max(different)
	e.Gap = e.SameMin - e.DifferentMax
	for _, x := range e.Pairs {
		name := e.marks[x.Query].Scan + " / " + e.marks[x.Other].Scan
		if x.Mates && x.Score == e.SameMin && e.SameMinPair == "" {
			e.SameMinPair = name
		}
		if !x.Mates && x.Score == e.DifferentMax && e.DifferentPair == "" {
			e.DifferentPair = name
		}
	}
	var err error
	e.AUCLow, e.AUCHigh, err = aucInterval(p.named("drawing firearms"), e.Pairs, seed)
	return err
}

// group splits the pairs by what else the table says.
func (e *Evaluation) group() {
	part := func(name string, keep func(x Pair, a, b *mark) bool) {
		var in []Pair
		for _, x := range e.Pairs {
			if keep(x, e.marks[x.Query], e.marks[x.Other]) {
				in = append(in, x)
			}
		}
		same, different := scores(in)
		if len(same) == 0 || len(different) == 0 || len(in) == len(e.Pairs) {
			return
		}
		e.Groups = append(e.Groups, Group{name, len(same), len(different), areaUnder(rates(same, different)), slices.Min(same), slices.Max(different)})
	}
	part("same ammunition", func(_ Pair, a, b *mark) bool { return a.Ammunition != "" && a.Ammunition == b.Ammunition })
	part("different ammunition", func(_ Pair, a, b *mark) bool {
		return a.Ammunition != "" && b.Ammunition != "" && a.Ammunition != b.Ammunition
	})
	for _, name := range e.values(func(m *mark) string { return m.Make }) {
		part("make "+name, func(_ Pair, a, b *mark) bool { return a.Make == name && b.Make == name })
	}
}

// values lists what a column holds, sorted, without the empty value.
func (e *Evaluation) values(column func(*mark) string) []string {
	var out []string
	for _, m := range e.marks {
		if v := column(m); v != "" {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// weigh gives the pairs their likelihood ratios and measures those: with a
// model, or fitted and tested on different firearms of the set itself.
func (e *Evaluation) weigh(model *calibrate.Model) error {
	pairs := make([]calibrate.Pair, len(e.Pairs))
	for i, x := range e.Pairs {
		pairs[i] = x.Pair
	}
	add := func(same bool, lr float64) {
		if same {
			e.evidence.same = append(e.evidence.same, lr)
		} else {
			e.evidence.different = append(e.evidence.different, lr)
		}
	}
	if model != nil {
		c := &Calibration{Population: model.Population.Name, Version: model.Population.Version, MaxLog10LR: model.MaxLog10LR, MinLog10LR: model.MinLog10LR, Limits: model.Population.Limits}
		classed := len(e.values(func(m *mark) string { return m.Make })) > 0
		for _, x := range e.Pairs {
			a, b := e.marks[x.Query], e.marks[x.Other]
			if !classed {
				add(x.Mates, model.Log10LR(x.Features))
			} else if v := model.Evaluate(x.Features, e.Algorithm, calibrate.Class{Make: a.Make, Calibre: a.Calibre}, calibrate.Class{Make: b.Make, Calibre: b.Calibre}); v.Calibrated {
				add(x.Mates, v.Log10LR)
			} else {
				c.NotCalibrated++
			}
		}
		e.Calibration = c
		if !classed {
			e.Notes = append(e.Notes, "The table has no column make: that the calibration's population fits these firearms is taken for granted.")
		}
	} else {
		lr, folds, err := calibrate.CrossValidate(pairs)
		if errors.Is(err, calibrate.ErrTooFew) {
			e.Notes = append(e.Notes, "No likelihood ratios: "+err.Error()+".")
			return nil
		}
		if err != nil {
			return err
		}
		for i, x := range e.Pairs {
			add(x.Mates, lr[i])
		}
		all := slices.Concat(e.evidence.same, e.evidence.different)
		e.Calibration = &Calibration{Population: "this set, each pair weighed by a model fitted without its firearms", CrossFolds: folds, MaxLog10LR: slices.Max(all), MinLog10LR: slices.Min(all)}
	}
	same, different := e.evidence.same, e.evidence.different
	if len(same) == 0 || len(different) == 0 {
		e.Notes = append(e.Notes, "The calibration does not hold the makes and calibres of this set: no likelihood ratio is measured.")
		return nil
	}
	bs, bd := bestCalibrated(same, different)
	given, best := cllr(same, different), cllr(bs, bd)
	e.Cllr, e.CllrMin = &given, &best
	return nil
}

// Samples of the time measurement.
const (
	clockedScans = 5
	clockedPairs = 50
)

// clock times encoding and comparison on one core, with nothing else of this
// program running.
func (e *Evaluation) clock(ctx context.Context, folder fs.FS, o Options) error {
	var took []time.Duration
	for _, m := range e.marks {
		if m.whole == nil || len(took) == clockedScans {
			continue
		}
		b, err := readScan(folder, m.Scan)
		if err != nil {
			return err
		}
		scan, err := x3p.Decode(b, x3p.Options{})
		if err != nil {
			return fmt.Errorf("scan %s changed while it was measured: %w", m.Scan, err)
		}
		begin := o.Now()
		if _, _, err := correlate.Encode(scan, o.ROI); err != nil {
			return fmt.Errorf("scan %s changed while it was measured: %w", m.Scan, err)
		}
		took = append(took, o.Now().Sub(begin))
	}
	e.EncodeMS = median(took) * 1e3
	took = nil
	step := max(len(e.Pairs)/clockedPairs, 1)
	for i := 0; i < len(e.Pairs) && ctx.Err() == nil; i += step {
		x := e.Pairs[i]
		begin := o.Now()
		correlate.Compare(e.marks[x.Query].query, e.marks[x.Other].whole)
		took = append(took, o.Now().Sub(begin))
	}
	e.CompareUS = median(took) * 1e6
	return ctx.Err()
}

// median in seconds.
func median(took []time.Duration) float64 {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)/2].Seconds()
}

// remark adds what a reader must know to read the figures.
func (e *Evaluation) remark(o Options) {
	note := func(format string, args ...any) { e.Notes = append(e.Notes, fmt.Sprintf(format, args...)) }
	note("The pairs come from %d firearms: pairs that share one are not independent.", e.Sources)
	if e.AUC < 1 {
		note("The AUC's interval draws whole firearms with replacement.")
	} else {
		note("No error was seen. That says: misses below %s and false alarms below %s at 95 %%, 3/n, if the pairs were independent; they are not, so less than that. The AUC's interval counts firearms with mates instead of pairs, %d: its lower end is 0.05^(1/%d).",
			percent(min(3/float64(e.SamePairs), 1)), percent(min(3/float64(e.DifferentPairs), 1)), firearmsWithMates(e.Pairs), firearmsWithMates(e.Pairs))
	}
	if o.Sector > 0 {
		note("Each query is one scan cut to a sector of %g %% of its area in a random, seeded direction and encoded anew: its centre and outline are found again, not carried over. %d cut queries were below the quality gate and compared all the same; of %d nothing could be encoded, and they are in no figure. Both directions of a pair count.",
			o.Sector, e.CutBelow, e.CutLost)
	}
	if e.Padded != nil {
		note("The distractors are mixtures of two warped, mirrored marks of this set. They prove that search, short list and ranking hold among so many surfaces with these statistics; they prove nothing about other firearms of one maker, whose class and subclass marks they do not carry.")
	}
	if e.ShortlistRecall != nil {
		note("Short list recall: of the mates whose score reaches the end of the %d that a search returns, the share that was returned.", listed)
	}
	var weak []string
	for _, r := range e.Rejections {
		weak = append(weak, r.Scan)
	}
	if len(weak) > 0 {
		note("Not compared: %s.", strings.Join(weak[:min(len(weak), 20)], ", "))
	}
}

func percent(v float64) string {
	switch v = 100 * v; {
	case v != 0 && math.Abs(v) < 0.1:
		return fmt.Sprintf("%.2g %%", v)
	case v == math.Trunc(v):
		return fmt.Sprintf("%.0f %%", v)
	}
	return fmt.Sprintf("%.1f %%", v)
}
