package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"scimbridge/cmd/internal/config"
	"scimbridge/cmd/internal/daemon"
	"scimbridge/sync/consent"
)

func testCommand(p *program) *cobra.Command {
	var source string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Test the API credentials of the sources, and the endpoint",
		Long: `Test the API credentials of one source, or of all: whether Microsoft's login and
Graph are reached (names, connection, TLS), the token, the permissions granted
against those needed, users, groups, memberships, delta queries, the clock. And, unless
one source is named, the side of the identity platforms: the listener, the
certificate, each client's token. Nothing is changed, and no daemon has to run.
What fails comes with what to do about it, and with exit status 1.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(p.configFile)
			if err != nil {
				return err
			}
			reports, err := checkSources(cmd.Context(), cfg, source)
			if err != nil {
				return err
			}
			if asJSON {
				err = p.printJSON(reports)
			} else {
				err = p.printReports(reports)
			}
			if err == nil && slices.ContainsFunc(reports, func(r *consent.Report) bool { return !r.OK() }) {
				return silentError(exitFailed)
			}
			return err
		},
	}
	p.configFlag(cmd)
	sourceFlag(cmd, &source)
	cmd.Flags().Lookup("source").Usage = "`NAME` of the source (default: all)"
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the steps as JSON")
	return cmd
}

func checkSources(ctx context.Context, cfg *config.Config, only string) ([]*consent.Report, error) {
	var reports []*consent.Report
	var names []string
	st := ownState{dir: string(cfg.State.Directory)}
	for i, s := range cfg.Sources {
		names = append(names, s.Name)
		if only != "" && s.Name != only {
			continue
		}
		tenant := ""
		if s.TenantID == "" {
			tenant, _ = st.tenant(ctx, s.Name) // what can't be read is not known
		}
		report, err := daemon.CheckSource(ctx, cfg, i, tenant, programVersion())
		if err != nil {
			return nil, err
		}
		reports = append(reports, report)
	}
	if only == "" {
		reports = append(reports, daemon.CheckEndpoint(ctx, cfg))
	}
	if len(reports) == 0 {
		return nil, usageError{errors.New("there is no source " + only + "; there are: " + strings.Join(names, ", "))}
	}
	return reports, nil
}

func (p *program) printReports(reports []*consent.Report) error {
	colours := paletteFor(p.stdout)
	for _, r := range reports {
		fmt.Fprintln(p.stdout, colours.paint(heading, r.Source))
		var text strings.Builder
		w := tabwriter.NewWriter(&text, 0, 8, 2, ' ', 0)
		for _, s := range r.Steps {
			mark := "✓"
			if !s.OK {
				mark = "✗"
			}
			fmt.Fprintf(w, "  %s %s\t%s\n", mark, s.Name, s.Detail)
			if s.Mend != "" {
				fmt.Fprintf(w, "  \t→ %s\n", s.Mend)
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
		for line := range strings.Lines(text.String()) { // painted last: columns are measured without
			for mark, t := range map[string]tone{"  ✓": good, "  ✗": bad} {
				if rest, ok := strings.CutPrefix(line, mark); ok {
					line = colours.paint(t, mark) + rest
				}
			}
			fmt.Fprint(p.stdout, line)
		}
	}
	return nil
}
