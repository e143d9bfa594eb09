package evaluate

import (
	"fmt"
	"math"
	"slices"

	"proofmark/correlate"
)

// Figures are the numbers of an evaluation under the names they have in JSON;
// docs/accuracy.md lists them. What a set does not allow to measure is nil.
type Figures struct {
	ROI       correlate.ROI `json:"roi"` // empty where several regions were fused
	Algorithm string        `json:"algorithm"`
	Seed      uint64        `json:"seed"`
	Sector    *float64      `json:"sector"`   // % that the queries of these figures were cut to
	Fragment  bool          `json:"fragment"` // of the scan, not of its marks alone

	Scans      int         `json:"scans"`
	Exhibits   int         `json:"exhibits"`
	Sources    int         `json:"sources"`
	Rejected   int         `json:"rejected"`
	Missing    int         `json:"missing"` // of the rejected: not in the folder
	Rejections []Rejection `json:"rejections"`

	Separation
	AUCLow        *float64 `json:"auc_low"`  // 95 %, by firearm: see aucInterval
	AUCHigh       *float64 `json:"auc_high"` //
	SameMinPair   string   `json:"same_min_pair,omitempty"`
	DifferentPair string   `json:"different_max_pair,omitempty"`

	Hits
	Gallery       int         `json:"gallery"`           // marks searched, the query among them
	Rank1OfAll    *float64    `json:"rank1_of_labelled"` // rank 1 if a rejected scan is a miss
	ByGallerySize []SizePoint `json:"by_gallery_size"`

	Cuts          []CutFigures  `json:"cuts,omitempty"`
	ByPartialArea []PartialArea `json:"by_partial_area,omitempty"`
	Growth        []Growth      `json:"growth,omitempty"`

	Cllr        *float64     `json:"cllr"`
	CllrMin     *float64     `json:"cllr_min"`
	Calibration *Calibration `json:"calibration,omitempty"`
	Halves      *Halves      `json:"halves"` // fitted on half of the firearms, tested on the other

	BytesMean       *float64 `json:"bytes_mean"`
	BytesMax        *int     `json:"bytes_max"`
	EncodeMS        *float64 `json:"encode_ms"`  // from the decoded scan, one core
	CompareUS       *float64 `json:"compare_us"` // at all poses, one core
	CoarseUS        *float64 `json:"coarse_us"`  // per signature scanned, one core
	Coarse          *Coarse  `json:"coarse,omitempty"`
	ShortlistRecall *float64 `json:"shortlist_recall"`
	ShortlistOf     int      `json:"shortlist_gallery"` // entries that the short list was chosen from

	Bullets *BulletFigures `json:"bullets,omitempty"`

	Groups  []Group    `json:"groups"`
	Regions []*Figures `json:"regions,omitempty"`
	Notes   []string   `json:"notes"`
}

// Separation is how well scores tell same-source pairs from different-source
// ones. The rates are nil without both kinds.
type Separation struct {
	SamePairs      int      `json:"same_pairs"`
	DifferentPairs int      `json:"different_pairs"`
	AUC            *float64 `json:"auc"`
	EER            *float64 `json:"eer"`
	TPRAtFPR0      *float64 `json:"tpr_at_fpr0"`
	MissAtFPR0     *float64 `json:"miss_at_fpr0"`
	SameMin        *float64 `json:"same_min"`
	DifferentMax   *float64 `json:"different_max"`
	Gap            *float64 `json:"gap"`
}

func separationOf(pairs []Pair) (Separation, []RatePoint) {
	same, different := scores(pairs)
	s := Separation{SamePairs: len(same), DifferentPairs: len(different)}
	if len(same) > 0 {
		s.SameMin = new(slices.Min(same))
	}
	if len(different) > 0 {
		s.DifferentMax = new(slices.Max(different))
	}
	if len(same) == 0 || len(different) == 0 {
		return s, nil
	}
	roc := rates(same, different)
	found := truePositiveAtZero(roc)
	s.AUC, s.EER, s.TPRAtFPR0, s.MissAtFPR0 = new(areaUnder(roc)), new(equalError(roc)), new(found), new(1-found)
	s.Gap = new(*s.SameMin - *s.DifferentMax)
	return s, roc
}

