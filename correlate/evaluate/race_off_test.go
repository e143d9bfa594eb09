//go:build !race

package evaluate

// raced: the race detector is off.
const raced = false
