package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A report is what a run found.
type report struct {
	b       *bench
	tables  []*table
	charts  []*barChart
	curves  []*curve
	gaps    []string // what could not be measured
	loadWas string   // of the machine, at the beginning
}

func newReport(b *bench) *report { return &report{b: b, loadWas: machineLoad()} }

// A table is one of the document, of that name.
type table struct {
	name     string
	headings []string
	rows     [][]string
}

// table begins a table. A column that stays empty is left out.
func (r *report) table(name string, headings ...string) *table {
	t := &table{name: name, headings: headings}
	r.tables = append(r.tables, t)
	return t
}

func (t *table) row(cells ...string) {
	t.rows = append(t.rows, cells)
	fmt.Fprintf(os.Stderr, "         %s\n", strings.Join(cells, " | "))
}

// missing notes what could not be measured, and says so at once.
func (r *report) missing(what string) {
	r.gaps = append(r.gaps, what)
	r.b.say("NOT MEASURED: %s", what)
}

// markdown gives the table.
func (t *table) markdown() string {
	var shown []int
	for i := range t.headings {
		if slices.ContainsFunc(t.rows, func(row []string) bool { return i < len(row) && row[i] != "–" && row[i] != "" }) {
			shown = append(shown, i)
		}
	}
	var b strings.Builder
	line := func(cells []string) {
		for _, i := range shown {
			cell := "–"
			if i < len(cells) {
				cell = cells[i]
			}
			fmt.Fprintf(&b, "| %s ", strings.ReplaceAll(cell, "|", `\|`))
		}
		b.WriteString("|\n")
	}
	line(t.headings)
	for i := range shown {
		if i == 0 {
			b.WriteString("|---")
		} else {
			b.WriteString("|---:")
		}
	}
	b.WriteString("|\n")
	for _, row := range t.rows {
		line(row)
	}
	return b.String()
}

// write prints the tables, or puts them into the document and the charts beside
// it.
func (r *report) write() error {
	sections := map[string]string{"machine": r.machine()}
	for _, t := range r.tables {
		sections[t.name] = t.markdown()
	}
	pictures := make(map[string][]byte)
	for _, c := range r.charts {
		pictures["performance-"+c.name+".svg"] = c.svg()
	}
	if len(r.curves) > 1 {
		pictures["performance-growth.svg"] = growth(r.curves)
	}
	if r.b.out == "" {
		fmt.Println(sections["machine"])
		for _, t := range r.tables {
			fmt.Printf("%s\n%s\n", t.name, t.markdown())
		}
		return nil
	}
	old, err := os.ReadFile(r.b.out)
	if err != nil {
		return err
	}
	text, err := fill(string(old), sections)
	if err != nil {
		return fmt.Errorf("%s: %w", r.b.out, err)
	}
	images := filepath.Join(filepath.Dir(r.b.out), "images")
	if err := os.MkdirAll(images, 0o755); err != nil {
		return err
	}
	for name, svg := range pictures {
		if err := os.WriteFile(filepath.Join(images, name), svg, 0o644); err != nil {
			return err
		}
	}
	r.b.say("written to %s", r.b.out)
	return os.WriteFile(r.b.out, []byte(text), 0o644)
}

// fill puts the sections between their marks in a document:
//
//	<!-- bench:NAME -->
//	<!-- /bench -->
//
// The document has a place for each of them.
func fill(text string, sections map[string]string) (string, error) {
	var faults error
	for name, section := range sections {
		open := "<!-- bench:" + name + " -->\n"
		before, rest, found := strings.Cut(text, open)
		const end = "<!-- /bench -->"
		at := strings.Index(rest, end)
		if !found || at < 0 {
			faults = errors.Join(faults, fmt.Errorf("there is no place for %q: %s and %s", name, strings.TrimSpace(open), end))
			continue
		}
		text = before + open + "\n" + strings.TrimSpace(section) + "\n\n" + rest[at:]
	}
	return text, faults
}

// machine tells what was measured, and on what.
func (r *report) machine() string {
	t := &table{headings: []string{"of this run", ""}}
	add := func(name, value string) { t.rows = append(t.rows, []string{name, value}) }
	add("begun", r.b.begun.UTC().Format("2006-01-02 15:04 UTC")+", took "+time.Since(r.b.begun).Round(time.Second).String())
	add("processor", fmt.Sprintf("%d × %s", runtime.NumCPU(), lineOf("/proc/cpuinfo", "model name")))
	add("memory", lineOf("/proc/meminfo", "MemTotal"))
	add("system", strings.TrimSpace(output("uname", "-sr"))+", "+runtime.GOARCH)
	add("Go", runtime.Version())
	add("scim-bridge", strings.TrimSpace(output("git", "describe", "--always", "--dirty")))
	add("nginx", afterSlash(output(look("nginx"), "-v")))
	add("wrk", firstWords(output(look("wrk"), "-v"), 2))
	add("load of the machine", "before "+r.loadWas+", after "+machineLoad()+" (of 1, 5 and 15 minutes; this run is in it)")
	add("measurements of each figure", fmt.Sprintf("%d, rates over %g s each", r.b.repeat, r.b.seconds))
	for _, gap := range r.gaps {
		add("**not measured**", gap)
	}
	return t.markdown()
}

func machineLoad() string {
	text, _ := os.ReadFile("/proc/loadavg")
	return firstWords(string(text), 3)
}

// lineOf is the first value of a name in a file of /proc.
func lineOf(file, name string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return "unknown"
}

// output is what a program says when asked for something; empty where it is not
// there.
func output(name string, args ...string) string {
	if name == "" {
		return ""
	}
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run() // wrk -v ends with status 1
	return out.String()
}

func afterSlash(s string) string {
	_, version, _ := strings.Cut(strings.TrimSpace(s), "/")
	return version
}

func firstWords(s string, n int) string {
	words := strings.Fields(s)
	return strings.Join(words[:min(n, len(words))], " ")
}
