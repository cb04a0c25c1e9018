package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"scimbridge/sync/consent"
)

// The pages of admin consent, and what the command consent asks the daemon.
//
// Three addresses are open to whoever knows them, also where the listener asks
// for a token: Microsoft's answer, which proves itself by its state; the page
// that shows how an answer settles; and the page of a hand-off. The last two
// have 128 random bits in their address. All others are the administrator's.

// Consents is the part of a Backend that gets the administrator's consent.
type Consents interface {
	// ConsentFlow keeps the consents under way.
	ConsentFlow() *consent.Flow
	// ConsentApps are the sources as they would ask for consent.
	ConsentApps(ctx context.Context) ([]consent.App, error)
	// ConsentApp is one of them; the error wraps ErrNoSource.
	ConsentApp(ctx context.Context, source string) (consent.App, error)
	// Test tests the credential of a source.
	Test(ctx context.Context, source string) (*consent.Report, error)
	// AdminURL is where a browser finds this listener, empty where none does.
	AdminURL() string
}

// A ConsentDesk is where a command asks for the consent of one source: the running
// daemon, or the command's own process.
type ConsentDesk interface {
	// Ask begins a consent, unless it is given already and again is false.
	Ask(ctx context.Context, again bool) (ConsentAsked, error)
	// HandOff makes what is sent to somebody else.
	HandOff(ctx context.Context) (HandOff, error)
	// Answer takes an answer that was pasted. The error says why it is none.
	Answer(ctx context.Context, text string) error
	// Progress tells what became of it since a moment.
	Progress(ctx context.Context, since time.Time) (ConsentProgress, error)
}

// A ConsentAsked is what is needed to get consent for a source.
type ConsentAsked struct {
	// Given tells that consent is there already, and that no link was made.
	Given       bool                 `json:"given"`
	TenantID    string               `json:"tenantID,omitempty"`
	Begun       time.Time            `json:"begun"`
	URL         string               `json:"url,omitempty"` // of Microsoft's page
	Expires     time.Time            `json:"expires,omitzero"`
	ClientID    string               `json:"clientID"`
	RedirectURI string               `json:"redirectURI,omitempty"`
	Needed      []consent.Permission `json:"needed"`
	// Commands grant the permissions where there is no page to do it on.
	Commands string `json:"commands,omitempty"`
}

// A HandOff is what to send to the administrator who may consent.
type HandOff struct {
	// Given tells that consent is there already, and that no link was made.
	Given    bool   `json:"given"`
	TenantID string `json:"tenantID,omitempty"`
	consent.Link
	Begun time.Time `json:"begun"`
	// Reaches tells that the answer comes back by itself; otherwise the address
	// that the browser ends at has to be pasted.
	Reaches bool   `json:"reaches"`
	Subject string `json:"subject"`
	Mail    string `json:"mail"` // the text to send
}

// A ConsentProgress is what became of a consent that was asked for.
type ConsentProgress struct {
	Stage   consent.Stage    `json:"stage,omitempty"` // empty: no answer yet
	Since   time.Time        `json:"since,omitzero"`
	Next    time.Time        `json:"next,omitzero"`
	Until   time.Time        `json:"until,omitzero"`
	Tries   int              `json:"tries,omitempty"`
	Last    string           `json:"last,omitempty"`
	Tenant  string           `json:"tenant,omitempty"`
	Report  *consent.Report  `json:"report,omitempty"`
	Refusal *consent.Refusal `json:"refusal,omitempty"`
	Error   string           `json:"error,omitempty"`
}

// Ended tells that nothing more will happen.
func (p *ConsentProgress) Ended() bool {
	return p.Refusal != nil || p.Error != "" || p.Stage == consent.Done || p.Stage == consent.Failed
}

// AskConsent begins a consent, unless it is given already and again is false.
func AskConsent(ctx context.Context, b Consents, source, by string, again bool) (ConsentAsked, error) {
	app, err := b.ConsentApp(ctx, source)
	if err != nil {
		return ConsentAsked{}, err
	}
	asked := ConsentAsked{
		Begun: time.Now(), ClientID: app.Graph.ClientID, RedirectURI: app.RedirectURI,
		Needed: consent.Needed(app.Wants), Commands: consent.Commands(app),
	}
	if asked.Commands != "" {
		asked.TenantID, asked.Given = alreadyGiven(ctx, app)
		return asked, nil
	}
	if !again {
		if asked.TenantID, asked.Given = alreadyGiven(ctx, app); asked.Given {
			return asked, nil
		}
	}
	begin := b.ConsentFlow().Begin
	if again {
		begin = b.ConsentFlow().BeginAgain
	}
	link, err := begin(ctx, source, by)
	if err != nil {
		return asked, err
	}
	asked.URL, asked.Expires = link.URL, link.Expires
	return asked, nil
}

// lookTime bounds the look whether consent is given already.
const lookTime = 10 * time.Second

func alreadyGiven(ctx context.Context, app consent.App) (tenant string, given bool) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	return consent.Granted(ctx, app)
}

