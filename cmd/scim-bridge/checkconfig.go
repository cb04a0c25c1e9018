package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"scimbridge/cmd/internal/config"
	"scimbridge/cmd/internal/daemon"
	"scimbridge/cmd/internal/words"
)

func checkConfigCommand(p *program) *cobra.Command {
	var asJSON bool
	var as string
	cmd := &cobra.Command{
		Use:   "check-config",
		Short: "Check the configuration file and all files it names",
		Long: `Check the configuration file and all files it names, without asking anything of
the network. Every fault is printed at once, as

    file:line: path: what is wrong; how to mend it

Whether the daemon's user may read them is warned of, too: of the user given by
--as, or of the service's, where root asks and there is one.

Exit status 2 if there is any. Warnings do not change the exit status.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			daemons, err := daemonsUser(as)
			if err != nil {
				return err
			}
			cfg, err := config.Load(p.configFile)
			var faults config.Faults
			if err != nil && !errors.As(err, &faults) {
				return err
			}
			if err == nil {
				if faults = daemon.CheckMapping(cfg); len(faults) > 0 {
					err = faults
				}
			}
			if err == nil && daemons != nil {
				cfg.Warnings = append(cfg.Warnings, deniedTo(daemons, cfg, os.Getenv("CREDENTIALS_DIRECTORY"))...)
			}
			if asJSON {
				return p.printCheck(cfg, faults)
			}
			if err != nil {
				return err
			}
			for _, w := range cfg.Warnings {
				fmt.Fprintf(p.stderr, "warning: %v\n", w)
			}
			fmt.Fprintf(p.stdout, "%s is in order: %s, %s; SCIM at %s\n", p.configFile,
				words.Count(len(cfg.Sources), "source"), words.Count(len(cfg.SCIM.Clients), "client"), cfg.SCIM.PublicURL)
			return nil
		},
	}
	p.configFlag(cmd)
	cmd.Flags().StringVar(&as, "as", "", "warn of files that the `USER` can't read; root is told of the service's by itself")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// A checkedFault is a fault as check-config --json prints it.
type checkedFault struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	Mend    string `json:"mend,omitempty"`
}

func (p *program) printCheck(cfg *config.Config, faults config.Faults) error {
	result := struct {
		OK       bool           `json:"ok"`
		Faults   []checkedFault `json:"faults"`
		Warnings []checkedFault `json:"warnings"`
	}{OK: len(faults) == 0, Faults: checked(faults), Warnings: []checkedFault{}}
	if cfg != nil {
		result.Warnings = checked(cfg.Warnings)
	}
	if err := p.printJSON(result); err != nil {
		return err
	}
	if !result.OK {
		return silentError(exitUsage)
	}
	return nil
}

func checked(faults config.Faults) []checkedFault {
	all := make([]checkedFault, 0, len(faults))
	for _, f := range faults {
		all = append(all, checkedFault{f.File, f.Line, f.Column, f.Path, f.Message, f.Mend})
	}
	return all
}

func (p *program) printJSON(v any) error {
	enc := json.NewEncoder(p.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
