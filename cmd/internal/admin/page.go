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

	"scimbridge/cmd/internal/words"
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
		"n": words.Thousands, "span": span, "rough": rough, "counts": counted, "join": strings.Join, "clock": clock, "iso": iso,
	}).Parse(string(text)))
}

const (
	// pastRounds are read for the page, shownRounds of them are in the chart;
	// shownChanges are named of a held round, and shownLately generations told of.
	pastRounds   = 1000
	shownRounds  = 60
	shownChanges = 100
	shownLately  = 5
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
	Trend   trend
	Lately  []Lately
	Changes []Change // that approving would bring
	Omitted int
}

func (h *handler) home(w http.ResponseWriter, r *http.Request) {
	st := h.backend.Status()
	v := view{Status: st, Title: "scim-bridge", Clients: st.Clients, Config: h.backend.ConfigYAML()}
	_, v.Guarded = h.backend.AdminToken()
	for i := range st.Sources {
		sv := sourceView{SourceStatus: st.Sources[i], Tone: tone(&st.Sources[i])}
		past, err := h.backend.History(r.Context(), sv.Name, pastRounds)
		if err != nil {
			h.log.Warn("history was not read", "source", sv.Name, "err", err)
		}
		sv.Rounds = past[:min(len(past), shownRounds)]
		sv.Chart, sv.Trend = newChart(sv.Rounds), newTrend(past)
		if sv.Lately, err = h.backend.Lately(r.Context(), sv.Name, shownLately); err != nil {
			h.log.Warn("what changed lately was not read", "source", sv.Name, "err", err)
		}
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
		h.recordLookup(r, v.Found)
	}
	h.render(w, http.StatusOK, &v)
}

// recordLookup leaves a line in the log, with ids and without names: whom it
// concerns is personal data, too.
func (h *handler) recordLookup(r *http.Request, found []Found) {
	ids := make([]string, len(found))
	for i, f := range found {
		ids[i] = f.ID
	}
	h.log.Info("personal data was looked up", "by", "administrator at "+r.RemoteAddr, "found", ids)
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
	case !s.Frozen.IsZero(), s.State == "disabled", s.State == "waiting for consent", s.State == StateLeft:
		return "warn"
	}
	return "busy"
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

// rough writes how far off a moment is, which nobody wants to know in milliseconds.
func rough(d time.Duration) string {
	if d < time.Second {
		return "less than 1 s"
	}
	return span(d)
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
}

func iso(t time.Time) string { return t.UTC().Format(time.RFC3339) }
