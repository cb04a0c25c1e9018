// Command scim-bridge serves the people and groups of Microsoft 365 as a SCIM
// 2.0 endpoint that identity platforms import from.
//
// Output for people goes to stdout, diagnostics to stderr. Exit status: 0 done,
// 1 failed, 2 usage or configuration.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"scimbridge/cmd/internal/config"
)

// version is set by the build (-ldflags "-X main.version=1.2.3").
var version string

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// The exit statuses.
const (
	exitDone = iota
	exitFailed
	exitUsage
)

// run does one command and gives its exit status.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot(&program{stdout: stdout, stderr: stderr})
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	var faults config.Faults
	var fault config.Fault
	var usage usageError
	var silent silentError
	switch {
	case errors.As(err, &silent):
		return int(silent)
	case errors.As(err, &faults), errors.As(err, &fault):
		fmt.Fprintln(stderr, err)
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "scim-bridge: %v\n", err)
		return exitUsage
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted; what was under way is not finished")
	}
	fmt.Fprintf(stderr, "scim-bridge: %v\n", err)
	return exitFailed
}

// A usageError is a command line that can't be understood.
type usageError struct{ error }

// A silentError ends the program with a status, everything having been said.
type silentError int

func (e silentError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// A program is what the commands share.
type program struct {
	stdout, stderr io.Writer
	configFile     string
}

func newRoot(p *program) *cobra.Command {
	root := &cobra.Command{
		Use:   "scim-bridge",
		Short: "Microsoft 365 as a SCIM 2.0 endpoint to import from",
		Long: `scim-bridge pulls users and groups from Microsoft Graph, keeps the last good
picture of the directory, and serves it as a SCIM 2.0 endpoint that identity
platforms (Okta, SailPoint, Ping, midPoint, One Identity, SAP, …) import from.

Try it without a tenant:   scim-bridge demo
Set it up:                 scim-bridge setup`,
		SilenceUsage: true, SilenceErrors: true, SuggestionsMinimumDistance: 2,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see: %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(
		serveCommand(p), demoCommand(p), setupCommand(p), checkConfigCommand(p), statusCommand(p), syncCommand(p),
		approveCommand(p), freezeCommand(p, true), freezeCommand(p, false), reloadCommand(p),
		heldCommand(p), diffCommand(p), rollbackCommand(p), testCommand(p), consentCommand(p),
		rehearseCommand(p), explainCommand(p),
		tokenCommand(p), versionCommand(p), manCommand(p),
	)
	return root
}

// configFlag adds --config to a command.
func (p *program) configFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&p.configFile, "config", "c", config.DefaultPath, "config `FILE`")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !cmd.HasParent() {
		for _, meant := range cmd.SuggestionsFor(args[0]) {
			return usageError{fmt.Errorf("unknown command %q; did you mean %s?", args[0], meant)}
		}
		return usageError{fmt.Errorf("unknown command %q; see: scim-bridge --help", args[0])}
	}
	return usageError{fmt.Errorf("%s takes no argument, but got %q", cmd.CommandPath(), args[0])}
}

// programVersion is the version of this build.
func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "0.0.0-dev+" + s.Value[:12]
			}
		}
	}
	return "0.0.0-dev"
}
