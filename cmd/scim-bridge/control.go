package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"scimbridge/cmd/internal/admin"
	"scimbridge/cmd/internal/words"
	"scimbridge/scim/directory"
	"scimbridge/sync/mirror"
)

// The commands that act upon the running daemon.

func statusCommand(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the sources, their last rounds and what is held",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := p.remote()
			if err != nil {
				return err
			}
			var st admin.Status
			if err := r.call(cmd.Context(), http.MethodGet, "/api/v1/status", nil, &st); err != nil {
				return err
			}
			if asJSON {
				return p.printJSON(st)
			}
			return p.printStatus(&st)
		},
	}
	p.configFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print everything as JSON")
	return cmd
}

func (p *program) printStatus(st *admin.Status) error {
	fmt.Fprintf(p.stdout, "scim-bridge %s, up %s, SCIM at %s\n", st.Version, ago(st.Now, st.Started), st.PublicURL)
	if st.NotReady != "" {
		fmt.Fprintf(p.stdout, "%s: %s\n", p.loud("NOT READY"), st.NotReady)
	}
	if st.ConfigError != "" {
		fmt.Fprintf(p.stdout, "%s (%s ago), the one from before is in force:\n%s\n", p.loud("CONFIGURATION NOT TAKEN"), ago(st.Now, st.ConfigFailed), st.ConfigError)
	}
	var rows [][]cell
	for _, s := range st.Sources {
		last, next := "-", "-"
		if !s.LastSuccess.IsZero() {
			last = ago(st.Now, s.LastSuccess) + " ago"
		}
		if s.Next.After(st.Now) {
			next = "in " + ago(s.Next, st.Now)
		}
		r := row(s.Name, s.State, words.Thousands(s.Users), words.Thousands(s.ActiveUsers), words.Thousands(s.Groups), last, next)
		r[1].tone = toneOf(s.State)
		rows = append(rows, r)
	}
	fmt.Fprintln(p.stdout)
	if err := printTable(p.stdout, paletteFor(p.stdout), []string{"SOURCE", "STATE", "USERS", "ACTIVE", "GROUPS", "LAST ROUND", "NEXT"}, rows); err != nil {
		return err
	}
	if err := p.printClients(st); err != nil {
		return err
	}
	p.printHeldClients(st)
	p.printDuplicates(st.DuplicateNames)
	for _, s := range st.Sources {
		switch {
		case s.Held != "":
			fmt.Fprintf(p.stdout, "\n%s: round %d is %s since %s: %s\n  see whom it concerns with: scim-bridge held --source %[1]s\n  let it through with: scim-bridge approve --source %[1]s %[2]d\n",
				s.Name, s.HeldRound, p.loud("HELD"), s.HeldSince.Local().Format(time.DateTime), s.Held)
		case !s.Frozen.IsZero():
			fmt.Fprintf(p.stdout, "\n%s: %s since %s\n  thaw it with: scim-bridge unfreeze --source %[1]s\n", s.Name, paletteFor(p.stdout).paint(warning, "FROZEN"), s.Frozen.Local().Format(time.DateTime))
		case s.State == "waiting for consent":
			fmt.Fprintf(p.stdout, "\n%s: %s: %s\n", s.Name, p.loud("WAITING FOR CONSENT"), s.Error)
		case s.Failures > 0:
			fmt.Fprintf(p.stdout, "\n%s: %s since %s (%s in a row; %s): %s\n", s.Name, p.loud("FAILING"), s.FailedSince.Local().Format(time.DateTime), words.Count(s.Failures, "round"), nextTry(st, &s), s.Error)
		case s.Error != "":
			fmt.Fprintf(p.stdout, "\n%s: %s\n", s.Name, s.Error)
		}
		if s.HiddenGroups > 0 {
			fmt.Fprintf(p.stdout, "\n%s: %s served without any: %s\n  grant the application permission Member.Read.Hidden to see them\n",
				s.Name, words.Count(s.HiddenGroups, "group")+hides(s.HiddenGroups), strings.Join(s.HiddenNames, ", "))
		}
		if s.Waiting != "" {
			fmt.Fprintf(p.stdout, "\n%s: %s: %s\n", s.Name, p.loud("WAITING FOR CONSENT"), s.Waiting)
		}
		if s.Aside != "" {
			fmt.Fprintf(p.stdout, "\n%s: %s: properties that are read aside keep their last values: %s\n", s.Name, p.loud("MAPPING"), s.Aside)
		}
		for _, m := range s.Mapping {
			fmt.Fprintf(p.stdout, "\n%s: %s: %s\n", s.Name, p.loud("MAPPING"), m)
		}
		if len(s.LostGroups) > 0 {
			fmt.Fprintf(p.stdout, "\n%s: %s of users.member_of: the tenant does not have %s\n  correct the list in the file, or restore the group in Entra if that can still be done\n",
				s.Name, p.loud("NO SUCH GROUP"), strings.Join(s.LostGroups, ", "))
		}
		for _, shared := range s.Shared {
			fmt.Fprintf(p.stdout, "\n%s: %s: %s\n  remove one of the two, or give each client a list of sources with one of them\n", s.Name, p.loud("IDS OF TWO SOURCES"), shared)
		}
		if s.Filtered != nil {
			fmt.Fprintf(p.stdout, "\n%s: read by filter: %s\n", s.Name, s.Filtered)
		}
		if out := s.LeftOut(); out != "" {
			fmt.Fprintf(p.stdout, "\n%s: left out by the scope: %s\n  why somebody is, or is not: scim-bridge explain NAME\n", s.Name, out)
		}
		if s.ProgressRate > 0 {
			fmt.Fprintf(p.stdout, "\n%s: %s\n", s.Name, progress(&s))
		}
	}
	for _, c := range st.Credentials {
		const soon = 30 * 24 * time.Hour
		switch left := c.Expires.Sub(st.Now); {
		case left <= 0:
			fmt.Fprintf(p.stdout, "\nthe %s of %s %s on %s\n", c.Kind, c.Name, p.loud("HAS ENDED"), c.Expires.Local().Format(time.DateTime))
		case left < soon:
			fmt.Fprintf(p.stdout, "\nthe %s of %s ends on %s, in %d days\n", c.Kind, c.Name, c.Expires.Local().Format(time.DateTime), int(left.Hours()/24))
		}
	}
	return nil
}

