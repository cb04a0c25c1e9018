package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"scimbridge/cmd/internal/config"
	"scimbridge/sync/consent"
)

// load reads the configuration as it would be written now.
func (s *setup) load() (*config.Config, error) {
	cfg, err := config.LoadBytes(s.file, []byte(s.render(true)), os.LookupEnv)
	if err != nil {
		return nil, fmt.Errorf("the answers make no good configuration:\n%w", err)
	}
	return cfg, nil
}

// app gives the source as it is answered so far.
func (s *setup) app() (consent.App, error) {
	cfg, err := s.load()
	if err != nil {
		return consent.App{}, err
	}
	app, err := s.App(cfg)
	app.Wants.HiddenMembers = s.wants().HiddenMembers
	return app, err
}

// consent has consent given by Microsoft's page, where that was chosen and it is
// not there already.
func (s *setup) consent(ctx context.Context) error {
	switch {
	case len(s.faults) > 0:
		return Usage{errors.Join(s.faults...)}
	case !s.is(keyEnabled, yes):
		s.say("Left for later, as the API integration is not enabled.")
		return nil
	case s.is(keyCredential, "managed-identity"):
		s.say("Given by the lines above; there is no page for a managed identity.")
		return nil
	case s.is(keyConsent, "elsewhere"):
		s.say("Given by the button or command line above. The next step shows whether it is there.")
		return nil
	}
	app, err := s.app()
	if err != nil {
		return err
	}
	if app.Graph.TenantID != "" {
		if report := consent.Check(ctx, app); report.OK() {
			s.say("Consent is there already.")
			s.report = report
			return nil
		}
	}
	for {
		err := s.askConsent(ctx)
		var refusal *consent.Refusal
		if !errors.As(err, &refusal) {
			return err
		}
		s.refused(refusal)
		if !s.interactive {
			return ErrTestFailed
		}
		again, err := s.confirm(ctx, "", "Ask for consent again? (no: go on, the next step tests)", yes)
		if err != nil || !again {
			return err
		}
	}
}

func (s *setup) refused(r *consent.Refusal) {
	text := r.What + "."
	if r.Next != "" {
		text += " Next: " + r.Next + "."
	}
	if r.Microsoft != "" {
		text += "\nMicrosoft says: " + r.Microsoft
	}
	s.tell(s.style.mark(false) + " " + strings.TrimLeft(wrap(strings.ToUpper(text[:1])+text[1:], "  ", lineWidth), " "))
}

// askConsent shows the link to Microsoft's page and waits for its answer, by the
// browser or pasted.
func (s *setup) askConsent(ctx context.Context) error {
	flow := consent.New(consent.Config{
		App:  func(context.Context, string) (consent.App, error) { return s.app() },
		Save: func(_ context.Context, _ string, grant consent.Grant) error { return s.learn(grant) },
	})
	defer flow.Close()
	link, err := flow.BeginMailed(ctx, s.draft.Answers[keySource])
	if err != nil {
		return err
	}
	answers := make(chan url.Values, 1)
	listening, stop := s.callback(answers)
	defer stop()
	s.tell("\n" + wrap("A Privileged Role Administrator or Global Administrator of the tenant opens this page and accepts:", "", lineWidth) +
		"\n\n" + link.URL + "\n")
	port := portOf(s.redirectURI())
	if listening == nil {
		s.tell(wrap("If that browser is on another machine, first run there:", "", lineWidth) + "\n  ssh -L " + port + ":localhost:" + port + " " + hostName() + "\n" +
			wrap("Or send the link to the administrator. The browser then ends at an address that it can't open, beginning with "+s.redirectURI()+"; have it sent back, and paste it here.", "", lineWidth))
	} else {
		s.tell(wrap(fmt.Sprintf("Nobody can listen at port %s here (%v), so the browser will end at an address that it can't open, beginning with %s. Copy it from the address bar and paste it here.",
			port, listening, s.redirectURI()), "", lineWidth))
	}
	query, err := s.await(ctx, answers)
	if err != nil {
		return err
	}
	answer, err := flow.Answer(ctx, query)
	if err != nil {
		return err
	}
	s.say("Consent was given. Microsoft needs some seconds to minutes until it is in force.")
	report, err := flow.Settle(ctx, answer, s.progress())
	if err == nil {
		s.report = report
		return nil
	}
	return s.settleLater(query.Get("tenant"), err)
}

// settleLater has the next step go on where consent was given, but something else
// is wrong: nobody should have to click again for that. The tenant came with our
// own state, and the test proves it by a token.
func (s *setup) settleLater(tenant string, err error) error {
	var refusal *consent.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	switch refusal.Reason {
	case consent.Credential, consent.TestFailed:
		// The test shows what is wrong.
	case consent.NotSpread, consent.Unlisted:
		s.refused(refusal)
	default:
		return err
	}
	_, err = s.keep(keyTenantID, strings.ToLower(tenant))
	return err
}

// progress shows the wait for a grant to spread, a line for what is new.
func (s *setup) progress() func(consent.Progress) {
	last := ""
	return func(p consent.Progress) {
		if text := p.Last; p.Stage == consent.Spreading && !p.Next.IsZero() && text != last {
			last = text
			s.say("  %s  not yet: %s", time.Since(p.Since).Round(time.Second), text)
		}
	}
}

// learn keeps the tenant that consented.
func (s *setup) learn(grant consent.Grant) error {
	_, err := s.keep(keyTenantID, grant.TenantID)
	return err
}

