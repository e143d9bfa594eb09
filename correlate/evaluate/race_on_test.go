//go:build race

package evaluate

// raced: the race detector is on, and arithmetic takes ten times as long.
const raced = true
