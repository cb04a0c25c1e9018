package daemon

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
)

// NewLogger makes the log: text for people, JSON, or (auto, where stderr is the
// journal) text with the journal's priorities and without the time, which the
// journal adds itself (sd-daemon(3)).
func NewLogger(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	switch {
	case format == "json":
		return slog.New(slog.NewJSONHandler(w, opts))
	case format == "auto" && os.Getenv("JOURNAL_STREAM") != "":
		return slog.New(newJournalHandler(w, level))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// A journalHandler writes lines as the journal reads them from stderr: a
// priority in angle brackets before each.
type journalHandler struct {
	slog.Handler // writes into text
	out          *journalOutput
}

// A journalOutput is what the copies of a journalHandler share.
type journalOutput struct {
	mu   sync.Mutex
	text strings.Builder
	w    io.Writer
}

func newJournalHandler(w io.Writer, level slog.Leveler) *journalHandler {
	out := &journalOutput{w: w}
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
	_, err := io.WriteString(h.out.w, priority(r.Level)+h.out.text.String())
	return err
}

// priority is the syslog level of a line, as systemd reads it.
func priority(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "<3>"
	case l >= slog.LevelWarn:
		return "<4>"
	case l >= slog.LevelInfo:
		return "<6>"
	}
	return "<7>"
}

// WithAttrs implements slog.Handler.
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journalHandler{out: h.out, Handler: h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h *journalHandler) WithGroup(name string) slog.Handler {
	return &journalHandler{out: h.out, Handler: h.Handler.WithGroup(name)}
}