func hides(n int) string {
	if n == 1 {
		return " hides its members and is"
	}
	return " hide their members and are"
}

// nextTry words when a source that fails is tried again.
func nextTry(st *admin.Status, s *admin.SourceStatus) string {
	if s.Next.After(st.Now) {
		return "next try in " + ago(s.Next, st.Now)
	}
	return "being tried now"
}

// progress words how far a first import is.
func progress(s *admin.SourceStatus) string {
	of := func(n, total int) string {
		if total == 0 {
			return words.Thousands(n)
		}
		return words.Thousands(n) + " of about " + words.Thousands(total)
	}
	text := fmt.Sprintf("%s users and %s groups so far, %.0f a second", of(s.ProgressUsers, s.ProgressTotalUsers), of(s.ProgressGroups, s.ProgressTotalGroups), s.ProgressRate)
	if s.ProgressLeft > 0 {
		text += ", about " + s.ProgressLeft.String() + " left"
	}
	return text
}

// printClients shows each client's last import of each kind of list.
func (p *program) printClients(st *admin.Status) error {
	var rows [][]cell
	for i := range st.Clients {
		c := &st.Clients[i]
		name, last := c.Name, "none since the start"
		if !c.LastRequest.IsZero() {
			last = ago(st.Now, c.LastRequest) + " ago"
		}
		imports := lastImports(c.Imports)
		if len(imports) == 0 {
			rows = append(rows, row(name, last, "-", "-", "-", "-", "-"))
		}
		for _, i := range imports {
			since := "-"
			if i.DeltaReads > 0 {
				since = fmt.Sprintf("%s ×, %s found", words.Thousands(i.DeltaReads), words.Thousands(i.DeltaResources))
			}
			r := row(name, last, i.Endpoint, i.State, words.Thousands(i.Resources)+" of "+words.Thousands(i.Total), ago(st.Now, i.Started)+" ago", since)
			r[3].tone = toneOf(i.State)
			rows = append(rows, r)
			name, last = "", ""
		}
	}
	fmt.Fprintln(p.stdout)
	return printTable(p.stdout, paletteFor(p.stdout), []string{"CLIENT", "LAST REQUEST", "LAST IMPORT", "STATE", "READ", "STARTED", "CHANGES READ SINCE"}, rows)
}

