// Package setup is the dialogue of `scim-bridge setup`: from a Microsoft 365
// tenant to a configuration file that works, in the order in which identity
// platforms have it done: enable the integration, choose what to import, register
// the application, have consent granted, test the credential, give the platform
// its token.
//
// A dialogue can be stopped at any question, by Ctrl-C or by a lost connection,
// and goes on there: each answer is kept in a file beside the configuration, which
// holds no secret. Nothing that is there is ever overwritten, and the
// configuration appears last, at once and whole.
//
// Without a dialogue the same questions are answered by flags.
package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"scimbridge/cmd/internal/config"
	"scimbridge/sync/consent"
)

// Options say what a set-up works with.
type Options struct {
	// ConfigFile is the file to write. There must be none.
	ConfigFile string
	// Given are the answers of the command line: their questions are not asked.
	Given Answers
	// NonInteractive asks nothing: what Given does not say takes its default.
	NonInteractive bool
	// Restart drops what an earlier set-up kept.
	Restart bool
	// SkipTest writes the file whether or not the credential works; without a
	// dialogue only.
	SkipTest bool
	// In and Out are the terminal.
	In  *os.File
	Out io.Writer
	// Env gives environment variables, as os.Getenv does.
	Env func(string) string
	// Version is the program's.
	Version string
	// App makes the source of a configuration one for package consent.
	App func(cfg *config.Config) (consent.App, error)
	// Desk opens a desk for the consent of an app; save is called with one that
	// has passed the test, and what keeps the browser from this machine is
	// written to diag.
	Desk func(ctx context.Context, app consent.App, save func(context.Context, consent.Grant) error, diag io.Writer) (Desk, error)
	// Forward gives the command that brings the port of a redirect address from
	// another machine to this one; "" where none is needed.
	Forward func(redirectURI string) string
	// NewToken makes a bearer token.
	NewToken func() string
}

// Usage is an error of the command line: a flag, or a file that is there.
type Usage struct{ error }

// Unwrap gives the error itself.
func (u Usage) Unwrap() error { return u.error }

// Errors that end a set-up after all has been said.
var (
	ErrStopped    = errors.New("the set-up was stopped")
	ErrTestFailed = errors.New("the credential does not work, and nothing was written")
)

// setup is one at work.
type setup struct {
	Options
	out         io.Writer
	interactive bool
	file, dir   string // of the configuration; absolute
	given       Answers
	terminal    *terminal
	style       style
	owner       owner
	draft       *draft
	faults      []error // of the flags, without a dialogue
	report      *consent.Report
}

// A step is a group of questions, after which there is something to show for it.
type step struct {
	title string
	run   func(*setup, context.Context) error
}

var steps = []step{
	{"The tenant", (*setup).tenant},
	{"What to import", (*setup).contents},
	{"The app registration", (*setup).registration},
	{"Admin consent", (*setup).consent},
	{"Test API credentials", (*setup).test},
	{"The identity platform", (*setup).platform},
	{"The files", (*setup).write},
}

// Run sets up. The error is ErrStopped where the dialogue was stopped and
// ErrTestFailed where a credential did not pass, both after all has been said;
// a Usage; or what kept files from being written.
func Run(ctx context.Context, o Options) error {
	s := &setup{Options: o, out: o.Out, interactive: !o.NonInteractive, given: o.Given, owner: serviceOwner()}
	s.style = styleOf(s.interactive, o.Env)
	if err := s.begin(ctx); err != nil {
		return s.ended(ctx, err)
	}
	for i, step := range steps {
		if i < s.draft.Step {
			continue
		}
		s.print("\n" + s.style.bold(fmt.Sprintf("Step %d of %d: %s", i+1, len(steps), step.title)))
		if err := step.run(s, ctx); err != nil {
			if !s.interactive {
				err = errors.Join(err, s.draft.remove(draftFile(s.file), true))
			}
			return s.ended(ctx, err)
		}
		s.draft.Step = i + 1
		if i < len(steps)-1 {
			if err := s.save(); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin refuses what can't end well, and finds what an earlier set-up kept.
func (s *setup) begin(ctx context.Context) (err error) {
	if s.file, err = filepath.Abs(s.ConfigFile); err != nil {
		return err
	}
	s.dir = filepath.Dir(s.file)
	if _, err := os.Lstat(s.file); !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return fmt.Errorf("looking for the configuration: %w", err)
		}
		return Usage{fmt.Errorf("%s is there already, and is not overwritten: to change it, edit it (an edit takes effect at once); to begin anew, move it away, or name another file with --config", s.file)}
	}
	if s.interactive && !term.IsTerminal(int(s.In.Fd())) {
		return Usage{errors.New("the set-up is a dialogue and needs a terminal; scripts give the answers as flags, with --non-interactive")}
	}
	if err := s.makeDirectory(); err != nil {
		return err
	}
	s.draft = &draft{Version: draftVersion, Begun: time.Now().UTC().Truncate(time.Second), Answers: Answers{}}
	if !s.interactive {
		return nil
	}
	s.terminal = newTerminal(s.In, s.out)
	return s.resume(ctx)
}

// resume greets, and goes on with an earlier set-up where there is one.
func (s *setup) resume(ctx context.Context) error {
	path := draftFile(s.file)
	kept, err := loadDraft(path)
	if s.Restart {
		if kept == nil {
			kept = &draft{}
		}
		return kept.remove(path, true)
	}
	if err != nil {
		return err
	}
	s.print(s.style.bold("scim-bridge setup"))
	if kept == nil {
		s.say("From a Microsoft 365 tenant to a first import: %d steps, about ten minutes. "+
			"Ctrl-C stops at any question. What was answered is kept, without secrets, in\n  %s\n"+
			"and the next `scim-bridge setup` goes on from there. Enter takes the answer in [brackets].", len(steps), path)
		return nil
	}
	s.say("A set-up of %s was begun on %s and stopped at step %d of %d, %s.", s.file,
		kept.Begun.Local().Format("2006-01-02 15:04"), kept.Step+1, len(steps), steps[min(kept.Step, len(steps)-1)].title)
	for _, f := range Flags() {
		if text := kept.Answers[f.Name]; text != "" {
			s.say("  %-22s %s", f.Name, text)
		}
	}
	goOn, err := s.confirm(ctx, "", "Go on from there? (no: begin anew, and remove what it wrote)", yes)
	if err != nil {
		return err
	}
	if goOn {
		s.draft = kept
		return nil
	}
	return kept.remove(path, true)
}

// ended says how to go on after a dialogue that was stopped.
func (s *setup) ended(ctx context.Context, err error) error {
	if !errors.Is(err, errStopped) && (ctx.Err() == nil || !errors.Is(err, ctx.Err())) {
		return err
	}
	if !s.interactive || s.draft == nil {
		return ErrStopped
	}
	again := "scim-bridge setup"
	if s.ConfigFile != config.DefaultPath {
		again += " --config " + s.ConfigFile
	}
	if _, err := os.Stat(draftFile(s.file)); err != nil {
		s.say("\nStopped. Nothing was answered, and nothing was written.")
		return ErrStopped
	}
	s.say("\nStopped. The configuration was not written. The answers are in\n  %s", draftFile(s.file))
	if len(s.draft.Made) > 0 {
		s.say("and beside it, mode 0600, are\n  %s", strings.Join(s.draft.Made, "\n  "))
	}
	s.say("Go on, or begin anew and remove them, with\n  %s\n  %[1]s --restart", again)
	return ErrStopped
}
