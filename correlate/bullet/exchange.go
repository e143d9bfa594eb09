package bullet

// Exchanged tells a comparison of two bullets of a barrel with so many lands from the second one's point of view, as a comparison with the
// bullets exchanged finds it.
func (c Comparison) Exchanged(lands int) Comparison { return c.exchanged(lands) }
