package witness

import (
	"bytes"
	"crypto/sha256"
	"slices"
)

// Chosen is how many witnesses are chosen for one log. A log that was put back escapes notice only where none of them is honest, was there to see what is
// lost and is reached again: with a third of all members in league that is a chance of 3^-16 for a log, two in a hundred million, and with half of all
// members out of reach at a moment two of sixteen are there with a chance of 99.97 %. More would be dearer and hardly safer.
const Chosen = 16

// Choose picks the n witnesses of a log from the members of a federation, by rendezvous hashing: every member has a place for every log, the SHA-256 of the
// log's origin, a zero byte and the member's country, and the first n places win. Whoever knows the roster finds the same ones, in the same order; a larger n
// only adds to them; nobody can choose its own, since origins and countries are given; and a member that comes or goes changes one witness of the logs where
// it stands among the first n, and none elsewhere. The log's own country must not be among the members.
func Choose(origin string, members []string, n int) []string {
	type placed struct {
		country string
		place   [sha256.Size]byte
	}
	all := make([]placed, len(members))
	for i, c := range members {
		all[i] = placed{c, sha256.Sum256([]byte(origin + "\x00" + c))}
	}
	slices.SortFunc(all, func(a, b placed) int { return bytes.Compare(a.place[:], b.place[:]) })
	all = all[:min(len(all), max(n, 0))]
	out := make([]string, len(all))
	for i, p := range all {
		out[i] = p.country
	}
	return out
}
