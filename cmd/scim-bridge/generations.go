package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"scimbridge/cmd/internal/admin"
	"scimbridge/cmd/internal/words"
	"scimbridge/sync/mirror"
)

// The commands that look at what was, is held back from, or would be served.

// listLimit is how many changes are named unless all are asked for.
const listLimit = 100

// rehearse does a round that changes nothing, and prints what it would do.
func (p *program) rehearse(cmd *cobra.Command, source string, full, asJSON bool) error {
	r, source, err := p.remoteSource(cmd.Context(), source, false)
	if err != nil {
		return err
	}
	form := url.Values{}
	if full {
		form.Set("full", "1")
	}
	if !asJSON {
		form.Set("list", strconv.Itoa(listLimit))
	}
	var result admin.Rehearsal
	if err := r.call(cmd.Context(), http.MethodPost, "/api/v1/sources/"+url.PathEscape(source)+"/rehearse", form, &result); err != nil {
		return err
	}
	if asJSON {
		return p.printJSON(result)
	}
	fmt.Fprintf(p.stdout, "%s: a round now would be %s; nothing was changed\n", source, result.Round.Outcome)
	if result.Round.Why != "" {
		fmt.Fprintf(p.stdout, "  %s\n", result.Round.Why)
	}
	if result.Diff == nil {
		return nil
	}
	return result.Diff.WriteText(p.stdout)
}

func heldCommand(p *program) *cobra.Command {
	var source, client string
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "held",
		Short: "Show what a held round would change, person by person",
		Long: `Show what a held round would change, person by person. With --client show whom
a client would lose with the sources that its list in the file no longer has.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if client != "" {
				return p.heldFrom(cmd.Context(), client, limit(all || asJSON), asJSON)
			}
			r, source, err := p.remoteSource(cmd.Context(), source, true)
			if err != nil {
				return err
			}
			var diff *mirror.Diff
			path := "/api/v1/sources/" + url.PathEscape(source) + "/held?list=" + strconv.Itoa(limit(all || asJSON))
			if err := r.call(cmd.Context(), http.MethodGet, path, nil, &diff); err != nil {
				return err
			}
			switch {
			case asJSON:
				return p.printJSON(diff)
			case diff == nil:
				_, err := fmt.Fprintf(p.stdout, "%s: nothing is held\n", source)
				return err
			}
			return diff.WriteText(p.stdout)
		},
	}
	p.configFlag(cmd)
	sourceFlag(cmd, &source)
	clientFlag(cmd, &client)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print everything as JSON")
	cmd.Flags().BoolVar(&all, "all", false, fmt.Sprintf("name everybody, not only the first %d", listLimit))
	return cmd
}

// limit is how many changes to name.
func limit(all bool) int {
	if all {
		return 0
	}
	return listLimit
}

func diffCommand(p *program) *cobra.Command {
	var source string
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "diff [A [B]]",
		Short: "Show what changed between two published generations",
		Long: `Show what changed from generation A to generation B of a source; without B, to
the one served now. Without A it lists the generations that are kept
(state.keep_generations).`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 2 {
				return usageError{fmt.Errorf("diff takes two generations, but got %q", args)}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r, source, err := p.remoteSource(cmd.Context(), source, false)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return p.listGenerations(cmd, r, source, asJSON)
			}
			query := url.Values{"list": {strconv.Itoa(limit(all || asJSON))}, "from": {args[0]}}
			if len(args) == 2 {
				query.Set("to", args[1])
			}
			var diff mirror.Diff
			if err := r.call(cmd.Context(), http.MethodGet, "/api/v1/sources/"+url.PathEscape(source)+"/diff?"+query.Encode(), nil, &diff); err != nil {
				return err
			}
			if asJSON {
				return p.printJSON(diff)
			}
			return diff.WriteText(p.stdout)
		},
	}
	p.configFlag(cmd)
	sourceFlag(cmd, &source)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print everything as JSON")
	cmd.Flags().BoolVar(&all, "all", false, fmt.Sprintf("name everybody, not only the first %d", listLimit))
	return cmd
}

func (p *program) listGenerations(cmd *cobra.Command, r *remote, source string, asJSON bool) error {
	var kept []admin.Generation
	if err := r.call(cmd.Context(), http.MethodGet, "/api/v1/sources/"+url.PathEscape(source)+"/generations", nil, &kept); err != nil {
		return err
	}
	if asJSON {
		return p.printJSON(kept)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "GENERATION\tPUBLISHED\tUSERS\tGROUPS")
	for _, g := range kept {
		note := ""
		if g.Current {
			note = "served now"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", g.Number, g.Published.Local().Format(time.DateTime), words.Thousands(g.Users), words.Thousands(g.Groups), note)
	}
	return w.Flush()
}

func rollbackCommand(p *program) *cobra.Command {
	var source string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rollback A",
		Short: "Serve an older generation again, and freeze the source",
		Long: `Serve an older generation again, as a new one, and freeze the source: the next
round would undo it. After "unfreeze" all that changed since comes back, by way
of the guard. "diff A" shows beforehand what it would undo.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("rollback takes one generation; see them with: scim-bridge diff")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.act(cmd.Context(), source, "rollback", url.Values{"generation": {args[0]}, "by": {operator()}}, asJSON)
		},
	}
	p.configFlag(cmd)
	sourceFlag(cmd, &source)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// remoteSource finds the daemon and the source that a command is about. left tells
// that it may be one that left the file, beside which the only one in the file is
// not the only one.
func (p *program) remoteSource(ctx context.Context, name string, left bool) (*remote, string, error) {
	r, err := p.remote()
	if err != nil {
		return nil, "", err
	}
	only, err := r.source(name)
	if name != "" || !left {
		return r, only, err
	}
	switch others, fault := r.left(ctx); {
	case fault != nil && err == nil:
		return r, "", fault
	case fault == nil && len(others) > 0:
		return r, "", r.several(others)
	}
	return r, only, err
}
