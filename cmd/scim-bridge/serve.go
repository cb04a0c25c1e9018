package main

import (
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"scimbridge/cmd/internal/daemon"
)

func serveCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon in the foreground",
		Long: `Run the daemon in the foreground; it logs to stderr.

SIGHUP, and any change of the configuration file or of a file that it names,
has it read the configuration again: a good one takes effect without a restart,
a faulty one is told in the log and the old one stays in force. SIGTERM and
SIGINT end it.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A crash has Go's exit status 2, which is ours for a faulty file: units
			// do not start that again. So it ends by a signal.
			debug.SetTraceback("crash")
			reload := make(chan os.Signal, 1)
			signal.Notify(reload, syscall.SIGHUP)
			defer signal.Stop(reload)
			d, err := daemon.New(cmd.Context(), daemon.Options{ConfigFile: p.configFile, Version: programVersion()})
			if err != nil {
				return err
			}
			return d.Run(cmd.Context(), reload)
		},
	}
	p.configFlag(cmd)
	return cmd
}
