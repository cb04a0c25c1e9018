package main

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
)

// Charts are plain SVG on a white ground, so that they can be read wherever the
// document is.

// Three colours that can be told apart by nearly everybody (Okabe and Ito), and
// more for lines.
var colours = []string{"#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"}

const font = `font-family="system-ui, sans-serif" font-size="12"`

// A barChart compares the sides shape by shape. Its scale is logarithmic.
type barChart struct {
	name, title string
	groups      []barGroup
}

type barGroup struct {
	title  string
	values []float64 // of scim-bridge, nginx, the plain server; NaN: not there
}

func (r *report) bars(name, title string) *barChart {
	c := &barChart{name: name, title: title}
	r.charts = append(r.charts, c)
	return c
}

func (c *barChart) group(title string, values ...float64) {
	c.groups = append(c.groups, barGroup{title, values})
}

var sideNames = []string{"scim-bridge", "nginx, the same pages as files", "elimity-com/scim over maps"}

func (c *barChart) svg() []byte {
	const width, left, bar, gap, top = 760, 220, 14, 16, 70
	most := 1.0
	for _, g := range c.groups {
		for _, v := range g.values {
			if v > most { // not NaN
				most = v
			}
		}
	}
	height := top + len(c.groups)*(3*bar+gap) + 20
	b := begin(width, height, c.title)
	for i, name := range sideNames {
		x := 20 + i*240
		fmt.Fprintf(b, `<rect x="%d" y="38" width="12" height="12" fill="%s"/><text x="%d" y="49">%s</text>`+"\n", x, colours[i], x+18, name)
	}
	y := top
	for _, g := range c.groups {
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-10, y+bar*3/2+5, html.EscapeString(g.title))
		for i, v := range g.values {
			if !math.IsNaN(v) && v > 0 {
				length := math.Log10(1+v) / math.Log10(1+most) * (width - left - 70)
				fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d" font-size="10">%s</text>`+"\n",
					left, y+i*bar, length, bar-2, colours[i], float64(left)+length+4, y+i*bar+10, number(v))
			}
		}
		y += 3*bar + gap
	}
	return end(b)
}

// A curve is how something grows with the number of people.
type curve struct {
	name, unit string
	points     [][2]float64 // people, value
}

// curve adds a point to the curve of that name.
func (r *report) curve(name, unit string, people int, value float64) {
	for _, c := range r.curves {
		if c.name == name {
			c.points = append(c.points, [2]float64{float64(people), value})
			return
		}
	}
	r.curves = append(r.curves, &curve{name, unit, [][2]float64{{float64(people), value}}})
}

// An axis maps logarithms to places.
type axis struct {
	low, high float64 // logarithms
	from, to  float64 // places
}

func (a axis) at(v float64) float64 {
	return a.from + (math.Log10(v)-a.low)/(a.high-a.low)*(a.to-a.from)
}

// growth draws the curves, both axes logarithmic: what grows like the number of
// people is a line at 45 degrees, what does not grow a level one.
func growth(curves []*curve) []byte {
	const width, height = 760, 440
	xs, ys := axis{math.Inf(1), math.Inf(-1), 70, 560}, axis{math.Inf(1), math.Inf(-1), height - 50, 50}
	for _, c := range curves {
		for _, p := range c.points {
			xs.low, xs.high = min(xs.low, math.Log10(p[0])), max(xs.high, math.Log10(p[0]))
			ys.low, ys.high = min(ys.low, math.Floor(math.Log10(p[1]))), max(ys.high, math.Ceil(math.Log10(p[1])))
		}
	}
	if xs.high == xs.low {
		xs.high++
	}
	b := begin(width, height, "seconds, by the number of people")
	for e := ys.low; e <= ys.high; e++ {
		y := ys.at(math.Pow(10, e))
		fmt.Fprintf(b, `<line x1="%.0f" x2="%.0f" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%.0f" y="%.1f" text-anchor="end">%s</text>`+"\n",
			xs.from, xs.to, y, y, xs.from-8, y+4, duration(math.Pow(10, e)))
	}
	for _, p := range curves[0].points {
		x := xs.at(p[0])
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%.0f" y2="%.0f" stroke="#ddd"/><text x="%.1f" y="%.0f" text-anchor="middle">%s</text>`+"\n",
			x, x, ys.from, ys.to, x, ys.from+18, thousands(int(p[0])))
	}
	for i, c := range curves {
		colour := colours[i%len(colours)]
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, colour)
		for _, p := range c.points {
			fmt.Fprintf(b, "%.1f,%.1f ", xs.at(p[0]), ys.at(p[1]))
		}
		fmt.Fprintln(b, `"/>`)
		for _, p := range c.points {
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", xs.at(p[0]), ys.at(p[1]), colour)
		}
	}
	for i, y := range labelPlaces(curves, ys) {
		last := curves[i].points[len(curves[i].points)-1]
		fmt.Fprintf(b, `<text x="%.0f" y="%.1f" fill="%s">%s: %s</text>`+"\n", xs.to+12, y+4, colours[i%len(colours)], curves[i].name, duration(last[1]))
	}
	return end(b)
}

// labelPlaces gives the heights of the curves' labels: where the curves end, or
// further down where another is in the way.
func labelPlaces(curves []*curve, ys axis) []float64 {
	places, order := make([]float64, len(curves)), make([]int, len(curves))
	for i, c := range curves {
		places[i], order[i] = ys.at(c.points[len(c.points)-1][1]), i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(places[a], places[b]) })
	for k := 1; k < len(order); k++ {
		places[order[k]] = max(places[order[k]], places[order[k-1]]+15)
	}
	return places
}

func begin(width, height int, title string) *bytes.Buffer {
	b := &bytes.Buffer{}
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" %s>`+"\n", width, height, width, height, font)
	fmt.Fprintf(b, `<title>%s</title><rect width="100%%" height="100%%" fill="white"/><text x="20" y="24" font-size="14" font-weight="bold">%s</text>`+"\n",
		html.EscapeString(title), html.EscapeString(title))
	return b
}

func end(b *bytes.Buffer) []byte {
	b.WriteString("</svg>\n")
	return b.Bytes()
}