// await waits for Microsoft's answer by the browser, or for somebody to paste it.
func (s *setup) await(ctx context.Context, answers <-chan url.Values) (url.Values, error) {
	if !s.interactive {
		select {
		case query := <-answers:
			return query, nil
		case <-ctx.Done():
			return nil, errStopped
		}
	}
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	var arrived url.Values
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case arrived = <-answers:
			cancel()
		case <-reading.Done():
		}
	}()
	s.say("")
	for {
		text, err := s.terminal.read(reading, s.prompt(question{label: "Waiting for the browser; or paste the address"}), false)
		if err != nil && ctx.Err() == nil && reading.Err() != nil {
			<-done
			return arrived, nil
		}
		if err != nil {
			return nil, err
		}
		if text == "" {
			continue
		}
		query, err := consent.ParseAnswer(text)
		if err == nil {
			return query, nil
		}
		s.wrong(err)
	}
}

// callback listens for the browser that Microsoft sends back, where that is this
// machine's own; the error is why nobody can listen.
func (s *setup) callback(answers chan<- url.Values) (error, func()) {
	listen := s.draft.Answers[keyAdminListen]
	if listen == "" {
		listen = "127.0.0.1:8881"
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err, func() {}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /consent/callback", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer") // the address has the state in it
		w.Header().Set("Cache-Control", "no-store")
		select {
		case answers <- r.URL.Query():
			_, _ = io.WriteString(w, "scim-bridge has Microsoft's answer. This page can be closed; the set-up goes on in the terminal.\n")
		default:
			_, _ = io.WriteString(w, "scim-bridge has an answer already. Look at the terminal.\n")
		}
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(l) }() // ends with ErrServerClosed
	return nil, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			srv.Close()
		}
	}
}

func portOf(base string) string {
	u, err := url.Parse(base)
	if err != nil || u.Port() == "" {
		return "443"
	}
	return u.Port()
}

// test tests the credential, as `scim-bridge test` does, and has what is wrong
// mended.
func (s *setup) test(ctx context.Context) error {
	if !s.is(keyEnabled, yes) {
		s.say("Left for later: scim-bridge test")
		return nil
	}
	for {
		if s.report == nil {
			s.say("Asking Microsoft …")
			app, err := s.app()
			if err != nil {
				return err
			}
			s.report = consent.Check(ctx, app)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		report := s.report
		s.report = nil
		s.tell(s.table(report))
		switch {
		case report.OK():
			return nil
		case !s.interactive && s.SkipTest:
			return nil
		case !s.interactive:
			return ErrTestFailed
		}
		goOn, err := s.mend(ctx, report)
		if goOn || err != nil {
			return err
		}
	}
}

// table shows a report within 80 columns.
func (s *setup) table(r *consent.Report) string {
	var b strings.Builder
	for _, step := range r.Steps {
		head := fmt.Sprintf("  %s %-16s ", s.style.mark(step.OK), step.Name)
		const indent = "                     "
		text := wrap(step.Detail, indent, lineWidth)
		b.WriteString(strings.TrimRight(head+strings.TrimLeft(text, " "), " ") + "\n")
		if step.Mend != "" {
			b.WriteString(strings.TrimRight(indent[2:]+"→ "+strings.TrimLeft(wrap(step.Mend, indent, lineWidth), " "), " ") + "\n")
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// mend asks what to do about a credential that does not work, the likeliest
// first. goOn is to leave it as it is.
func (s *setup) mend(ctx context.Context, r *consent.Report) (goOn bool, err error) {
	q := question{label: "Do", preset: "again", about: "What now? What was answered is kept in any case.", options: []option{
		{"again", "test again: a new grant takes some minutes"},
		{"ids", "other client and tenant IDs"},
		{"credential", "another credential"},
		{"consent", "ask for consent on Microsoft's page"},
		{"go-on", "go on, and mend it later: the daemon waits, and says what is wrong"},
		{"stop", "stop here; the next scim-bridge setup goes on"}}}
	for _, step := range r.Steps {
		if step.OK {
			continue
		}
		switch {
		case step.Name == "tenant":
			q.preset = "ids"
		case strings.Contains(step.Detail, "AADSTS70002"), strings.Contains(step.Detail, "AADSTS700027"):
			q.preset = "credential"
		case strings.Contains(step.Detail, "AADSTS90002"), strings.Contains(step.Detail, "AADSTS700016"):
			q.preset = "ids"
		}
	}
	answer, err := s.ask(ctx, q)
	if err != nil {
		return false, err
	}
	switch answer {
	case "go-on":
		return true, nil
	case "stop":
		return false, errStopped
	case "ids":
		return false, s.identify(ctx)
	case "credential":
		return false, s.credentialAnew(ctx)
	case "consent":
		s.draft.Answers[keyConsent] = "link"
		s.say("The registration must list this redirect URI (Authentication > Web): %s", s.redirectURI())
		return false, s.consent(ctx)
	}
	return false, nil
}

// credentialAnew asks for a credential of the same kind again.
func (s *setup) credentialAnew(ctx context.Context) error {
	if name := s.draft.Answers[keySecretFile]; s.is(keyCredential, "secret") && name != "" {
		if err := s.dropFile(name); err != nil {
			return err
		}
		delete(s.given, keySecretFile)
		if _, err := s.keep(keySecretFile, ""); err != nil {
			return err
		}
	}
	if s.is(keyCredential, "new-certificate") {
		s.say("The certificate is %s: it has to be uploaded to the registration with this client ID.", s.certificatePath())
		return nil
	}
	return s.credential(ctx)
}

// tell prints what is said even without a dialogue.
func (s *setup) tell(text string) { fmt.Fprintln(s.out, s.style.plain(text)) }
