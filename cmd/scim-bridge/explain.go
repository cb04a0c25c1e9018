package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"scimbridge/cmd/internal/config"
	"scimbridge/cmd/internal/daemon"
	"scimbridge/sync/mirror"
)

// maxSample is how large a sample file may be.
const maxSample = 16 << 20

func explainCommand(p *program) *cobra.Command {
	var source, file string
	var group, asJSON bool
	cmd := &cobra.Command{
		Use:   "explain [USER|GROUP]",
		Short: "Show why a user or group is in the endpoint, or is not",
		Long: `Show why a user or group is in the endpoint, or is not: the rule of the scope
that decided, by which groups, when what is served last changed and which client
has read it since, which rule of the mapping gives which value, and the Graph
object beside what is served.

A user is named by id, userPrincipalName, mail or displayName, a group by id,
displayName or mailNickname. The daemon leaves a line in its log of who asked.

With --file the object is read from a file with its JSON, as Graph gives it, and
no daemon is asked: so that a rule can be tried before it is in force. Its
memberships are then those of its property memberOf, a list of group ids.

Exit status: 0 somebody was found (or, with --file, would be served), 1 nobody
was (or would be left out), 2 usage or configuration, or a file that can't be
judged.`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case file == "" && (len(args) != 1 || strings.TrimSpace(args[0]) == ""):
				return usageError{errors.New("explain takes one user or group: an id, a userPrincipalName, a mail address, a group's displayName or mailNickname; or --file")}
			case file != "" && len(args) > 0:
				return usageError{errors.New("explain takes a name or --file, not both")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if file != "" {
				return p.explainFile(file, source, group, asJSON)
			}
			r, err := p.remote()
			if err != nil {
				return err
			}
			var found []mirror.Explanation
			form := url.Values{"name": {args[0]}, "source": {source}, "by": {operator()}}
			if err := r.call(cmd.Context(), http.MethodPost, "/api/v1/explain", form, &found); err != nil {
				return err
			}
			if asJSON {
				if err := p.printJSON(found); err != nil {
					return err
				}
			} else if err := writeExplanations(p.stdout, found); err != nil {
				return err
			}
			if len(found) == 0 {
				return fmt.Errorf("nothing is called %q: no user has that id, userPrincipalName, mail or displayName, and no group that id, displayName or mailNickname; "+
					"it is not in the tenant, has not been read yet (scim-bridge status), or is left out by users.read: filtered", args[0])
			}
			return nil
		},
	}
	p.configFlag(cmd)
	sourceFlag(cmd, &source)
	cmd.Flags().StringVar(&file, "file", "", "explain the object in this `FILE`, without a daemon")
	cmd.Flags().BoolVar(&group, "group", false, "the object in the file is a group")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print everything as JSON")
	_ = cmd.MarkFlagFilename("file", "json")
	return cmd
}

// explainFile explains an object that no tenant needs to have.
func (p *program) explainFile(file, source string, group, asJSON bool) error {
	cfg, err := config.Load(p.configFile)
	if err != nil {
		return err
	}
	r := &remote{cfg: cfg}
	if source, err = r.source(source); err != nil {
		return err
	}
	// What can't be judged must not look like somebody who is left out.
	object, err := readSample(file)
	if err != nil {
		return usageError{err}
	}
	e, err := daemon.ExplainSample(cfg, source, group || looksLikeGroup(object), object)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", file, err)}
	}
	if asJSON {
		err = p.printJSON([]mirror.Explanation{e})
	} else {
		err = writeExplanations(p.stdout, []mirror.Explanation{e})
	}
	if err == nil && e.State == mirror.StateAbsent {
		err = fmt.Errorf("%s would not be served", e.Name)
	}
	return err
}

func readSample(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	object, err := io.ReadAll(io.LimitReader(f, maxSample+1))
	if err == nil && len(object) > maxSample {
		err = fmt.Errorf("%s is larger than %d MiB: it is to hold one object", file, maxSample>>20)
	}
	return object, err
}

// looksLikeGroup tells by what only a group has.
func looksLikeGroup(object []byte) bool {
	var o map[string]json.RawMessage
	if json.Unmarshal(object, &o) != nil {
		return false
	}
	if t, ok := o["@odata.type"]; ok {
		return bytes.Contains(bytes.ToLower(t), []byte("graph.group"))
	}
	_, user := o["userPrincipalName"]
	_, types := o["groupTypes"]
	_, security := o["securityEnabled"]
	return !user && (types || security)
}

