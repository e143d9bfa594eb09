//go:build race

package correlate

// raceDetector: tests take about ten times as long and look at fewer cases.
const raceDetector = true
