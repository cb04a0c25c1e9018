package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"scimbridge/cmd/internal/admin"
)

// A tone is how a word is meant; a terminal shows it as a colour, anything else
// not at all: what matters is in the words.
type tone string

// The tones, as ECMA-48 has them (SGR).
const (
	plain   tone = ""
	heading tone = "1"
	good    tone = "32"
	warning tone = "33"
	bad     tone = "31"
)

// A palette paints, where there is somebody to see it.
type palette bool

// paletteFor says whether the output is a terminal that takes colours.
// NO_COLOR (no-color.org) and TERM=dumb are obeyed.
func paletteFor(w io.Writer) palette {
	f, ok := w.(*os.File)
	kind := os.Getenv("TERM")
	return palette(ok && os.Getenv("NO_COLOR") == "" && kind != "" && kind != "dumb" && term.IsTerminal(int(f.Fd())))
}

func (p palette) paint(t tone, text string) string {
	if !bool(p) || t == plain || text == "" {
		return text
	}
	return "\x1b[" + string(t) + "m" + text + "\x1b[0m"
}

// toneOf gives the tone of a state or outcome, in the words of status.
func toneOf(word string) tone {
	switch word {
	case "up to date", "finished", "published", "unchanged", "approved", "unfrozen", "not frozen":
		return good
	case "held", "failing", "failed", "broken off", "waiting for consent":
		return bad
	case "frozen", "disabled", admin.StateLeft, "rolled back", "dropped", "starting", "first import":
		return warning
	}
	return plain
}

// A cell is a word of a table. Colours don't count for its width, which is why
// text/tabwriter is of no use here.
type cell struct {
	text string
	tone tone
}

// row makes the cells of one.
func row(texts ...string) []cell {
	cells := make([]cell, len(texts))
	for i, text := range texts {
		cells[i].text = text
	}
	return cells
}

// printTable lays out rows under headings, two blanks between the columns.
func printTable(w io.Writer, p palette, headings []string, rows [][]cell) error {
	head := row(headings...)
	for i := range head {
		head[i].tone = heading
	}
	rows = append([][]cell{head}, rows...)
	widths := make([]int, len(headings))
	for _, r := range rows {
		for i, c := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	var b strings.Builder
	for _, r := range rows {
		for i, c := range r {
			b.WriteString(p.paint(c.tone, c.text))
			if i < len(r)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+2))
			}
		}
		b.WriteByte('\n')
	}
	_, err := fmt.Fprint(w, b.String())
	return err
}
