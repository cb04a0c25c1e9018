package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// A series is what was measured of one thing, in the order of the measuring.
type series []float64

// at is the value below which the given share of the series lies.
func (s series) at(share float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	place := share * float64(len(sorted)-1)
	low := int(place)
	if low+1 == len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (sorted[low+1]-sorted[low])*(place-float64(low))
}

func (s series) median() float64 { return s.at(0.5) }

// mean is the average.
func (s series) mean() float64 {
	sum := 0.0
	for _, v := range s {
		sum += v
	}
	return sum / float64(len(s))
}

// over gives the ratios to another series, measurement by measurement: those
// that were made one after the other had the same machine.
func (s series) over(other series) series {
	ratios := make(series, min(len(s), len(other)))
	for i := range ratios {
		ratios[i] = s[i] / other[i]
	}
	return ratios
}

// show writes the median, and the least and the most where there are several.
func (s series) show(format func(float64) string) string {
	if len(s) == 0 {
		return "–"
	}
	if len(s) == 1 {
		return format(s[0])
	}
	return fmt.Sprintf("%s (%s–%s)", format(s.median()), format(s.at(0)), format(s.at(1)))
}

// number writes a number in no more digits than it deserves.
func number(v float64) string {
	switch {
	case v >= 100:
		return thousands(int(math.Round(v)))
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// thousands writes a number with commas.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// times writes a ratio.
func times(v float64) string { return number(v) + " ×" }

// duration writes a time in seconds.
func duration(s float64) string {
	switch {
	case s >= 1:
		return number(s) + " s"
	case s >= 1e-3:
		return number(s*1e3) + " ms"
	default:
		return number(s*1e6) + " µs"
	}
}

func seconds(d time.Duration) string { return duration(d.Seconds()) }

func megabytes(n int64) string { return number(float64(n)/1e6) + " MB" }

// bytesOf writes a size given as a number of a series.
func bytesOf(v float64) string {
	if v < 1e6 {
		return number(v/1e3) + " KB"
	}
	return megabytes(int64(v))
}
