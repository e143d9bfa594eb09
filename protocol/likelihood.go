package protocol

import (
	"fmt"
	"math"
)

// Limits of what one side may say of a comparison.
const (
	// MaxScore bounds a score either way, of whatever algorithm.
	MaxScore = 1000
	// MaxLog10LR bounds |log10 LR|: no reference population of any bureau supports more.
	MaxLog10LR     = 12
	maxModelLimits = 50
)

// LikelihoodRatio is what one side's calibration says of a comparison: how much more probable the agreement is if one firearm made both marks than if two
// firearms of the reference population did. It is no probability that they did. Where there is no such number, it says why.
type LikelihoodRatio struct {
	Calibrated bool     `json:"calibrated"`
	Log10LR    float64  `json:"log10_lr"`             // 0 where not calibrated: it says nothing
	AtBound    bool     `json:"at_bound,omitempty"`   // the population supports no stronger claim
	Reason     string   `json:"reason,omitempty"`     // why not calibrated
	Population string   `json:"population,omitempty"` // name of the reference population
	Version    string   `json:"version,omitempty"`    // of the population
	Model      string   `json:"model,omitempty"`      // which calibration computed it: SHA-256 of its file, hex
	Limits     []string `json:"limits,omitempty"`     // what the population does not cover
}

// Check bounds every field. A number without a population behind it is refused, and so is the lack of one without a reason.
func (e *LikelihoodRatio) Check() error {
	if !(math.Abs(e.Log10LR) <= MaxLog10LR) { // also refuses NaN
		return fmt.Errorf("log10_lr: %v, it lies between −%d and %[2]d", e.Log10LR, MaxLog10LR)
	}
	if len(e.Limits) > maxModelLimits {
		return fmt.Errorf("limits: %d, the limit is %d", len(e.Limits), maxModelLimits)
	}
	for _, l := range e.Limits {
		if err := needLine("limits", l, 500); err != nil {
			return err
		}
	}
	if e.Calibrated {
		return first(checkLine("reason", e.Reason, 1000), needLine("population", e.Population, 500), needLine("version", e.Version, 500), checkLine("model", e.Model, 64))
	}
	if e.Log10LR != 0 || e.AtBound {
		return fmt.Errorf("log10_lr, at_bound: a comparison that is not calibrated has none")
	}
	return first(needLine("reason", e.Reason, 1000), checkLine("population", e.Population, 500), checkLine("version", e.Version, 500), checkLine("model", e.Model, 64))
}