func writeExplanations(to io.Writer, all []mirror.Explanation) error {
	var b bytes.Buffer
	for i := range all {
		if i > 0 {
			b.WriteString("\n")
		}
		writeExplanation(&b, &all[i])
	}
	_, err := to.Write(b.Bytes())
	return err
}

func writeExplanation(b *bytes.Buffer, e *mirror.Explanation) {
	fmt.Fprintf(b, "%s %s (%s) of source %s: %s\n", strings.ToLower(e.Type), e.Name, e.ID, e.Source, strings.ToUpper(e.State))
	fmt.Fprintf(b, "  %s\n", e.Why)
	if len(e.Rules) > 0 {
		b.WriteString("\nscope\n")
		w := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
		for _, r := range e.Rules {
			mark := "✓"
			if !r.In {
				mark = "✗"
			}
			text := r.Text
			if len(r.Path) > 0 {
				text += ": " + strings.Join(r.Path, " > ") + " > " + e.Name
			}
			fmt.Fprintf(w, "  %s\t%s\t%s\n", mark, r.Rule, text)
		}
		_ = w.Flush() // into memory
	}
	writeChanges(b, e)
	writeValues(b, e)
	for _, part := range []struct {
		title string
		json  json.RawMessage
	}{{"Microsoft Graph", e.Graph}, {"SCIM", e.SCIM}, {"SCIM, as a held round would have it", e.Would}} {
		if part.json == nil {
			continue
		}
		var text bytes.Buffer
		_ = json.Indent(&text, part.json, "  ", "  ") // it was made by us
		fmt.Fprintf(b, "\n%s\n  %s\n", part.title, daemon.Readable(text.String()))
	}
}

// writeValues tells which rule of the mapping gives which value, extension by
// extension.
func writeValues(b *bytes.Buffer, e *mirror.Explanation) {
	w := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	for i, schema := 0, "-"; i < len(e.Values); i++ {
		v := &e.Values[i]
		urn, path := "", v.Path
		if strings.HasPrefix(path, "urn:") {
			plain, _, _ := strings.Cut(path, "[")
			at := strings.LastIndexByte(plain, ':')
			urn, path = path[:at], path[at+1:]
		}
		if urn != schema {
			_ = w.Flush() // into memory
			schema = urn
			fmt.Fprintln(b, strings.TrimSuffix("\nvalues of "+urn, " of "))
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", path, valueText(v), valueRule(v))
	}
	_ = w.Flush() // into memory
}

// longestValue is how many characters of a value stand in the table: the column
// is as wide as the longest. All of it is in the SCIM JSON below.
const longestValue = 80

// valueText gives a value on one line.
func valueText(v *mirror.Value) string {
	var b bytes.Buffer
	if v.JSON == nil || json.Compact(&b, v.JSON) != nil {
		return "(none)"
	}
	text := daemon.Readable(b.String())
	if chars := []rune(text); len(chars) > longestValue {
		text = string(chars[:longestValue-1]) + "…"
	}
	return text
}

// lineBreaks are those of an expression that the file has on several lines.
var lineBreaks = regexp.MustCompile(`\s*\n\s*`)

// valueRule says where a value comes from, on one line.
func valueRule(v *mirror.Value) string {
	from := lineBreaks.ReplaceAllString(strings.TrimSpace(v.Rule), " ")
	if v.Origin != "" {
		from += " (" + v.Origin + ")"
	}
	switch {
	case v.Kept:
		from += "; the last good value is kept"
	case v.Made:
		from += "; made up, since Entra has none"
	}
	if v.Problem != "" {
		from += "; " + v.Problem
	}
	return from
}

// writeChanges tells when things changed and who has seen it.
func writeChanges(b *bytes.Buffer, e *mirror.Explanation) {
	if e.Round > 0 || !e.Changed.IsZero() {
		b.WriteString("\nlast changed\n")
	}
	if e.Round > 0 {
		fmt.Fprintf(b, "  in Microsoft's directory, as told in round %d\n", e.Round)
	}
	if !e.Changed.IsZero() {
		generation := "a generation that is no longer kept"
		if e.Generation > 0 {
			generation = fmt.Sprint("generation ", e.Generation)
		}
		fmt.Fprintf(b, "  in the endpoint at %s UTC, in %s\n", e.Changed.UTC().Format(time.DateTime), generation)
	}
	for i, r := range e.Readers {
		if i == 0 {
			b.WriteString("\nclients\n")
		}
		at := ""
		if !r.At.IsZero() {
			at = ", at " + r.At.UTC().Format(time.DateTime) + " UTC"
		}
		fmt.Fprintf(b, "  %s %s%s\n", r.Client, r.Text, at)
	}
}
