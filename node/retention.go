package node

import (
	"fmt"
	"time"

	"proofmark/node/ballistics"
	"proofmark/node/release"
	"proofmark/node/retention"
)

// Retention says for how many days own records are kept after something last happened to them.
type Retention struct {
	CaseDays       int `toml:"case_days,omitempty" default:"3650" comment:"cases with their exhibits; 3650 unless another number stands here"`
	FirearmDays    int `toml:"firearm_days,omitempty" default:"7300" comment:"records of firearms lost, stolen, recovered, destroyed; 7300 unless another number stands here"`
	RegisteredDays int `toml:"registered_days,omitempty" default:"10950" comment:"records of firearms that are registered (manufacture, sale, ownership); 10950 unless another number stands here"`
	TraceDays      int `toml:"trace_days,omitempty" default:"7300" comment:"traces and answers; 7300 unless another number stands here"`
}

// longestKept bounds a period: a century.
const longestKept = 36500

// periods of retention, checked; the defaults where nothing is configured.
func (c Config) periods() (retention.Periods, error) {
	out := retention.DefaultPeriods()
	for key, days := range map[string]int{"case": c.Retention.CaseDays, "firearm": c.Retention.FirearmDays, "registered": c.Retention.RegisteredDays, "trace": c.Retention.TraceDays} {
		if days < 0 || days > longestKept {
			return nil, fmt.Errorf("retention.%s_days: 1 to %d days, not %d", key, longestKept, days)
		}
		if days > 0 {
			out[key] = time.Duration(days) * 24 * time.Hour
		}
	}
	return out, nil
}

func (n *Node) newRetention() (*retention.Service, error) {
	periods, err := n.Config.periods()
	if err != nil {
		return nil, err
	}
	scans := ballistics.Scans{Plan: release.AskedOf, Erase: n.release.EraseAsked}
	return retention.New(retention.Options{Desk: n.desk, Dispatch: n.dispatch, Periods: periods, Prove: n.accounting.Bundle,
		Keepers: []retention.Keeper{n.ballistics.Retained(scans), n.tracing.Retained(ballistics.FirearmInUse)}}), nil
}
