package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// manCommand writes manual pages: one for the program and one for each command,
// from the same words as --help.
func manCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "man [DIR]",
		Short: "Print the manual page, or write those of all commands into a directory",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("man takes one directory, but got %q", args)}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			root.InitDefaultCompletionCmd()
			if len(args) == 0 {
				_, err := fmt.Fprint(p.stdout, manPage(root))
				return err
			}
			for _, c := range append([]*cobra.Command{root}, root.Commands()...) {
				if c.Hidden || c.Name() == "help" {
					continue
				}
				name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".8"
				if err := os.WriteFile(filepath.Join(args[0], name), []byte(manPage(c)), 0o644); err != nil {
					return fmt.Errorf("writing a manual page: %w", err)
				}
			}
			return nil
		},
	}
}

// roff escapes text for a manual page. A dash is a real one, so that options
// can be copied, and no line begins with a control character.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "`", "").Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

// manDate is the day of the page: that of the build where one says so
// (reproducible-builds.org/specs/source-date-epoch), and otherwise none, so that
// the same program writes the same pages.
func manDate() string {
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return ""
	}
	return time.Unix(seconds, 0).UTC().Format(time.DateOnly)
}

// manPage writes the manual page of a command (man(7)).
func manPage(c *cobra.Command) string {
	var b strings.Builder
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	fmt.Fprintf(&b, ".TH %s 8 \"%s\" \"scim-bridge %s\" \"System Administration\"\n", strings.ToUpper(roff(name)), manDate(), roff(programVersion()))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.B %s\n", roff(name), roff(c.Short), roff(c.UseLine()))
	b.WriteString(".SH DESCRIPTION\n")
	long := c.Long
	if long == "" {
		long = c.Short + "."
	}
	for i, paragraph := range strings.Split(long, "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if strings.Contains(paragraph, "   ") { // laid out in columns
			fmt.Fprintf(&b, ".nf\n%s\n.fi\n", roff(paragraph))
		} else {
			fmt.Fprintf(&b, "%s\n", roff(paragraph))
		}
	}
	if c.HasAvailableSubCommands() && !c.HasParent() {
		b.WriteString(".SH COMMANDS\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(sub.Name()), roff(sub.Short))
			}
		}
	}
	if c.HasAvailableLocalFlags() {
		fmt.Fprintf(&b, ".SH OPTIONS\n.nf\n%s.fi\n", roff(c.LocalFlags().FlagUsagesWrapped(76)))
	}
	if !c.HasParent() {
		b.WriteString(".SH EXIT STATUS\n0 done, 1 failed, 2 usage or configuration.\n" +
			".SH FILES\n.TP\n.I /etc/scim\\-bridge/config.yaml\nThe configuration; the example beside it in the documentation explains every key.\n" +
			".TP\n.I /var/lib/scim\\-bridge\nState: what was read and what is served. Personal data.\n" +
			".SH SIGNALS\nSIGHUP has the daemon read its configuration again; SIGTERM and SIGINT end it.\n")
	} else {
		b.WriteString(".SH SEE ALSO\n.BR scim\\-bridge (8)\n")
	}
	return b.String()
}
