package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"scimbridge/cmd/internal/config"
	"scimbridge/cmd/internal/daemon"
	"scimbridge/cmd/internal/setup"
	"scimbridge/sync/consent"
)

func setupCommand(p *program) *cobra.Command {
	var o setup.Options
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Set up a first tenant and platform, led by questions",
		Long: `Set up a first tenant and platform, led by questions: the app registration with
the exact permissions, admin consent, the credential test, a token for the
platform. It writes the configuration and the files of secrets, and overwrites
nothing.

Ctrl-C stops at any question, and so does a lost connection; the next
scim-bridge setup goes on there. The answers are kept beside the configuration
(FILE.setup, mode 0600) until it is written; no secret is among them. A client
secret goes at once into the file that it is for (mode 0600).

A flag answers its question. With --non-interactive nothing is asked: what no
flag says takes its default. Then the platform's token is printed at the end.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.ConfigFile, o.In, o.Out = p.configFile, os.Stdin, p.stdout
			o.Env, o.Version, o.NewToken = os.Getenv, programVersion(), newToken
			o.App = func(cfg *config.Config) (consent.App, error) {
				return daemon.ConsentApp(cfg, 0, "", programVersion())
			}
			o.Forward = forwardLine
			o.Desk = func(ctx context.Context, app consent.App, save func(context.Context, consent.Grant) error, diag io.Writer) (setup.Desk, error) {
				return newDesk(ctx, app, save, diag)
			}
			o.Given = setup.Answers{}
			for _, f := range setup.Flags() {
				if cmd.Flags().Changed(f.Name) {
					o.Given[f.Name] = cmd.Flag(f.Name).Value.String()
				}
			}
			err := setup.Run(cmd.Context(), o)
			var usage setup.Usage
			switch {
			case errors.Is(err, setup.ErrStopped):
				return silentError(exitFailed)
			case errors.As(err, &usage):
				return usageError{err}
			}
			return err
		},
	}
	p.configFlag(cmd)
	cmd.Flag("config").Usage = "configuration `FILE` to write"
	cmd.Flags().BoolVar(&o.NonInteractive, "non-interactive", false, "ask nothing: flags and defaults")
	cmd.Flags().BoolVar(&o.Restart, "restart", false, "drop what an earlier set-up kept, and begin anew")
	cmd.Flags().BoolVar(&o.SkipTest, "skip-test", false, "with --non-interactive: write the file even if the credential test fails")
	cmd.Flags().SortFlags = false
	for _, f := range setup.Flags() {
		cmd.Flags().String(f.Name, "", f.Usage)
	}
	return cmd
}
