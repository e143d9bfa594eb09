package synth

// Ammunition is what a brand's primers do to marks. The zero value is the brass
// primer that the Fadul set was fitted with.
type Ammunition struct{}
