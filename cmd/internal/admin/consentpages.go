package admin

import (
	"context"
	_ "embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"scimbridge/sync/consent"
)

//go:embed consent.html
var consentHTML string

func consentTemplate() *template.Template {
	return template.Must(template.New("consent").Funcs(template.FuncMap{
		"span": span, "clock": clock, "iso": iso, "has": func(list []string, s string) bool { return slices.Contains(list, s) },
		"missing": missing, "sentence": sentence, "lasts": func(d time.Duration) string { return rough(d.Round(time.Second)) },
	}).Parse(consentHTML))
}

// missing tells whether a needed permission is not granted, by the test's word.
func missing(r *consent.Report, p consent.Permission) bool {
	return r.Comparison != nil && slices.ContainsFunc(r.Comparison.Missing, func(m consent.Permission) bool { return m.Name == p.Name })
}

// sentence makes a sentence of the words of an error.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(text[size:], ".") + "."
}

// A ConsentServer serves the consent pages that Microsoft's redirect needs, and
// nothing else: for a command that asks for consent without a daemon.
type ConsentServer struct {
	http.Handler
	pages *consentPages
}

// NewConsent makes a ConsentServer.
func NewConsent(b Consents, log *slog.Logger) *ConsentServer {
	p := &consentPages{backend: b, log: log, page: consentTemplate(), alone: true}
	mux := http.NewServeMux()
	p.mount(mux)
	mux.HandleFunc("GET /assets/{file}", asset)
	return &ConsentServer{pages: p, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protective(w.Header())
		mux.ServeHTTP(w, r)
	})}
}

// Shown waits until a browser that was told to look again has seen the end, or
// ctx ends.
func (s *ConsentServer) Shown(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for s.pages.pending.Load() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// consentPages are the pages of consent.
type consentPages struct {
	backend Consents
	log     *slog.Logger
	page    *template.Template
	alone   bool        // without the other pages
	pending atomic.Bool // a browser waits for the end
}

// A consentView is what a page shows.
type consentView struct {
	Title   string
	Kind    string // which of the template's parts
	Alone   bool
	Refresh int // seconds after which the page is to be loaded again; 0: never

	Now      time.Time
	Source   string
	Progress ConsentProgress
	Refusal  *consent.Refusal
	Report   *consent.Report
	Error    string

	Apps    []consentApp
	App     consent.App
	Needed  []consent.Permission
	HandOff HandOff
	Secret  string
	Tenant  string
}

// A consentApp is a source on the overview.
type consentApp struct {
	consent.App
	Needed   []consent.Permission
	Commands string
}

// mount adds what whoever comes back from Microsoft sees.
func (p *consentPages) mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /consent/callback", p.callback)
	mux.HandleFunc("GET /consent/outcome/{id}", p.outcome)
}