// Group is what one part of the pairs gives.
type Group struct {
	Name string `json:"name"`
	Separation
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

func (e *Evaluation) describe(set []Labelled, o Options, algorithm string) {
	e.ROI, e.Algorithm, e.Seed = o.ROI, algorithm, o.Seed
	if len(o.Sectors) > 0 {
		e.Sector, e.Fragment = new(o.Sectors[0]), o.Fragment
	}
	e.Scans, e.Sources, e.Exhibits = len(set), len(Sources(set)), exhibits(set)
	e.Rejections = []Rejection{}
	var bytes []float64
	for _, m := range e.marks {
		if m.rejects != nil {
			e.Rejected++
			e.Rejections = append(e.Rejections, Rejection{m.Scan, m.rejects})
		}
		if m.missing {
			e.Missing++
		}
		if m.packed != nil {
			bytes = append(bytes, float64(len(m.packed)))
		}
	}
	if e.BytesMean = meanOf(bytes); e.BytesMean != nil {
		e.BytesMax = new(int(slices.Max(bytes)))
	}
}

// exhibits counts the items of a table.
func exhibits(set []Labelled) int {
	seen := map[string]bool{}
	for _, l := range set {
		seen[l.exhibit()] = true
	}
	return len(seen)
}

// separate measures how well scores tell same from different.
func (e *Evaluation) separate(p parallel, seed uint64) error {
	e.Separation, e.roc = separationOf(e.Pairs)
	for _, x := range e.Pairs {
		name := e.marks[x.Query].exhibit() + " / " + e.marks[x.Other].exhibit()
		if x.Mates && x.Score == *e.SameMin && e.SameMinPair == "" {
			e.SameMinPair = name
		}
		if !x.Mates && x.Score == *e.DifferentMax && e.DifferentPair == "" {
			e.DifferentPair = name
		}
	}
	if e.roc == nil {
		return nil
	}
	low, high, err := aucInterval(p.named("drawing firearms"), e.Pairs, seed)
	e.AUCLow, e.AUCHigh = &low, &high
	return err
}

// areaBins part the pairs by the area of their smaller mark, in mm² of a breech
// face.
var areaBins = []float64{0, 0.5, 1, 1.5, 2, 3, math.Inf(1)}

// group splits the pairs by what else the table says, and by area.
func (e *Evaluation) group() {
	e.Groups = []Group{}
	part := func(name string, keep func(a, b *mark) bool) {
		var in []Pair
		for _, x := range e.Pairs {
			if keep(e.marks[x.Query], e.marks[x.Other]) {
				in = append(in, x)
			}
		}
		if len(in) == 0 || len(in) == len(e.Pairs) {
			return
		}
		s, _ := separationOf(in)
		e.Groups = append(e.Groups, Group{name, s})
	}
	part("same ammunition", func(a, b *mark) bool { return a.Ammunition != "" && a.Ammunition == b.Ammunition })
	part("different ammunition", func(a, b *mark) bool {
		return a.Ammunition != "" && b.Ammunition != "" && a.Ammunition != b.Ammunition
	})
	makes := e.values(func(m *mark) string { return m.Make })
	for _, name := range makes {
		part("make "+name, func(a, b *mark) bool { return a.Make == name && b.Make == name })
	}
	if len(makes) > 1 {
		part("different makes", func(a, b *mark) bool { return a.Make != "" && b.Make != "" && a.Make != b.Make })
	}
	unit := 1.0
	if e.ROI == correlate.FiringPin {
		unit = 0.16 // an impression's scale is 2/5 of a breech face's
	}
	for i, from := range areaBins[:len(areaBins)-1] {
		from, to := unit*from, unit*areaBins[i+1]
		name := fmt.Sprintf("smaller mark of %g to %g mm²", from, to)
		if math.IsInf(to, 1) {
			name = fmt.Sprintf("smaller mark of %g mm² or more", from)
		}
		part(name, func(a, b *mark) bool {
			area := min(a.area, b.quality.AreaMM2)
			return area > 0 && area >= from && area < to
		})
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
