package admin

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"scimbridge/cmd/internal/words"
	"scimbridge/scim/directory"
)

// A chart is the last rounds as bars, and how many users there were as a line,
// in the units of an SVG.
type chart struct {
	Width, Height int
	Bars          []bar
	Line          string // points of a polyline; empty: too few
	Low, High     int    // of the line
	Summary       string
}

type bar struct {
	X, Y, H int
	Kind    string
	Title   string
}

const (
	barStep   = 10
	barWidth  = 8
	barHeight = 64
	// fewestBars leaves room where there are few rounds yet.
	fewestBars = 30
)

// newChart draws rounds, which come latest first, from left to right. A bar's
// height grows with every power of two of what changed.
func newChart(rounds []PastRound) chart {
	slots := max(len(rounds), fewestBars)
	c := chart{Width: barStep * slots, Height: barHeight}
	if len(rounds) == 0 {
		return c
	}
	c.Low, c.High = rounds[0].Users, rounds[0].Users
	failed := 0
	for _, r := range rounds {
		c.Low, c.High = min(c.Low, r.Users), max(c.High, r.Users)
		if r.Outcome == "failed" {
			failed++
		}
	}
	offset := slots - len(rounds)
	var points []string
	for i := range rounds {
		r := rounds[len(rounds)-1-i]
		height := 6
		for n := r.Changed; n > 0; n /= 2 {
			height += 3
		}
		height = min(height, barHeight)
		x := barStep * (offset + i)
		c.Bars = append(c.Bars, bar{
			X: x, Y: barHeight - height, H: height, Kind: r.Outcome,
			Title: fmt.Sprintf("%s: %s, %s changed in %s", clock(r.Started), r.Outcome, words.Thousands(r.Changed), span(r.Elapsed)),
		})
		y := barHeight / 2
		if c.High > c.Low {
			y = barHeight - 4 - (r.Users-c.Low)*(barHeight-8)/(c.High-c.Low)
		}
		points = append(points, fmt.Sprintf("%d,%d", x+barWidth/2, y))
	}
	if len(points) > 1 {
		c.Line = strings.Join(points, " ")
	}
	c.Summary = fmt.Sprintf("The last %d rounds, %d of which failed; %s to %s active users.", len(rounds), failed, words.Thousands(c.Low), words.Thousands(c.High))
	return c
}

// A trend is how many active users and groups were served over time, in the
// units of an SVG; each line has a scale of its own.
type trend struct {
	Width, Height int
	From, To      time.Time
	Users, Groups line
	Summary       string
}

// A line is the points of a polyline, and the least and the greatest number.
type line struct {
	Points    string
	Low, High int
}

const (
	trendWidth  = 600
	trendHeight = 90
	trendPoints = 150
)

// newTrend draws rounds, which come latest first, by the time at which they
// began. It is zero where there is nothing to see yet.
func newTrend(rounds []PastRound) trend {
	// Before the first picture nothing is served, which is no fall to nothing.
	rounds = slices.DeleteFunc(slices.Clone(rounds), func(r PastRound) bool { return r.Users == 0 && r.Groups == 0 })
	slices.Reverse(rounds)
	if len(rounds) < 2 || !rounds[len(rounds)-1].Started.After(rounds[0].Started) {
		return trend{}
	}
	t := trend{Width: trendWidth, Height: trendHeight, From: rounds[0].Started, To: rounds[len(rounds)-1].Started}
	shown := min(len(rounds), trendPoints)
	drawn := make([]PastRound, shown)
	for i := range shown {
		drawn[i] = rounds[i*(len(rounds)-1)/(shown-1)]
	}
	t.Users = t.line(drawn, trendHeight/3, func(r PastRound) int { return r.Users })
	t.Groups = t.line(drawn, 2*trendHeight/3, func(r PastRound) int { return r.Groups })
	t.Summary = fmt.Sprintf("From %s to %s: %s active users, %s groups.", clock(t.From), clock(t.To), t.Users.Span(), t.Groups.Span())
	return t
}

// line draws a number over time; one that does not change lies at level.
func (t trend) line(rounds []PastRound, level int, number func(PastRound) int) line {
	l := line{Low: number(rounds[0]), High: number(rounds[0])}
	for _, r := range rounds {
		l.Low, l.High = min(l.Low, number(r)), max(l.High, number(r))
	}
	var points []string
	for _, r := range rounds {
		x := int(trendWidth * float64(r.Started.Sub(t.From)) / float64(t.To.Sub(t.From)))
		y := level
		if l.High > l.Low {
			y = trendHeight - 6 - (number(r)-l.Low)*(trendHeight-12)/(l.High-l.Low)
		}
		points = append(points, fmt.Sprintf("%d,%d", x, y))
	}
	l.Points = strings.Join(points, " ")
	return l
}

// Span words the numbers between which a line lies.
func (l line) Span() string {
	if l.Low == l.High {
		return words.Thousands(l.Low)
	}
	return words.Thousands(l.Low) + " to " + words.Thousands(l.High)
}

// counted words what became of users or groups; empty: nothing.
func counted(what string, c directory.Counts) string {
	if changes := words.Changes(c); changes != "" {
		return what + ": " + changes
	}
	return ""
}