// AskHandOff makes what is sent to the administrator who may consent: a link to
// our own page where that page can be reached from elsewhere, and otherwise one
// to Microsoft's page, with what to do with the answer.
func AskHandOff(ctx context.Context, b Consents, source string, ownPage bool) (HandOff, error) {
	app, err := b.ConsentApp(ctx, source)
	if err != nil {
		return HandOff{}, err
	}
	h := HandOff{Begun: time.Now(), Reaches: ownPage && reachable(b.AdminURL())}
	if h.TenantID, h.Given = alreadyGiven(ctx, app); h.Given {
		return h, nil
	}
	if h.Reaches {
		h.Link, err = b.ConsentFlow().HandOff(ctx, source, b.AdminURL()+"/consent/ask/")
	} else {
		h.Link, err = b.ConsentFlow().BeginMailed(ctx, source)
	}
	if err != nil {
		return HandOff{}, err
	}
	h.Subject, h.Mail = consent.Mail(app, h.Link, h.Reaches)
	return h, nil
}

// reachable tells whether others than this machine can open an address.
func reachable(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Hostname() != "" && !loopbackName(u.Hostname())
}

// ProgressOf tells what became of the consent of a source since a moment.
func ProgressOf(b Consents, source string, since time.Time) ConsentProgress {
	refusal, job := b.ConsentFlow().Latest(source, since)
	switch {
	case refusal != nil:
		return ConsentProgress{Refusal: refusal}
	case job == nil:
		return ConsentProgress{}
	}
	return progressOf(job)
}

func progressOf(job *consent.Job) ConsentProgress {
	p := job.Progress()
	out := ConsentProgress{Stage: p.Stage, Since: p.Since, Next: p.Next, Until: p.Until, Tries: p.Tries, Last: p.Last, Tenant: job.Tenant(), Report: p.Report}
	if p.Err != nil && !errors.As(p.Err, &out.Refusal) {
		out.Error = p.Err.Error()
	}
	return out
}

// TakeAnswer takes an answer that was pasted.
func TakeAnswer(ctx context.Context, b Consents, text string) (*consent.Job, error) {
	query, err := consent.ParseAnswer(text)
	if err != nil {
		return nil, err
	}
	answer, err := b.ConsentFlow().Answer(ctx, query)
	if err != nil {
		return nil, err
	}
	return b.ConsentFlow().Start(answer), nil
}

// mountConsent adds what the commands ask.
func (h *handler) mountConsent(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/v1/sources/{source}/consent", h.askConsent)
	mux.HandleFunc("GET /api/v1/sources/{source}/consent", h.consentProgress)
	mux.HandleFunc("POST /api/v1/sources/{source}/handoff", h.askHandOff)
	mux.HandleFunc("POST /api/v1/consent/answer", h.takeAnswer)
	mux.HandleFunc("POST /api/v1/sources/{source}/test", h.test)
	p := &consentPages{backend: h.backend, log: h.log, page: consentTemplate()}
	h.consent = p
	p.mount(mux)
	mux.HandleFunc("GET /consent", p.overview)
	mux.HandleFunc("GET /consent/{source}", p.begin)
	mux.HandleFunc("POST /consent/handoff", p.handOff)
	mux.HandleFunc("POST /consent/answer", p.pasted)
	mux.HandleFunc("GET /consent/ask/{secret}", p.ask)
	mux.HandleFunc("GET /consent/ask/{secret}/go", p.askGo)
}

func (h *handler) askConsent(w http.ResponseWriter, r *http.Request) {
	asked, err := AskConsent(r.Context(), h.backend, r.PathValue("source"), byOf(r), r.FormValue("again") != "")
	answer(w, asked, err)
}

// byOf names who asks, for the record.
func byOf(r *http.Request) string {
	if by := r.FormValue("by"); by != "" {
		return by
	}
	return "administrator at " + r.RemoteAddr
}

func (h *handler) consentProgress(w http.ResponseWriter, r *http.Request) {
	since, err := time.Parse(time.RFC3339Nano, r.FormValue("since"))
	if err != nil {
		problem(w, http.StatusBadRequest, errors.New("since is no time (RFC 3339)"))
		return
	}
	if _, err := h.backend.ConsentApp(r.Context(), r.PathValue("source")); err != nil {
		problem(w, refusal(err), err)
		return
	}
	reply(w, http.StatusOK, ProgressOf(h.backend, r.PathValue("source"), since))
}

func (h *handler) askHandOff(w http.ResponseWriter, r *http.Request) {
	off, err := AskHandOff(r.Context(), h.backend, r.PathValue("source"), true)
	answer(w, off, err)
}

func (h *handler) takeAnswer(w http.ResponseWriter, r *http.Request) {
	job, err := TakeAnswer(r.Context(), h.backend, r.FormValue("answer"))
	if err != nil {
		problem(w, refusal(err), err)
		return
	}
	reply(w, http.StatusOK, map[string]string{"source": job.Source})
}

// test tests the credential of a source, for a command or for the button of the
// status page.
func (h *handler) test(w http.ResponseWriter, r *http.Request) {
	report, err := h.backend.Test(r.Context(), r.PathValue("source"))
	if browser(r) && err == nil {
		h.consent.show(w, http.StatusOK, &consentView{Title: "Test of " + report.Source, Kind: "report", Source: report.Source, Report: report})
		return
	}
	if browser(r) {
		h.back(w, err)
		return
	}
	answer(w, report, err)
}
