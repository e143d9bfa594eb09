package main

import (
	"slices"

	"proofmark/node/ballistics"
	"proofmark/protocol"
)

// told is a value of a foreign document as people are shown it. One that its country's policy withholds says so: nothing that is empty may look as if
// there were nothing.
func told(value, field string, withheld []string, by protocol.Country) string {
	if value == "" && slices.Contains(withheld, field) {
		return "withheld by " + string(by) + "'s policy"
	}
	return value
}

// cell is told in a column of a list, beside the one that names the country.
func cell(value, field string, withheld []string) string {
	if value == "" && slices.Contains(withheld, field) {
		return "withheld"
	}
	return orDash(value)
}

// sideCell is a field of a candidate's side in a list.
func sideCell(s *ballistics.Side, field string) string {
	return cell(map[string]string{"exhibit_number": s.Exhibit, "case_reference": s.Case, "place": s.Place}[field], field, s.Withheld)
}