// loud paints what must not be overlooked.
func (p *program) loud(text string) string { return paletteFor(p.stdout).paint(bad, text) }

// lastImports gives the latest import of each endpoint that is not of a part
// only. They come latest first.
func lastImports(all []admin.Import) []admin.Import {
	var last []admin.Import
	for _, i := range all {
		if !i.Filtered && !slices.ContainsFunc(last, func(l admin.Import) bool { return l.Endpoint == i.Endpoint }) {
			last = append(last, i)
		}
	}
	return last
}

// shownDuplicates is how many userNames are named.
const shownDuplicates = 10

func (p *program) printDuplicates(d *admin.DuplicateNames) {
	if d == nil {
		return
	}
	fmt.Fprintf(p.stdout, "\n%s with more than one owner; all are served:\n", words.Count(d.Total, "userName"))
	for _, n := range d.Names[:min(len(d.Names), shownDuplicates)] {
		fmt.Fprintf(p.stdout, "  %s:", n.UserName)
		for _, o := range n.Owners {
			fmt.Fprintf(p.stdout, " %s of %s", o.ID, o.Source)
		}
		if n.More > 0 {
			fmt.Fprintf(p.stdout, " and %d more", n.More)
		}
		fmt.Fprintln(p.stdout)
	}
	if more := d.Total - shownDuplicates; more > 0 {
		fmt.Fprintf(p.stdout, "  … and %d more\n", more)
	}
}

// ago gives the time between two moments, roughly.
func ago(later, earlier time.Time) string {
	d := later.Sub(earlier)
	if d < time.Minute {
		return d.Round(time.Second).String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}

func syncCommand(p *program) *cobra.Command {
	var source string
	var full, dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Do one round of a source now and wait for it",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dryRun {
				return p.rehearse(cmd, source, full, asJSON)
			}
			form := url.Values{}
			if full {
				form.Set("full", "1")
			}
			return p.act(cmd.Context(), source, "sync", form, asJSON)
		},
	}
	p.configFlag(cmd)
	sourceFlag(cmd, &source)
	cmd.Flags().BoolVar(&full, "full", false, "read everything, instead of what changed")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "change nothing, and print what would change")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

