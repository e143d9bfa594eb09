package bullet

// Cross-sections of other striated marks are read as those of lands are.
const (
	// CrossSectionPitch is the spacing in µm of the points that Striae takes.
	CrossSectionPitch = workPitch
	// MissingSample stands among samples where the mark is not there.
	MissingSample = int(missing)
	// MaxLevel is the largest sample, 1.5 times the RMS.
	MaxLevel = levels
)

// Striae turns the heights in µm of a cross-section at CrossSectionPitch, NaN where
// missing, into samples at SamplePitch: a parabola is taken off robustly, 20 to
// 120 µm are passed, and the heights clipped and rounded as those of a land. rms is
// that of the striae in µm. No samples are returned where too little is there.
func Striae(z []float64) (rms float64, samples []int) {
	l := newLine(len(z))
	for i, v := range z {
		if l.ok[i] = v-v == 0; l.ok[i] {
			l.z[i] = v
		}
	}
	form, ok := fit(l, 0, len(z), 0, len(z), fitRounds)
	if !ok {
		return 0, nil
	}
	for i := range l.z {
		if l.ok[i] {
			l.z[i] -= form.at(i)
		}
	}
	rms, q := quantise(l.bandPass(markShort, markLong))
	for _, v := range q {
		samples = append(samples, int(v))
	}
	return rms, samples
}
