package witness

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// codes are n countries of two letters.
func codes(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = string([]byte{'A' + byte(i/26), 'A' + byte(i%26)})
	}
	return out
}

// witnessesOf chooses for every member's log.
func witnessesOf(members []string, n int) map[string][]string {
	out := map[string][]string{}
	for _, m := range members {
		others := slices.DeleteFunc(slices.Clone(members), func(c string) bool { return c == m })
		out[m] = Choose("proofmark."+m, others, n)
	}
	return out
}

func TestChooseIsTheSameForEverybody(t *testing.T) {
	members := codes(200)
	want := Choose("proofmark.ZZ", members, Chosen)
	if got := fmt.Sprint(want); got != "[DJ EJ DY FG CT DF EN CH EC AI BF CG CF AB EH AK]" {
		t.Errorf("chosen: %s: another choice than that of other members", got)
	}
	shuffled := slices.Clone(members)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	if got := Choose("proofmark.ZZ", shuffled, Chosen); !slices.Equal(got, want) {
		t.Errorf("in another order: %v, want %v", got, want)
	}
	if more := Choose("proofmark.ZZ", members, 40); len(more) != 40 || !slices.Equal(more[:Chosen], want) {
		t.Errorf("40 do not begin with the %d: %v", Chosen, more)
	}
	for n, want := range map[int]int{-1: 0, 0: 0, 3: 3, 200: 200, 500: 200} {
		if got := len(Choose("proofmark.ZZ", members, n)); got != want {
			t.Errorf("%d of 200: %d", n, got)
		}
	}
}

// Nobody witnesses much more than others do, at any size.
func TestChooseBalances(t *testing.T) {
	for _, n := range []int{17, 50, 200, 600} {
		load := map[string]int{}
		for log, by := range witnessesOf(codes(n), Chosen) {
			if len(by) != Chosen || slices.Contains(by, log) {
				t.Fatalf("%d members: the log of %s has %v", n, log, by)
			}
			for _, w := range by {
				load[w]++
			}
		}
		least, most := n, 0
		for _, c := range codes(n) {
			least, most = min(least, load[c]), max(most, load[c])
		}
		if least < 4 || most > 2*Chosen { // a binomial's tails: 16 ± 3 standard deviations of less than 4
			t.Errorf("%d members witness %d to %d logs each, %d on average", n, least, most, Chosen)
		}
	}
}

// A member that comes or goes moves nothing but its own places.
func TestChooseIsStable(t *testing.T) {
	members := codes(200)
	before := witnessesOf(members, Chosen)
	for _, gone := range []string{members[0], members[77], members[199]} {
		after := witnessesOf(slices.DeleteFunc(slices.Clone(members), func(c string) bool { return c == gone }), Chosen)
		moved := 0
		for log, by := range after {
			kept := slices.DeleteFunc(slices.Clone(before[log]), func(c string) bool { return c == gone })
			if !slices.Equal(by[:len(kept)], kept) {
				t.Fatalf("without %s the log of %s has %v, it had %v", gone, log, by, before[log])
			}
			moved += len(before[log]) - len(kept)
		}
		if moved == 0 || moved > 2*Chosen {
			t.Errorf("without %s %d places are given to others", gone, moved)
		}
	}
}
