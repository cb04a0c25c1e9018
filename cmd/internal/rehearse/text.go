package rehearse

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"scimbridge/cmd/internal/words"
)

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s, importing from %s%s\n\n", r.Title, r.Endpoint, r.as())
	table := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for _, q := range r.Requests {
		mark := "✓"
		if !q.OK {
			mark = "✗"
		}
		times := ""
		if q.Times > 1 {
			times = words.Thousands(q.Times) + " × "
		}
		fmt.Fprintf(table, "  %s %s\t%s\t%s%s\n", mark, q.What, q.Detail, times, q.Request)
	}
	table.Flush()
	fmt.Fprintf(&b, "\n%s read, %s of them active, and %s, in %s.\n",
		words.Count(r.Users, "user"), words.Thousands(r.ActiveUsers), words.Count(r.Groups, "group"), r.Elapsed.Round(time.Millisecond))
	for _, source := range r.Stale {
		fmt.Fprintf(&b, "\n! Source %s is served by another mapping or scope than the file has now: this is what it is, not what it will be.\n  %s, then rehearse again.\n", source, r.renewal())
	}
	for i := range r.Findings {
		r.Findings[i].write(&b)
	}
	fmt.Fprintf(&b, "\n%s\n", r.verdict())
	_, err := w.Write(b.Bytes())
	return err
}

func (r *Report) as() string {
	text := ""
	if r.Client != "" {
		text = " as client " + r.Client
	}
	if r.Stored {
		text += " (the stored picture: no daemon runs)"
	}
	return text
}

// renewal says how a source comes to be served as the file has it.
func (r *Report) renewal() string {
	if r.Stored {
		return "Start the daemon, which takes the file into service"
	}
	return "See scim-bridge status: what came of the change is held, or on its way"
}

func (r *Report) verdict() string {
	counts := make(map[string]int)
	for _, f := range r.Findings {
		counts[f.Effect]++
	}
	failed := 0
	for _, q := range r.Requests {
		if !q.OK {
			failed++
		}
	}
	switch {
	case failed > 0:
		return fmt.Sprintf("%s would not be able to import: %s went wrong.", r.Title, words.Count(failed, "request"))
	case counts[Rejected]+counts[Mismatched] > 0:
		return fmt.Sprintf("%s would not take everybody as they are: %s.", r.Title, words.Count(counts[Rejected]+counts[Mismatched], "fault"))
	case counts[Warning] > 0:
		return fmt.Sprintf("%s would take everybody, with %s.", r.Title, words.Count(counts[Warning], "remark"))
	}
	return r.Title + " would take everybody as they are."
}

func (f *Finding) write(b *bytes.Buffer) {
	noun := "user"
	if f.Type == "Group" {
		noun = "group"
	}
	verb := "has"
	if f.Count > 1 {
		verb = "have"
	}
	inactive := ""
	if f.Inactive > 0 {
		inactive = fmt.Sprintf(", %s of them inactive", words.Thousands(f.Inactive))
	}
	fmt.Fprintf(b, "\n%s: %s %s %s%s\n  %s\n", strings.ToUpper(f.Effect), words.Count(f.Count, noun), verb, f.What, inactive, f.Why)
	table := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	several := slices.ContainsFunc(f.Named, func(n Resource) bool { return n.Source != f.Named[0].Source })
	for _, n := range f.Named {
		state := ""
		if !n.Active {
			state = "inactive"
		}
		second := n.DisplayName
		if f.Type == "Group" {
			second = n.ID
		}
		source := ""
		if several {
			source = n.Source + "\t"
		}
		fmt.Fprintf(table, "    %s%s\t%s\t%s\t%s\n", source, printable(n.Name), printable(second), printable(n.Value), state)
	}
	table.Flush()
	if f.Omitted > 0 {
		fmt.Fprintf(b, "    and %s more (--limit 0 names all)\n", words.Thousands(f.Omitted))
	}
	if f.Mend != "" {
		fmt.Fprintf(b, "  → %s\n", f.Mend)
	}
	for _, m := range f.Mapping {
		fmt.Fprintf(b, "      %s\n", m)
	}
}

// printable keeps what a tenant put into a name from moving the cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '�'
	}, s)
}
