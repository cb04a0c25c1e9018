package admin

import (
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed page.html page.css page.js consent.css
var files embed.FS

// asset serves what the page needs besides itself.
func asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	kind := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}[path.Ext(name)]
	data, err := files.ReadFile(name)
	if err != nil || kind == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-cache")
	// The browser may have gone.
	_, _ = w.Write(data)
}

func pageTemplate() *template.Template {
	text, err := fs.ReadFile(files, "page.html")
	if err != nil {
		panic(err) // it is part of the program
	}
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"n": thousands, "span": span, "clock": clock, "iso": iso,
	}).Parse(string(text)))
}

const (
	// shownRounds are in the chart, shownChanges named of a held round.
	shownRounds  = 60
	shownChanges = 100
)

// A view is what the page shows.
type view struct {
	Status
	Title   string
	Error   string // instead of everything else
	Login   bool   // ask for the token, instead of everything else
	Message string
	Guarded bool // there is a session to end
	Sources []sourceView
	Clients []ClientStatus
	Config  string
	Query   string
	Found   []Found
	Lookup  bool
}

// A sourceView is a source with what is read for the page only.
type sourceView struct {
	SourceStatus
	Tone    string // good, busy, warn or bad
	Ago     string // of the last success
	Rounds  []PastRound
	Chart   chart
	Changes []Change // that approving would bring
	Omitted int
}

func (h *handler) home(w http.ResponseWriter, r *http.Request) {
	st := h.backend.Status()
	v := view{Status: st, Title: "scim-bridge", Clients: st.Clients, Config: h.backend.ConfigYAML()}
	_, v.Guarded = h.backend.AdminToken()
	for i := range st.Sources {
		sv := sourceView{SourceStatus: st.Sources[i], Tone: tone(&st.Sources[i])}
		var err error
		if sv.Rounds, err = h.backend.History(r.Context(), sv.Name, shownRounds); err != nil {
			h.log.Warn("history was not read", "source", sv.Name, "err", err)
		}
		sv.Chart = newChart(sv.Rounds)
		if sv.HeldRound != 0 {
			if sv.Changes, sv.Omitted, err = h.backend.HeldChanges(r.Context(), sv.Name, shownChanges); err != nil {
				h.log.Warn("held changes were not read", "source", sv.Name, "err", err)
			}
		}
		v.Sources = append(v.Sources, sv)
	}
	h.render(w, http.StatusOK, &v)
}

func (h *handler) lookup(w http.ResponseWriter, r *http.Request) {
	v := view{Status: h.backend.Status(), Title: "Look up · scim-bridge", Lookup: true, Query: strings.TrimSpace(r.FormValue("q"))}
	_, v.Guarded = h.backend.AdminToken()
	if v.Query != "" {
		var err error
		if v.Found, err = h.backend.Lookup(r.Context(), v.Query); err != nil {
			v.Error = err.Error()
		}
	}
	h.render(w, http.StatusOK, &v)
}

func (h *handler) loginPage(w http.ResponseWriter, status int, message string) {
	h.render(w, status, &view{Title: "scim-bridge", Login: true, Message: message})
}

// back leads a browser back to the page after an action, or says why there was
// none.
func (h *handler) back(w http.ResponseWriter, err error) {
	if err != nil {
		h.render(w, http.StatusConflict, &view{Title: "Not done · scim-bridge", Error: err.Error()})
		return
	}
	w.Header().Set("Location", "/")
	w.WriteHeader(http.StatusSeeOther)
}

func (h *handler) render(w http.ResponseWriter, status int, v *view) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	var b strings.Builder
	if err := h.page.Execute(&b, v); err != nil {
		h.log.Error("page was not made", "err", err)
		http.Error(w, "the page could not be made; the log says why", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	// The browser may have gone.
	_, _ = w.Write([]byte(b.String()))
}

// tone says at a glance how a source is.
func tone(s *SourceStatus) string {
	switch {
	case s.State == "failing", s.HeldRound != 0:
		return "bad"
	case s.State == "up to date":
		return "good"
	case !s.Frozen.IsZero(), s.State == "disabled", s.State == "waiting for consent", s.State == "no longer in the file":
		return "warn"
	}
	return "busy"
}

// A chart is the last rounds as bars, and how many users there were as a line,
// in the units of an SVG.
type chart struct {
	Width, Height int
	Bars          []bar
	Line          string // points of a polyline; empty: too few
	Low, High     int    // of the line
	Summary       string
}

type bar struct {
	X, Y, H int
	Kind    string
	Title   string
}

const (
	barStep   = 10
	barWidth  = 8
	barHeight = 64
	// fewestBars leaves room where there are few rounds yet.
	fewestBars = 30
)

// newChart draws rounds, which come latest first, from left to right. A bar's
// height grows with every power of two of what changed.
func newChart(rounds []PastRound) chart {
	slots := max(len(rounds), fewestBars)
	c := chart{Width: barStep * slots, Height: barHeight}
	if len(rounds) == 0 {
		return c
	}
	c.Low, c.High = rounds[0].Users, rounds[0].Users
	failed := 0
	for _, r := range rounds {
		c.Low, c.High = min(c.Low, r.Users), max(c.High, r.Users)
		if r.Outcome == "failed" {
			failed++
		}
	}
	offset := slots - len(rounds)
	var points []string
	for i := range rounds {
		r := rounds[len(rounds)-1-i]
		height := 6
		for n := r.Changed; n > 0; n /= 2 {
			height += 3
		}
		height = min(height, barHeight)
		x := barStep * (offset + i)
		c.Bars = append(c.Bars, bar{
			X: x, Y: barHeight - height, H: height, Kind: r.Outcome,
			Title: fmt.Sprintf("%s: %s, %s changed in %s", clock(r.Started), r.Outcome, thousands(r.Changed), span(r.Elapsed)),
		})
		y := barHeight / 2
		if c.High > c.Low {
			y = barHeight - 4 - (r.Users-c.Low)*(barHeight-8)/(c.High-c.Low)
		}
		points = append(points, fmt.Sprintf("%d,%d", x+barWidth/2, y))
	}
	if len(points) > 1 {
		c.Line = strings.Join(points, " ")
	}
	c.Summary = fmt.Sprintf("The last %d rounds, %d of which failed; %s to %s active users.", len(rounds), failed, thousands(c.Low), thousands(c.High))
	return c
}

// thousands writes a number as people read it.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// span writes a duration roughly.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
}

func iso(t time.Time) string { return t.UTC().Format(time.RFC3339) }