func approveCommand(p *program) *cobra.Command {
	var source, client string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "approve [ROUND]",
		Short: "Let a held round through",
		Long: `Let a held round through: what it would take away is taken away then.

ROUND is the number that status shows; if it is given and another round is held
by now, nothing happens. For a source that is no longer in the configuration it
drops what is still served of it.

With --client it takes from a client the sources that its list in the file no
longer has, which it is shown until then: all of them, or that of --source.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("approve takes one round, but got %q", args)}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if client != "" {
				return p.approveClient(cmd.Context(), client, source, args, asJSON)
			}
			form := url.Values{"by": {operator()}}
			if len(args) == 1 {
				form.Set("round", args[0])
			}
			return p.act(cmd.Context(), source, "approve", form, asJSON)
		},
	}
	p.configFlag(cmd)
	sourceFlag(cmd, &source)
	clientFlag(cmd, &client)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// operator names who calls, for the record.
func operator() string {
	if u, err := user.Current(); err == nil {
		return u.Username + " at the command line"
	}
	return "the command line"
}

func freezeCommand(p *program, freeze bool) *cobra.Command {
	var source string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "unfreeze", Short: "Go on from a freeze", Args: noArgs,
		Long: "Go on from a freeze: what has changed meanwhile is published, if the guard lets it.",
	}
	if freeze {
		cmd.Use, cmd.Short = "freeze", "Keep serving a source's present picture until told otherwise"
		cmd.Long = "Keep serving a source's present picture until unfreeze, whatever changes in the\ntenant: during an incident, or a migration."
	}
	action := cmd.Use
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return p.act(cmd.Context(), source, action, url.Values{"by": {operator()}}, asJSON)
	}
	p.configFlag(cmd)
	sourceFlag(cmd, &source)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

func reloadCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the daemon read its configuration again, and wait for the verdict",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := p.remote()
			if err != nil {
				return err
			}
			var result admin.Reloaded
			if err := r.call(cmd.Context(), http.MethodPost, "/api/v1/reload", nil, &result); err != nil {
				return err
			}
			fmt.Fprintln(p.stdout, "the configuration is in force")
			for _, held := range result.Held {
				fmt.Fprintf(p.stdout, "%s: %s\n", p.loud("HELD"), held)
			}
			return nil
		},
	}
	p.configFlag(cmd)
	return cmd
}

func sourceFlag(cmd *cobra.Command, source *string) {
	cmd.Flags().StringVarP(source, "source", "s", "", "`NAME` of the source (needed where there are several)")
}

// act has the daemon do something with a source and prints what became of it.
func (p *program) act(ctx context.Context, source, action string, form url.Values, asJSON bool) error {
	r, source, err := p.remoteSource(ctx, source, action == "approve")
	if err != nil {
		return err
	}
	var round admin.Round
	if err := r.call(ctx, http.MethodPost, "/api/v1/sources/"+url.PathEscape(source)+"/"+action, form, &round); err != nil {
		return err
	}
	if asJSON {
		if err := p.printJSON(round); err != nil {
			return err
		}
	} else {
		if action == "unfreeze" && round.Outcome != string(mirror.NotFrozen) {
			fmt.Fprintf(p.stdout, "%s: no longer frozen\n", source)
		}
		p.printRound(source, &round)
		if action == "freeze" {
			fmt.Fprintf(p.stdout, "  this picture is served until: scim-bridge unfreeze --source %s\n", source)
		}
	}
	if round.Outcome == "held" || round.Outcome == "failed" {
		return silentError(exitFailed)
	}
	return nil
}

func (p *program) printRound(source string, r *admin.Round) {
	outcome := paletteFor(p.stdout).paint(toneOf(r.Outcome), r.Outcome)
	line := source + ": " + outcome
	if r.Outcome == string(mirror.NotFrozen) {
		line += "; there was nothing to unfreeze, and nothing was done"
	}
	if r.Round > 0 {
		line = fmt.Sprintf("%s: round %d %s, %s in %s", source, r.Round, outcome, words.Count(r.Pages, "page"), r.Elapsed.Round(time.Millisecond))
	}
	fmt.Fprintln(p.stdout, line)
	for _, c := range []struct {
		name   string
		counts *directory.Counts
	}{{"users", r.Users}, {"groups", r.Groups}} {
		if c.counts != nil && *c.counts != (directory.Counts{}) {
			fmt.Fprintf(p.stdout, "  %s: %s\n", c.name, words.Changes(*c.counts))
		}
	}
	if r.Why != "" {
		fmt.Fprintf(p.stdout, "  %s\n  nothing changed in the endpoint; let it through with: scim-bridge approve --source %s %d\n", r.Why, source, r.Round)
	}
}
