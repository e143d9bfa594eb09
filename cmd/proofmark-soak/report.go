package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"proofmark/cmd/proofmark-soak/ledger"
	"proofmark/cmd/proofmark-soak/load"
	"proofmark/cmd/proofmark-soak/plan"
	"proofmark/protocol"
)

// Report is what a run came to.
type Report struct {
	Seed       uint64                       `json:"seed"`
	Minutes    float64                      `json:"minutes"`
	Nodes      int                          `json:"nodes"`
	Namespaces bool                         `json:"namespaces"`
	Again      string                       `json:"again"` // the command that does the same once more
	Faults     map[plan.Kind]int            `json:"faults"`
	Weather    map[string]int64             `json:"weather"`
	Starts     int                          `json:"starts"` // of daemons
	Acts       map[protocol.Type]load.Tally `json:"acts"`
	Refusals   map[string]int               `json:"refused_acts"`
	Reserve    int                          `json:"writes_stopped"` // times that a node was seen to stop writing at its reserve, with reads going on
	Drained    float64                      `json:"drained_seconds"`
	Totals     ledger.Totals                `json:"totals"`
	Mutations  []ledger.Mutation            `json:"mutations"`
	Findings   []ledger.Finding             `json:"findings"`
	Kept       string                       `json:"kept,omitempty"` // folder
	Took       float64                      `json:"seconds"`
}

const mostShown = 40

func (r *Report) print(w io.Writer) {
	ground := "network namespaces"
	if !r.Namespaces {
		ground = "loopback addresses"
	}
	fmt.Fprintf(w, "\n%d nodes in %s, %v minutes of faults, seed %d\n", r.Nodes, ground, r.Minutes, r.Seed)
	var parts []string
	for _, k := range plan.Kinds {
		parts = append(parts, fmt.Sprintf("%s %d", k, r.Faults[k]))
	}
	fmt.Fprintf(w, "Faults:    %s; %d daemons started\n", strings.Join(parts, ", "), r.Starts)
	parts = nil
	for _, k := range slices.Sorted(maps.Keys(r.Weather)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, r.Weather[k]))
	}
	fmt.Fprintf(w, "Proxies:   %s\n", strings.Join(parts, ", "))
	parts = nil
	for _, t := range slices.Sorted(maps.Keys(r.Acts)) {
		a := r.Acts[t]
		parts = append(parts, fmt.Sprintf("%s %d", t, a.Confirmed))
		if a.Refused+a.Unknown > 0 {
			parts[len(parts)-1] += fmt.Sprintf(" (%d refused, %d unknown)", a.Refused, a.Unknown)
		}
	}
	fmt.Fprintf(w, "Commands:  %s\n", strings.Join(parts, ", "))
	for _, words := range slices.Sorted(maps.Keys(r.Refusals)) {
		fmt.Fprintf(w, "           refused %d times: %.200s\n", r.Refusals[words], words)
	}
	fmt.Fprintf(w, "Reserve:   writes were seen to stop %d times while reads went on\n", r.Reserve)
	fmt.Fprintf(w, "Drained:   %.0f s after the last fault\n", r.Drained)
	t := r.Totals
	fmt.Fprintf(w, "Compared:  %d directions of channels, %d messages sent, %d received, %d receipted (%d urgent, %d bulk); %d effects; %d copies withdrawn; %d audit entries\n", t.Lanes, t.Messages, t.Received, t.Receipted,
		t.ByChannel["urgent"], t.ByChannel["bulk"], t.Effects, t.Erased, t.Entries)
	for _, m := range r.Mutations {
		found := m.Found
		if found == "" {
			found = "NOT FOUND"
		}
		fmt.Fprintf(w, "Mutation:  %s: %.160s\n", m.Change, found)
	}
	classes := map[string]int{}
	for _, f := range r.Findings {
		classes[f.Class]++
	}
	fmt.Fprintf(w, "Result:    %d lost, %d duplicated, %d out of order, %d tampered with undetected, %d without receipt, %d refused, %d withdrawn and not erased; %d faults of logs, %d of acts\n", classes[ledger.Lost],
		classes[ledger.Duplicated], classes[ledger.Disordered], classes[ledger.Tampered], classes[ledger.Unreceipted], classes[ledger.Refused], classes[ledger.Unerased], classes[ledger.Log], classes[ledger.Acts])
	for i, f := range r.Findings {
		if i == mostShown {
			fmt.Fprintf(w, "           … and %d more\n", len(r.Findings)-mostShown)
			break
		}
		fmt.Fprintf(w, "  %s\n", f)
	}
	if r.Kept != "" {
		fmt.Fprintf(w, "Kept:      %s\n", r.Kept)
	}
	fmt.Fprintf(w, "Took:      %v. The same once more: %s\n", time.Duration(r.Took*float64(time.Second)).Round(time.Second), r.Again)
}
