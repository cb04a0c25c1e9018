//go:build !race

package tests

// raceEnabled tells that the tests run under the race detector.
const raceEnabled = false
