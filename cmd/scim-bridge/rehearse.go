package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"scimbridge/cmd/internal/config"
	"scimbridge/cmd/internal/daemon"
	"scimbridge/cmd/internal/rehearse"
	"scimbridge/scim/accesstoken"
)

// A rehearsing is the command rehearse with its flags.
type rehearsing struct {
	p         *program
	platform  string
	client    string
	url       string
	tokenFile string
	limit     int
	asJSON    bool
}

func rehearseCommand(p *program) *cobra.Command {
	r := &rehearsing{p: p}
	cmd := &cobra.Command{
		Use:   "rehearse --as " + strings.Join(rehearse.Names(), "|"),
		Short: "Show what an identity platform would reject or mis-match today",
		Long: `Make the requests that an identity platform makes when it imports, and hold
everybody against what it demands: who has no last name, no primary e-mail
address, the userName of another. Each is named, with the attribute, what to do,
and a line for the mapping of the source.

It reads from the running daemon, without being an import of any client; where
no daemon runs, from the stored picture; with --url, over the network, as the
platform will: by way of the proxy in front of the daemon.

Exit status: 0 the platform would take everybody (there may be warnings), 1 it
would reject or mis-match somebody, or its requests fail, 2 usage or
configuration. docs/rehearse.md lists the rules of each platform.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd.Context()) },
	}
	p.configFlag(cmd)
	cmd.Flags().StringVar(&r.platform, "as", "", "the `PLATFORM`: "+strings.Join(rehearse.Names(), ", "))
	cmd.Flags().StringVar(&r.client, "client", "", "`NAME` of the client whose sources are read (default: the one called like the platform, else the only one, else all sources)")
	cmd.Flags().StringVar(&r.url, "url", "", "base `URL` of the endpoint, to ask over the network")
	cmd.Flags().StringVar(&r.tokenFile, "token-file", "", "`FILE` with the bearer token for --url")
	cmd.Flags().IntVar(&r.limit, "limit", 10, "how many users or groups to name for each finding; 0 names all")
	cmd.Flags().BoolVar(&r.asJSON, "json", false, "print the report as JSON")
	_ = cmd.RegisterFlagCompletionFunc("as", cobra.FixedCompletions(rehearse.Names(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (r *rehearsing) run(ctx context.Context) error {
	if err := r.check(); err != nil {
		return usageError{err}
	}
	report, err := r.report(ctx)
	if err != nil {
		return err
	}
	if r.asJSON {
		err = r.p.printJSON(report)
	} else {
		err = report.WriteText(r.p.stdout)
	}
	if err == nil && !report.OK() {
		return silentError(exitFailed)
	}
	return err
}

// check says what is wrong with the flags.
func (r *rehearsing) check() error {
	if r.platform == "" {
		return fmt.Errorf("rehearse needs a platform: --as %s", strings.Join(rehearse.Names(), "|"))
	}
	_, err := rehearse.Find(r.platform)
	endpoint, urlErr := url.Parse(r.url)
	switch {
	case err != nil:
		return err
	case urlErr != nil:
		return fmt.Errorf("--url: %w", urlErr)
	case r.limit < 0:
		return errors.New("--limit must not be negative; 0 names all")
	case (r.url == "") != (r.tokenFile == ""):
		return errors.New("--url and --token-file belong together")
	case r.url != "" && !accesstoken.Trustworthy(endpoint):
		return fmt.Errorf("--url %q would carry the token in the clear: give an https URL, or http of this machine", r.url)
	case r.url != "" && r.client != "":
		return errors.New("--client has no part in --url: the token says who asks")
	}
	return nil
}

// report rehearses over the network, through the running daemon, or with what is
// stored.
func (r *rehearsing) report(ctx context.Context) (*rehearse.Report, error) {
	if r.url != "" {
		return r.overNetwork(ctx)
	}
	daemonOf, err := r.p.remote()
	if err != nil {
		return nil, err
	}
	query := url.Values{"as": {r.platform}, "client": {r.client}, "limit": {strconv.Itoa(r.limit)}}
	report := new(rehearse.Report)
	err = daemonOf.call(ctx, http.MethodGet, "/api/v1/rehearse?"+query.Encode(), nil, report)
	if !errors.Is(err, errNotRunning) {
		return report, err
	}
	cfg, loadErr := config.Load(r.p.configFile)
	if loadErr != nil {
		return nil, loadErr
	}
	stored, storedErr := daemon.RehearseStored(ctx, cfg, "scim-bridge "+programVersion(), r.platform, r.client, r.limit)
	if storedErr != nil {
		var faults config.Faults
		if errors.As(storedErr, &faults) {
			return nil, storedErr
		}
		return nil, fmt.Errorf("%w; and the stored picture was not read: %w", err, storedErr)
	}
	return stored, nil
}

func (r *rehearsing) overNetwork(ctx context.Context) (*rehearse.Report, error) {
	token, err := os.ReadFile(r.tokenFile)
	if err != nil {
		return nil, fmt.Errorf("reading the token: %w", err)
	}
	platform, err := rehearse.Find(r.platform)
	if err != nil {
		return nil, err
	}
	return rehearse.Run(ctx, rehearse.Options{
		Platform: platform, Limit: r.limit,
		Endpoint: rehearse.Endpoint{URL: r.url, Authorization: "Bearer " + strings.TrimRight(string(token), "\r\n")},
	})
}
