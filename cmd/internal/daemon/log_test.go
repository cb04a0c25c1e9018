package daemon_test

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/google/go-cmp/cmp"

	"scimbridge/cmd/internal/config"
	"scimbridge/cmd/internal/daemon"
)

func TestJournalGetsFields(t *testing.T) {
	var message string
	var priority journal.Priority
	var fields map[string]string
	var stderr strings.Builder
	var refusal error
	log := daemon.Journal(&stderr, func(m string, p journal.Priority, f map[string]string) error {
		message, priority, fields = m, p, f
		return refusal
	})
	log = log.With("source", "contoso").WithGroup("graph")
	log.Warn("round", "pages", 3, slog.Group("users", "added", 1), "elapsed-time", time.Second)
	if want := `msg=round source=contoso graph.pages=3 graph.users.added=1 graph.elapsed-time=1s`; message != want || priority != journal.PriWarning {
		t.Errorf("got %q at %d, want %q at %d", message, priority, want, journal.PriWarning)
	}
	want := map[string]string{
		"SYSLOG_IDENTIFIER": "scim-bridge", "SCIM_BRIDGE_MSG": "round", "SCIM_BRIDGE_SOURCE": "contoso", "SCIM_BRIDGE_GRAPH_PAGES": "3",
		"SCIM_BRIDGE_GRAPH_USERS_ADDED": "1", "SCIM_BRIDGE_GRAPH_ELAPSED_TIME": "1s",
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("fields: -want +got\n%s", diff)
	}
	if stderr.Len() > 0 {
		t.Errorf("stderr got %q, too", stderr.String())
	}
	refusal = errors.New("the journal is gone")
	log.Error("later")
	if got, want := stderr.String(), "<3>msg=later source=contoso\n"; got != want {
		t.Errorf("without the journal stderr got %q, want %q", got, want)
	}
}

func TestPrioritiesWithoutJournalSocket(t *testing.T) {
	var out strings.Builder
	log := daemon.Journal(&out, nil)
	log.Debug("a")
	log.Info("b")
	log.Warn("c")
	log.Error("d")
	if got, want := out.String(), "<7>msg=a\n<6>msg=b\n<4>msg=c\n<3>msg=d\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLogTakesLevelAndFormatWhileItRuns(t *testing.T) {
	var out strings.Builder
	log, set := daemon.Switching(&out)
	log = log.With("source", "contoso")
	log.Info("a")
	set(config.Log{Level: slog.LevelWarn, Format: config.FormatJSON})
	log.Info("b")
	log.Warn("c")
	set(config.Log{Level: slog.LevelDebug, Format: config.FormatText})
	log.Debug("d")
	var got []string
	for line := range strings.Lines(out.String()) {
		_, rest, _ := strings.Cut(line, "level")
		got = append(got, strings.TrimSpace(rest))
	}
	want := []string{"=INFO msg=a source=contoso", `":"WARN","msg":"c","source":"contoso"}`, "=DEBUG msg=d source=contoso"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFieldNames(t *testing.T) {
	got := map[string]string{}
	for key := range maps.Keys(map[string]bool{"": true, "a.b-c": true, "größe": true, strings.Repeat("x", 90): true}) {
		got[key] = daemon.FieldName(key)
	}
	want := map[string]string{"": "", "a.b-c": "SCIM_BRIDGE_A_B_C", "größe": "SCIM_BRIDGE_GR____E", strings.Repeat("x", 90): "SCIM_BRIDGE_" + strings.Repeat("X", 52)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPulse(t *testing.T) {
	t0 := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var p daemon.Pulse
	for _, c := range []struct {
		what       string
		generation uint64
		next, at   time.Duration
		want       bool
	}{
		{"the first beat", 1, 0, 0, true},
		{"nothing new, soon after", 1, 0, daemon.StuckAfter - time.Second, true},
		{"something new", 2, 0, daemon.StuckAfter, true},
		{"nothing new for long", 2, 0, 2 * daemon.StuckAfter, false},
		{"new again", 3, 3 * daemon.StuckAfter, 2 * daemon.StuckAfter, true},
		{"waiting for the next round", 3, 3 * daemon.StuckAfter, 4*daemon.StuckAfter - time.Second, true},
		{"the next round is overdue", 3, 3 * daemon.StuckAfter, 4 * daemon.StuckAfter, false},
	} {
		if got := p.Alive(c.generation, t0.Add(c.next), t0.Add(c.at)); got != c.want {
			t.Errorf("%s: alive is %t", c.what, got)
		}
	}
}