func (p *consentPages) show(w http.ResponseWriter, status int, v *consentView) {
	v.Now, v.Alone = time.Now(), p.alone
	var b strings.Builder
	if err := p.page.Execute(&b, v); err != nil {
		p.log.Error("page was not made", "err", err)
		http.Error(w, "the page could not be made; the log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	// The browser may have gone.
	_, _ = w.Write([]byte(b.String()))
}

// refuse shows why a consent came to nothing.
func (p *consentPages) refuse(w http.ResponseWriter, err error) {
	var r *consent.Refusal
	switch {
	case errors.As(err, &r):
		p.show(w, refusalStatus(r.Reason), &consentView{Title: refusalTitle(r.Reason), Kind: "refusal", Refusal: r, Source: r.Source, Report: r.Report})
	case errors.Is(err, ErrNoSource):
		p.show(w, http.StatusNotFound, &consentView{Title: "There is no such source", Kind: "error", Error: err.Error()})
	default:
		p.show(w, http.StatusInternalServerError, &consentView{Title: "Not done", Kind: "error", Error: err.Error()})
	}
}

func refusalStatus(r consent.Reason) int {
	switch r {
	case consent.Forged, consent.Malformed:
		return http.StatusBadRequest
	case consent.Expired, consent.Replayed:
		return http.StatusGone
	case consent.NoPage, consent.Changed:
		return http.StatusConflict
	}
	return http.StatusForbidden
}

// refusalTitle is the heading of a refusal's page.
func refusalTitle(r consent.Reason) string {
	titles := map[consent.Reason]string{
		consent.Declined:         "Consent was declined",
		consent.NotAdministrator: "This account may not consent",
		consent.WrongTenant:      "Consent was given in another tenant",
		consent.WrongAccount:     "This account belongs to another tenant",
		consent.Blocked:          "A policy forbids the sign-in",
		consent.Unregistered:     "Microsoft does not know the application",
		consent.Unlisted:         "Not everything that is needed was granted",
		consent.Forged:           "Nobody asked for this answer",
		consent.Replayed:         "This answer was used already",
		consent.Expired:          "The link has expired",
		consent.Malformed:        "This is no answer of Microsoft's",
		consent.Credential:       "Consent is given, but the credential is refused",
		consent.NotSpread:        "The grant has not arrived yet",
		consent.TestFailed:       "Consent is given, but the test found a fault",
		consent.NoPage:           "There is no consent page for this source",
		consent.Changed:          "The configuration changed meanwhile",
	}
	if title := titles[r]; title != "" {
		return title
	}
	return "Microsoft did not grant consent"
}

// overview shows every source with what to list in its app registration.
func (p *consentPages) overview(w http.ResponseWriter, r *http.Request) {
	apps, err := p.backend.ConsentApps(r.Context())
	if err != nil {
		p.refuse(w, err)
		return
	}
	v := &consentView{Title: "Consent", Kind: "overview"}
	for _, app := range apps {
		v.Apps = append(v.Apps, consentApp{App: app, Needed: consent.Needed(app.Wants), Commands: consent.Commands(app)})
	}
	p.show(w, http.StatusOK, v)
}

// begin leads to Microsoft's page, unless there is nothing left to consent to.
func (p *consentPages) begin(w http.ResponseWriter, r *http.Request) {
	asked, err := AskConsent(r.Context(), p.backend, r.PathValue("source"), "administrator at "+r.RemoteAddr, r.FormValue("again") != "")
	switch {
	case err != nil:
		p.refuse(w, err)
	case asked.Given:
		p.given(w, r, r.PathValue("source"), asked.TenantID)
	case asked.Commands != "":
		p.show(w, http.StatusOK, &consentView{Title: "A managed identity has no consent page", Kind: "commands", Source: r.PathValue("source"), Error: asked.Commands})
	default:
		http.Redirect(w, r, asked.URL, http.StatusFound)
	}
}

// given says that there is nothing to consent to.
func (p *consentPages) given(w http.ResponseWriter, r *http.Request, source, tenant string) {
	app, err := p.backend.ConsentApp(r.Context(), source)
	if err != nil {
		p.refuse(w, err)
		return
	}
	p.show(w, http.StatusOK, &consentView{Title: "Consent is given already", Kind: "given", Source: source, Needed: consent.Needed(app.Wants), Tenant: tenant})
}

// callback takes Microsoft's answer. What becomes of it is shown at an address
// of its own, which can be loaded again without being a replay.
func (p *consentPages) callback(w http.ResponseWriter, r *http.Request) {
	flow := p.backend.ConsentFlow()
	answer, err := flow.Answer(r.Context(), r.URL.Query())
	if err != nil {
		p.refuse(w, err)
		return
	}
	p.pending.Store(true)
	http.Redirect(w, r, "/consent/outcome/"+flow.Start(answer).ID, http.StatusSeeOther)
}

// refreshEvery is how often the page of a consent that settles loads itself
// again, in seconds.
const refreshEvery = 2

func (p *consentPages) outcome(w http.ResponseWriter, r *http.Request) {
	job := p.backend.ConsentFlow().Job(r.PathValue("id"))
	if job == nil {
		p.show(w, http.StatusNotFound, &consentView{Title: "Nothing is known of this consent", Kind: "error",
			Error: "the program was restarted since, or it was long ago; look at the status of the source"})
		return
	}
	progress := progressOf(job)
	if progress.Ended() {
		defer p.pending.Store(false)
	}
	v := &consentView{Source: job.Source, Progress: progress, Report: progress.Report, Tenant: progress.Tenant}
	switch {
	case progress.Refusal != nil:
		p.refuse(w, progress.Refusal)
		return
	case progress.Error != "":
		v.Title, v.Kind, v.Error = "Consent was not taken", "error", progress.Error
	case progress.Stage == consent.Done:
		v.Title, v.Kind = "Consent is given", "granted"
	default:
		v.Title, v.Kind, v.Refresh = "Consent is given; waiting for it to arrive", "waiting", refreshEvery
	}
	p.show(w, http.StatusOK, v)
}

// pasted takes an answer that somebody copied out of a browser's address bar.
func (p *consentPages) pasted(w http.ResponseWriter, r *http.Request) {
	job, err := TakeAnswer(r.Context(), p.backend, r.PostFormValue("answer"))
	if err != nil {
		p.refuse(w, err)
		return
	}
	http.Redirect(w, r, "/consent/outcome/"+job.ID, http.StatusSeeOther)
}

// handOff makes what is sent to an administrator elsewhere.
func (p *consentPages) handOff(w http.ResponseWriter, r *http.Request) {
	source := r.PostFormValue("source")
	off, err := AskHandOff(r.Context(), p.backend, source, true)
	if err != nil {
		p.refuse(w, err)
		return
	}
	if off.Given {
		p.given(w, r, source, off.TenantID)
		return
	}
	p.show(w, http.StatusOK, &consentView{Title: "Hand it to an administrator", Kind: "handoff", Source: source, HandOff: off})
}

// ask is the page behind a hand-off's link: what is asked for, and why.
func (p *consentPages) ask(w http.ResponseWriter, r *http.Request) {
	app, err := p.backend.ConsentFlow().HandedOff(r.Context(), r.PathValue("secret"))
	if err != nil {
		p.refuse(w, err)
		return
	}
	tenant := app.Graph.TenantID
	if tenant == "" {
		tenant = app.Tenant
	}
	p.show(w, http.StatusOK, &consentView{Title: "Your consent is asked for", Kind: "ask", App: app, Tenant: tenant,
		Needed: consent.Needed(app.Wants), Secret: r.PathValue("secret")})
}

// askGo leads the administrator of a hand-off to Microsoft's page.
func (p *consentPages) askGo(w http.ResponseWriter, r *http.Request) {
	link, err := p.backend.ConsentFlow().BeginHandedOff(r.Context(), r.PathValue("secret"))
	if err != nil {
		p.refuse(w, err)
		return
	}
	http.Redirect(w, r, link.URL, http.StatusFound)
}

// loopbackName tells whether a host is this machine for everybody who asks.
func loopbackName(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
