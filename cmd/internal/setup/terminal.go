package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// errStopped is what a question ends with that is answered by Ctrl-C, Ctrl-D or
// the end of the terminal.
var errStopped = errors.New("stopped")

// A terminal asks one line at a time. The terminal is raw only while a line is
// being edited, so that Ctrl-C is a signal at all other times, and what is
// printed needs no care.
type terminal struct {
	in   *os.File
	out  io.Writer
	keys chan []byte // what was typed; closed at the end of the terminal
	rest []byte      // typed, but not taken yet
	line *term.Terminal
	ctx  context.Context // of the line that is being read
}

func newTerminal(in *os.File, out io.Writer) *terminal {
	return &terminal{in: in, out: out}
}

// pump reads the terminal for the life of the process: a read of it can't be
// called back, and a question may end before its answer.
func (t *terminal) pump() {
	defer close(t.keys)
	for {
		buf := make([]byte, 256)
		n, err := t.in.Read(buf)
		if n > 0 {
			t.keys <- buf[:n]
		}
		if err != nil {
			return
		}
	}
}

// Read gives what was typed, for the line editor.
func (t *terminal) Read(p []byte) (int, error) {
	if len(t.rest) == 0 {
		select {
		case typed, ok := <-t.keys:
			if !ok {
				return 0, io.EOF
			}
			t.rest = typed
		case <-t.ctx.Done():
			return 0, t.ctx.Err()
		}
	}
	n := copy(p, t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

// Write prints what the line editor shows.
func (t *terminal) Write(p []byte) (int, error) { return t.out.Write(p) }

// read asks for one line; of a hidden one nothing is shown. The error is
// errStopped, ctx's, or that of the terminal.
func (t *terminal) read(ctx context.Context, prompt string, hidden bool) (text string, err error) {
	if t.keys == nil {
		t.keys = make(chan []byte)
		go t.pump()
	}
	fd := int(t.in.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", fmt.Errorf("setting up the terminal: %w", err)
	}
	defer func() { err = errors.Join(err, term.Restore(fd, before)) }()
	if t.line == nil {
		t.line = term.NewTerminal(t, "")
	}
	if width, height, err := term.GetSize(fd); err == nil && width > 0 {
		_ = t.line.SetSize(width, height) // repaints, at most
	}
	t.ctx = ctx
	if hidden {
		text, err = t.line.ReadPassword(prompt)
	} else {
		t.line.SetPrompt(prompt)
		text, err = t.line.ReadLine()
	}
	if err != nil {
		t.line = nil // it has half a line in it
		fmt.Fprint(t.out, "\r\n")
	}
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, term.ErrPasteIndicator), err == nil:
		return strings.TrimSpace(text), nil
	}
	return "", errStopped
}

// A style is how text is set off.
type style struct{ colour, unicode bool }

// styleOf looks at where the text goes: NO_COLOR (no-color.org), a terminal that
// can do little, and a locale without UTF-8 are heeded.
func styleOf(interactive bool, env func(string) string) style {
	locale := env("LC_ALL")
	if locale == "" {
		locale = env("LC_CTYPE")
	}
	if locale == "" {
		locale = env("LANG")
	}
	locale = strings.ToLower(strings.ReplaceAll(locale, "-", ""))
	return style{
		colour:  interactive && env("NO_COLOR") == "" && env("TERM") != "dumb" && env("TERM") != "",
		unicode: !interactive || strings.Contains(locale, "utf8"),
	}
}

func (s style) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(text string) string { return s.paint("1", text) }

// mark shows whether something is well.
func (s style) mark(ok bool) string {
	switch {
	case ok && s.unicode:
		return s.paint("32", "✓")
	case ok:
		return s.paint("32", "+")
	case s.unicode:
		return s.paint("31", "✗")
	}
	return s.paint("31", "x")
}

// plain replaces what a terminal without UTF-8 can't show.
func (s style) plain(text string) string {
	if s.unicode {
		return text
	}
	text = strings.NewReplacer("→", "->", "…", "...", "–", "-", "✓", "+", "✗", "x").Replace(text)
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return '?'
		}
		return r
	}, text)
}

// wrap breaks text into lines of at most width columns, each after indent, where
// it can be broken. Lines that begin with a blank are left as they are.
func wrap(text, indent string, width int) string {
	var out strings.Builder
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			out.WriteByte('\n')
		}
		if strings.HasPrefix(line, " ") || line == "" {
			out.WriteString(strings.TrimRight(indent+line, " "))
			continue
		}
		column := 0
		for _, word := range strings.Fields(line) {
			n := utf8.RuneCountInString(word)
			switch {
			case column == 0:
				out.WriteString(indent)
				column = len(indent)
			case column+1+n > width:
				out.WriteString("\n" + indent)
				column = len(indent)
			default:
				out.WriteByte(' ')
				column++
			}
			out.WriteString(word)
			column += n
		}
	}
	return out.String()
}
