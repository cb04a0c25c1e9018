package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/coreos/go-systemd/v22/journal"

	"scimbridge/cmd/internal/config"
)

// A logSwitch is the level and the form of the log, which a reload may change.
type logSwitch struct {
	level slog.LevelVar
	form  atomic.Int32 // of the forms below
}

// The forms of a log, as indexes of formHandler.forms.
const (
	formText = iota
	formJSON
	formJournal
	numForms
)

// set takes the settings into service. auto is the journal's form where w, as
// far as systemd says, is the journal, and text elsewhere.
func (s *logSwitch) set(cfg config.Log) {
	s.level.Set(cfg.Level)
	form := formText
	switch {
	case cfg.Format == config.FormatJSON:
		form = formJSON
	case cfg.Format == config.FormatAuto && os.Getenv("JOURNAL_STREAM") != "":
		form = formJournal
	}
	s.form.Store(int32(form))
}

// newLogger makes a log that follows the switch. send is how the journal takes
// an entry with fields; nil, or one that fails, has the line written to w with
// its priority.
func newLogger(w io.Writer, s *logSwitch, send sendEntry) *slog.Logger {
	opts := &slog.HandlerOptions{Level: &s.level}
	return slog.New(&formHandler{s: s, forms: [numForms]slog.Handler{
		formText: slog.NewTextHandler(w, opts), formJSON: slog.NewJSONHandler(w, opts), formJournal: newJournalHandler(w, &s.level, send),
	}})
}

// journalSend is the journal of this machine, or nil where there is none.
func journalSend() sendEntry {
	if os.Getenv("JOURNAL_STREAM") == "" || !journal.Enabled() {
		return nil
	}
	return journal.Send
}

// A formHandler hands a line to the handler of the form that is in force.
type formHandler struct {
	s     *logSwitch
	forms [numForms]slog.Handler
}

// Enabled implements slog.Handler.
func (h *formHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.s.level.Level() }

// Handle implements slog.Handler.
func (h *formHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.forms[h.s.form.Load()].Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *formHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := &formHandler{s: h.s}
	for i, f := range h.forms {
		n.forms[i] = f.WithAttrs(attrs)
	}
	return n
}

// WithGroup implements slog.Handler.
func (h *formHandler) WithGroup(name string) slog.Handler {
	n := &formHandler{s: h.s}
	for i, f := range h.forms {
		n.forms[i] = f.WithGroup(name)
	}
	return n
}

// sendEntry gives the journal an entry with fields, as journal.Send does.
type sendEntry func(message string, priority journal.Priority, fields map[string]string) error

// A journalHandler writes to the journal: the line as text without time and
// level, which the journal has itself, the level as the entry's priority, and
// every attribute as a field of its own besides (SCIM_BRIDGE_SOURCE=contoso), so
// that journalctl can select by it.
type journalHandler struct {
	slog.Handler // writes into out.text
	out          *journalOutput
	fields       []slog.Attr
	prefix       string // of the group
}

// A journalOutput is what the copies of a journalHandler share.
type journalOutput struct {
	mu   sync.Mutex
	text strings.Builder
	w    io.Writer
	send sendEntry
}

func newJournalHandler(w io.Writer, level slog.Leveler, send sendEntry) *journalHandler {
	out := &journalOutput{w: w, send: send}
	return &journalHandler{out: out, Handler: slog.NewTextHandler(&out.text, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
				return slog.Attr{}
			}
			return a
		},
	})}
}

// Handle implements slog.Handler.
func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.text.Reset()
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	p, line := priority(r.Level), h.out.text.String()
	if h.out.send != nil {
		if h.out.send(strings.TrimSuffix(line, "\n"), p, h.entryFields(r)) == nil {
			return nil
		}
	}
	_, err := fmt.Fprintf(h.out.w, "<%d>%s", p, line)
	return err
}

// entryFields gives the attributes of a line by the journal's names for them.
func (h *journalHandler) entryFields(r slog.Record) map[string]string {
	fields := map[string]string{"SYSLOG_IDENTIFIER": "scim-bridge", "SCIM_BRIDGE_MSG": r.Message}
	for _, a := range h.fields {
		addField(fields, "", a)
	}
	r.Attrs(func(a slog.Attr) bool {
		addField(fields, h.prefix, a)
		return true
	})
	return fields
}

func addField(fields map[string]string, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		for _, inner := range v.Group() {
			addField(fields, prefix+a.Key+"_", inner)
		}
		return
	}
	if name := fieldName(prefix + a.Key); name != "" {
		fields[name] = v.String()
	}
}

// fieldName makes a key a name that the journal takes: capitals, digits and
// underscores (systemd.journal-fields(7)).
func fieldName(key string) string {
	if key == "" {
		return ""
	}
	name := []byte("SCIM_BRIDGE_" + strings.ToUpper(key))
	for i, c := range name {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			name[i] = '_'
		}
	}
	return string(name[:min(len(name), 64)])
}

// priority is the syslog level of a line.
func priority(l slog.Level) journal.Priority {
	switch {
	case l >= slog.LevelError:
		return journal.PriErr
	case l >= slog.LevelWarn:
		return journal.PriWarning
	case l >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}

// WithAttrs implements slog.Handler.
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	n.Handler, n.fields = h.Handler.WithAttrs(attrs), slices.Clip(h.fields)
	for _, a := range attrs {
		a.Key = h.prefix + a.Key
		n.fields = append(n.fields, a)
	}
	return &n
}

// WithGroup implements slog.Handler.
func (h *journalHandler) WithGroup(name string) slog.Handler {
	n := *h
	n.Handler, n.prefix = h.Handler.WithGroup(name), h.prefix+name+"_"
	return &n
}
