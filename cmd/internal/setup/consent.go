package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"scimbridge/cmd/internal/admin"
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

// A Desk is where consent is asked for: it makes the link, takes the answer of the
// browser where that can reach this machine, or a pasted one, and follows it.
type Desk interface {
	admin.ConsentDesk
	io.Closer
}

// askConsent shows the link to Microsoft's page, or the text to send to somebody
// else, and waits for the answer.
func (s *setup) askConsent(ctx context.Context) (err error) {
	app, err := s.app()
	if err != nil {
		return err
	}
	var diag bytes.Buffer
	desk, err := s.Desk(ctx, app, func(_ context.Context, grant consent.Grant) error { return s.learn(grant.TenantID) }, &diag)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, desk.Close()) }()
	begun, expires, given, err := s.show(ctx, desk, app)
	if err != nil {
		return err
	}
	if given != "" {
		s.say("Consent is there already.")
		return s.learn(given)
	}
	if diag.Len() > 0 {
		s.tell("\n" + wrap(strings.TrimSpace(diag.String()), "", lineWidth))
	}
	if err := s.await(ctx, desk, begun, expires); err != nil {
		return err
	}
	return s.follow(ctx, desk, begun)
}

// show prints the link, or the text with the link. given is the tenant where
// nothing is left to consent to.
func (s *setup) show(ctx context.Context, desk Desk, app consent.App) (begun, expires time.Time, given string, err error) {
	if s.is(keyConsent, "mail") {
		off, err := desk.HandOff(ctx)
		if err != nil || off.Given {
			return off.Begun, off.Expires, off.TenantID, err
		}
		line := strings.Repeat("-", lineWidth)
		s.tell("\nSend this to the administrator, and to nobody else:\n\n" + line + "\nSubject: " + off.Subject + "\n\n" + strings.TrimSpace(off.Mail) + "\n" + line)
		return off.Begun, off.Expires, "", nil
	}
	asked, err := desk.Ask(ctx, false)
	if err != nil || asked.Given {
		return asked.Begun, asked.Expires, asked.TenantID, err
	}
	s.tell("\n" + wrap(fmt.Sprintf("A Privileged Role Administrator or Global Administrator of the tenant opens this page by %s and accepts:", asked.Expires.Local().Format("15:04")), "", lineWidth) +
		"\n\n" + asked.URL)
	if line := s.Forward(app.RedirectURI); line != "" {
		s.tell("\n" + wrap("If that browser is on another machine, run this there first, and leave it open; or paste the address here at which the browser ends:", "", lineWidth) + "\n  " + line)
	}
	return asked.Begun, asked.Expires, "", nil
}

// learn keeps the tenant that consented.
func (s *setup) learn(tenant string) error {
	_, err := s.keep(keyTenantID, strings.ToLower(tenant))
	return err
}

const pollEvery = 500 * time.Millisecond

// await waits until an answer has come, by the browser or pasted.
func (s *setup) await(ctx context.Context, desk Desk, begun, expires time.Time) error {
	waiting, cancel := context.WithDeadline(ctx, expires)
	defer cancel()
	came := make(chan struct{})
	go func() {
		defer close(came)
		defer cancel()
		for tick := time.Tick(pollEvery); ; {
			select {
			case <-waiting.Done():
				return
			case <-tick:
			}
			if p, err := desk.Progress(waiting, begun); err == nil && (p.Stage != "" || p.Ended()) {
				return
			}
		}
	}()
	s.say("")
	for s.interactive && waiting.Err() == nil {
		text, err := s.terminal.read(waiting, s.prompt(question{label: "Waiting for the browser; or paste the address"}), false)
		if err != nil && waiting.Err() == nil {
			return err
		}
		if err == nil && text != "" {
			if err := desk.Answer(waiting, text); err != nil {
				s.wrong(err)
			}
		}
	}
	<-came
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(waiting.Err(), context.DeadlineExceeded):
		return &consent.Refusal{Reason: consent.Expired, What: "no answer came before the link expired", Next: "ask for consent again"}
	}
	return nil
}

// follow shows how an answer fares, until the credential is tested.
func (s *setup) follow(ctx context.Context, desk Desk, begun time.Time) error {
	told := ""
	for tick := time.Tick(pollEvery); ; {
		p, err := desk.Progress(ctx, begun)
		if err != nil {
			return err
		}
		text := ""
		switch {
		case p.Refusal != nil:
			return s.settleLater(p.Tenant, p.Refusal)
		case p.Error != "":
			return errors.New(p.Error)
		case p.Stage == consent.Done:
			s.report = p.Report
			return nil
		case p.Stage == consent.Spreading && p.Last != "":
			text = "Not yet, after " + time.Since(p.Since).Round(time.Second).String() + ": " + p.Last
		case p.Stage == consent.Spreading:
			text = "Consent was given. Microsoft needs some seconds to minutes until it is in force."
		}
		if key := string(p.Stage) + p.Last; text != "" && key != told {
			s.say("%s", text)
			told = key
		}
		select {
		case <-tick:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// settleLater has the next step go on where consent was given, but something else
// is wrong: nobody should have to click again for that. The tenant came with our
// own state, and the test proves it by a token.
func (s *setup) settleLater(tenant string, refusal *consent.Refusal) error {
	switch refusal.Reason {
	case consent.Credential, consent.TestFailed:
		s.say("Consent was given, but something else is wrong, as the test shows.")
	case consent.NotSpread, consent.Unlisted:
		s.refused(refusal)
	default:
		return refusal
	}
	if tenant == "" {
		return nil
	}
	return s.learn(tenant)
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
		if !s.is(keyConsent, "mail") {
			s.draft.Answers[keyConsent] = "link"
		}
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
