package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Fault is one thing that is wrong, with its place and a way to mend it.
type Fault struct {
	// File is the configuration file, as given to Load.
	File string

	// Line and Column say where in the file, from 1; both are 0 where the
	// fault is that of the file as a whole.
	Line, Column int

	// Exact says that the fault is within the text of a setting, so that the
	// column is worth being shown.
	Exact bool

	// Path is the setting, such as sources[0].interval; empty where the fault
	// belongs to none.
	Path string

	// Message is what happened, and Mend what to do about it. Neither ever
	// carries a secret.
	Message, Mend string

	// Input is the other file that is at fault, such as a secret that can't be
	// read; its Path is empty where there is none.
	Input Input

	source Input // the configuration file, as it was read
}

// Error gives "file:line: path: what happened; how to mend", without the parts
// that are not there.
func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	if f.Exact && f.Column > 0 {
		fmt.Fprintf(&b, ":%d", f.Column)
	}
	b.WriteString(": ")
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Message)
	if f.Mend != "" {
		b.WriteString("; " + f.Mend)
	}
	return b.String()
}

// Faults are all faults of a file, in the order of the file.
type Faults []Fault

// Error gives one fault per line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Inputs lists the files that are at fault, each once and as they were read, for
// [Watcher.AddFiles]: when one of them changes the configuration is worth another
// try.
func (f Faults) Inputs() []Input {
	var inputs []Input
	for _, fault := range f {
		for _, in := range []Input{fault.source, fault.Input} {
			if in.Path != "" && !slices.Contains(inputs, in) {
				inputs = append(inputs, in)
			}
		}
	}
	return inputs
}

// readFrom notes the configuration file that the faults were found in.
func (f Faults) readFrom(file Input) {
	for i := range f {
		f[i].source = file
	}
}

// Sort puts them in the order of the file.
func (f Faults) Sort() {
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
