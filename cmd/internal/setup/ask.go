package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"scimbridge/cmd/internal/config"
)

// A question is one thing that the set-up has to know.
type question struct {
	key     string   // "": the answer is not kept
	about   string   // what it is, in whole sentences
	label   string   // before the answer
	options []option // what can be chosen; nil: any text
	preset  string   // what Enter takes
	// optional has Enter leave it out where there is no preset.
	optional bool
	// path is the setting that the answer becomes: its check is that of the
	// configuration file.
	path string
	// check is a further one; it may give the answer another form.
	check func(string) (string, error)
}

// An option is one of few answers.
type option struct{ name, about string }

var yesNo = []option{{yes, ""}, {no, ""}}

// ask gets the answer of a question, from the flags or from the terminal, and
// keeps it.
func (s *setup) ask(ctx context.Context, q question) (string, error) {
	if text, ok := s.given[q.key]; ok && q.key != "" {
		text, err := s.judge(q, text)
		if err != nil {
			err = fmt.Errorf("--%s: %w", q.key, err)
			if s.interactive {
				return "", Usage{err}
			}
			s.faults = append(s.faults, err)
		} else if s.interactive {
			s.say("%s: %s (--%s)", q.label, orNothing(text), q.key)
		}
		return s.keep(q.key, text)
	}
	if before, ok := s.draft.Answers[q.key]; ok && before != "" {
		q.preset = before
	}
	if !s.interactive {
		text, err := s.judge(q, q.preset)
		if err != nil {
			s.faults = append(s.faults, fmt.Errorf("--%s: %w", q.key, err))
		}
		return s.keep(q.key, text)
	}
	s.say("")
	if q.about != "" {
		s.say("%s", q.about)
	}
	s.list(q.options)
	for {
		text, err := s.terminal.read(ctx, s.prompt(q), false)
		if err != nil {
			return "", err
		}
		if text == "" {
			text = q.preset
		}
		if text, err = s.judge(q, text); err == nil {
			return s.keep(q.key, text)
		}
		s.wrong(err)
	}
}

// askSecret gets a secret: it is not shown, and not kept.
func (s *setup) askSecret(ctx context.Context, about, label string, check func(string) error) (string, error) {
	s.say("")
	s.say("%s", about)
	for {
		text, err := s.terminal.read(ctx, "  "+label+" (not shown): ", true)
		if err != nil {
			return "", err
		}
		if err = check(text); err == nil {
			return text, nil
		}
		s.wrong(err)
	}
}

// list shows what can be chosen.
func (s *setup) list(options []option) {
	if len(options) == 0 || options[0].about == "" {
		return
	}
	width := 0
	for _, o := range options {
		width = max(width, len(o.name))
	}
	for i, o := range options {
		head := fmt.Sprintf("  %2d  %-*s  ", i+1, width, o.name)
		text := wrap(o.about, strings.Repeat(" ", len(head)), lineWidth)
		s.print(head + strings.TrimLeft(text, " "))
	}
}

func (s *setup) prompt(q question) string {
	text := "  " + q.label
	if q.preset != "" {
		text += " [" + q.preset + "]"
	} else if q.optional {
		text += " [leave out]"
	}
	return s.style.bold(s.style.plain(text)) + ": "
}

func orNothing(text string) string {
	if text == "" {
		return "left out"
	}
	return text
}

// wrong says what is wrong with an answer.
func (s *setup) wrong(err error) {
	s.print(s.style.mark(false) + " " + strings.TrimLeft(wrap(err.Error(), "  ", lineWidth), " "))
}

// judge checks an answer and gives it the form in which it is kept.
func (s *setup) judge(q question, text string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "" && q.optional:
		return "", nil
	case text == "":
		return "", errors.New("an answer is needed")
	case q.options != nil:
		return choose(q.options, text)
	}
	var err error
	if q.check != nil {
		if text, err = q.check(text); err != nil {
			return "", err
		}
	}
	if q.path != "" {
		return text, s.judgeAs(q.path, q.key, text)
	}
	return text, nil
}

// choose finds an option by its number, its name, or the beginning of it.
func choose(options []option, text string) (string, error) {
	text = strings.ToLower(text)
	if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= len(options) {
		return options[n-1].name, nil
	}
	var found, names []string
	for _, o := range options {
		if o.name == text {
			return o.name, nil
		}
		if strings.HasPrefix(o.name, text) {
			found = append(found, o.name)
		}
		names = append(names, o.name)
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return "", fmt.Errorf("%q is none of %s", text, strings.Join(names, ", "))
}

// judgeAs has the configuration's own check look at an answer, so that what is
// taken here is what the daemon takes, and the words are the same.
func (s *setup) judgeAs(path, key, text string) error {
	before, had := s.draft.Answers[key]
	defer func() {
		s.draft.Answers[key] = before
		if !had {
			delete(s.draft.Answers, key)
		}
	}()
	s.draft.Answers[key] = text
	_, err := config.LoadBytes(s.file, []byte(s.render(true)), os.LookupEnv)
	var faults config.Faults
	errors.As(err, &faults)
	i := slices.IndexFunc(faults, func(f config.Fault) bool { return f.Path == path })
	if i < 0 {
		return nil
	}
	return errors.New(strings.TrimSuffix(faults[i].Message+"; "+faults[i].Mend, "; "))
}

// keep notes an answer at once, so that a lost connection costs one question.
func (s *setup) keep(key, text string) (string, error) {
	if key == "" {
		return text, nil
	}
	s.draft.Answers[key] = text
	return text, s.save()
}

// save keeps the draft of a dialogue.
func (s *setup) save() error {
	if !s.interactive {
		return nil
	}
	return s.draft.save(draftFile(s.file))
}

// lineWidth is how wide text is: it has to be read on a terminal of 80 columns.
const lineWidth = 78

// say prints text, wrapped.
func (s *setup) say(format string, args ...any) {
	s.print(wrap(fmt.Sprintf(format, args...), "", lineWidth))
}

// print prints a text of a dialogue as it is; a set-up without one prints its
// result only.
func (s *setup) print(text string) {
	if s.interactive {
		fmt.Fprintln(s.out, s.style.plain(text))
	}
}
