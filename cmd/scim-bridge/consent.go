package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"scimbridge/cmd/internal/admin"
	"scimbridge/cmd/internal/config"
	"scimbridge/sync/consent"
)

func consentCommand(p *program) *cobra.Command {
	var o consentOptions
	cmd := &cobra.Command{
		Use:   "consent",
		Short: "Get the administrator's consent for a source",
		Long: `Get the administrator's consent for a source: print Microsoft's consent page,
open it where there is a browser, wait for the answer, test the credential and
keep the tenant. Through the running daemon, whose source then starts by itself;
without a daemon, by itself.

Where the browser is on another machine than this, forward the port of the
redirect address as printed, or paste the address at which the browser ended.
Where somebody else has to consent, --hand-off prints a link and a text to mail.
Where consent is there already nothing is asked, unless --again says so.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.consent(cmd.Context(), cmd.InOrStdin(), o)
		},
	}
	p.configFlag(cmd)
	sourceFlag(cmd, &o.source)
	cmd.Flags().BoolVar(&o.handOff, "hand-off", false, "print what to send to an administrator elsewhere")
	cmd.Flags().StringVar(&o.answer, "answer", "", "take the `ADDRESS` where the browser ended (-: stdin)")
	cmd.Flags().BoolVar(&o.again, "again", false, "ask even where consent is there already")
	cmd.Flags().BoolVar(&o.noBrowser, "no-browser", false, "do not open a browser")
	return cmd
}

// consentOptions are the flags of the command.
type consentOptions struct {
	source, answer            string
	handOff, again, noBrowser bool
}

func (p *program) consent(ctx context.Context, stdin io.Reader, o consentOptions) error {
	r, source, err := p.remoteSource(ctx, o.source, false)
	if err != nil {
		return err
	}
	var desk admin.ConsentDesk = &daemonDesk{r, source}
	if !r.answers(ctx) {
		cfg, err := config.Load(p.configFile)
		if err != nil {
			return err
		}
		own, err := openDesk(ctx, cfg, source, p.stderr)
		if err != nil {
			return err
		}
		defer own.Close()
		desk = own
	}
	s := &consentSession{desk: desk, source: source, out: p.stdout, options: o, paste: lines(ctx, stdin)}
	return s.run(ctx)
}

// A consentSession is one run of the command.
type consentSession struct {
	desk    admin.ConsentDesk
	source  string
	out     io.Writer
	options consentOptions
	paste   <-chan string // lines that are typed or pasted; nil: none
}

func (s *consentSession) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

func (s *consentSession) run(ctx context.Context) error {
	switch {
	case s.options.answer != "":
		return s.answered(ctx)
	case s.options.handOff:
		return s.handOff(ctx)
	}
	asked, err := s.desk.Ask(ctx, s.options.again)
	if err != nil {
		return err
	}
	if asked.Given {
		return s.given(asked.TenantID)
	}
	if asked.Commands != "" {
		s.say("%s is a managed identity, for which there is no consent page. An administrator runs, once:\n\n%s", s.source, asked.Commands)
		return silentError(exitFailed)
	}
	s.explain(&asked)
	if !s.options.noBrowser && openBrowser(asked.URL) {
		s.say("\nThe page was opened in your browser.")
	}
	return s.wait(ctx, asked.Begun, asked.Expires, false)
}

func (s *consentSession) given(tenant string) error {
	s.say("%s: tenant %s has granted everything that is needed; there is nothing to consent to", s.source, tenant)
	return nil
}

// explain says what is asked, and where.
func (s *consentSession) explain(asked *admin.ConsentAsked) {
	s.say("Consent for source %s. The app registration %s has to list exactly these\napplication permissions (API permissions > Microsoft Graph):\n", s.source, asked.ClientID)
	w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	for _, p := range asked.Needed {
		note := ""
		if p.Optional {
			note = " (not needed, but nice)"
		}
		fmt.Fprintf(w, "  %s\t%s%s\n", p.Name, p.Why, note)
	}
	w.Flush() // to the same writer as the rest
	s.say("\nand, under Authentication > Web, this redirect URI:\n\n  %s\n", asked.RedirectURI)
	s.say("Open this page as Privileged Role Administrator or Global Administrator, by %s:\n\n  %s", asked.Expires.Local().Format("15:04"), asked.URL)
	if line := forwardLine(asked.RedirectURI); line != "" {
		s.say("\nIs the browser on another machine? Then run this there first, and leave it open:\n\n  %s\n\nor paste here the address at which the browser ends. Somebody else has to consent?\nscim-bridge consent --hand-off prints what to send.", line)
	}
}

// handOff prints what to send, and waits.
func (s *consentSession) handOff(ctx context.Context) error {
	off, err := s.desk.HandOff(ctx)
	if err != nil {
		return err
	}
	if off.Given {
		return s.given(off.TenantID)
	}
	s.say("Send this to the administrator, and to nobody else:\n\n%s\nSubject: %s\n\n%s%[1]s", strings.Repeat("-", 72)+"\n", off.Subject, off.Mail)
	if !off.Reaches {
		s.say("When the address comes back, paste it here; or, if the daemon runs, later:\n\n  scim-bridge consent --source %s --answer -\n", s.source)
	}
	return s.wait(ctx, off.Begun, off.Expires, true)
}

// answered takes an answer that was given on the command line or by stdin.
func (s *consentSession) answered(ctx context.Context) error {
	text := s.options.answer
	if text == "-" {
		s.say("Paste the address at which the administrator's browser ended, then an empty line:")
		text = ""
		for line := range s.paste {
			if strings.TrimSpace(line) == "" && text != "" {
				break
			}
			text += line + "\n"
		}
	}
	begun := time.Now()
	if err := s.desk.Answer(ctx, text); err != nil {
		return err
	}
	return s.wait(ctx, begun, begun.Add(time.Hour), false)
}

// wait follows what becomes of a consent, and takes what is pasted meanwhile.
// With patient, an administrator who declines may try once more.
func (s *consentSession) wait(ctx context.Context, since, until time.Time, patient bool) error {
	s.say("\nWaiting for the answer … (Ctrl-C ends the waiting)")
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var told string
	for {
		progress, err := s.desk.Progress(ctx, since)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if text := s.stage(&progress); text != "" && text != told && err == nil {
			s.say("%s", text)
			told = text
		}
		switch {
		case ctx.Err() != nil:
		case progress.Refusal != nil && patient && progress.Stage == "":
			since = time.Now() // the next one counts
		case progress.Refusal != nil, progress.Error != "":
			return silentError(exitFailed)
		case progress.Stage == consent.Done:
			return s.done(&progress)
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return errors.New("no answer came before the link expired; run the command again")
			}
			s.say("\nNo longer waiting; nothing was changed. Run the command again to go on.")
			return silentError(exitFailed)
		case line, ok := <-s.paste:
			s.pasted(ctx, line, ok)
		case <-tick.C:
		}
	}
}

// pasted takes a line that came while we wait.
func (s *consentSession) pasted(ctx context.Context, line string, ok bool) {
	if !ok {
		s.paste = nil
		return
	}
	if strings.TrimSpace(line) == "" {
		return
	}
	if err := s.desk.Answer(ctx, line); err != nil {
		s.say("%v", err)
	}
}

// stage words how far it is, "" where there is nothing to say.
func (s *consentSession) stage(p *admin.ConsentProgress) string {
	switch {
	case p.Refusal != nil:
		text := "✗ " + p.Refusal.What
		if p.Refusal.Next != "" {
			text += "\n  → " + p.Refusal.Next
		}
		if p.Refusal.Microsoft != "" {
			text += "\n  (" + p.Refusal.Microsoft + ")"
		}
		return text
	case p.Error != "":
		return "✗ " + p.Error
	case p.Stage == consent.Spreading && p.Last != "" && time.Since(p.Since) > 15*time.Second:
		return fmt.Sprintf("  still waiting after %s: %s", time.Since(p.Since).Truncate(15*time.Second), p.Last)
	case p.Stage == consent.Spreading:
		return "✓ the administrator consented; waiting for the grant to spread at Microsoft, which takes seconds, now and then minutes"
	case p.Stage == consent.Testing:
		return "✓ the grant has arrived; testing the credential"
	}
	return ""
}

// done says what was granted.
func (s *consentSession) done(p *admin.ConsentProgress) error {
	name := p.Tenant
	if p.Report != nil && p.Report.Organization != "" {
		name = p.Report.Organization + " (" + p.Tenant + ")"
	}
	s.say("✓ %s: consent of tenant %s is given and tested", s.source, name)
	if p.Report != nil && p.Report.Comparison != nil {
		for _, words := range p.Report.Comparison.Words() {
			s.say("  → %s", words)
		}
	}
	if _, own := s.desk.(*ownDesk); own {
		s.say("  the tenant is kept in the state; to have it in the file, too:  tenant_id: %s", p.Tenant)
	} else {
		s.say("  the source starts by itself; see: scim-bridge status")
	}
	return nil
}

// lines gives what is typed or pasted, line by line, until stdin or ctx ends.
func lines(ctx context.Context, stdin io.Reader) <-chan string {
	out := make(chan string)
	go func() {
		defer close(out)
		scan := bufio.NewScanner(stdin)
		scan.Buffer(nil, 64<<10)
		for scan.Scan() {
			select {
			case out <- scan.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// forwardLine is the command that brings the port of a redirect address from
// another machine to this one; "" where the address needs none.
func forwardLine(redirectURI string) string {
	u, err := url.Parse(redirectURI)
	if err != nil || !strings.EqualFold(u.Hostname(), "localhost") {
		return ""
	}
	host := "this-machine"
	if name, err := os.Hostname(); err == nil {
		host = name
	}
	// client address, client port, server address, server port (ssh(1))
	if fields := strings.Fields(os.Getenv("SSH_CONNECTION")); len(fields) == 4 {
		host = fields[2]
	}
	who := os.Getenv("SUDO_USER")
	if me, err := user.Current(); who == "" && err == nil {
		who = me.Username
	}
	if who != "" {
		host = who + "@" + host
	}
	return fmt.Sprintf("ssh -N -L %s:localhost:%[1]s %s", u.Port(), host)
}

// openBrowser opens an address in the browser of a graphical session, if there
// is one on this machine.
func openBrowser(address string) bool {
	if os.Getenv("SSH_CONNECTION") != "" || os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return false
	}
	path, err := exec.LookPath("xdg-open")
	if err != nil {
		return false
	}
	cmd := exec.Command(path, address)
	if cmd.Start() != nil {
		return false
	}
	go cmd.Wait() // it leaves at once, or stays with the browser
	return true
}

// A daemonDesk asks the running daemon.
type daemonDesk struct {
	r      *remote
	source string
}

func (d *daemonDesk) path(what string) string {
	return "/api/v1/sources/" + url.PathEscape(d.source) + "/" + what
}

func (d *daemonDesk) Ask(ctx context.Context, again bool) (asked admin.ConsentAsked, err error) {
	form := url.Values{"by": {operator()}}
	if again {
		form.Set("again", "1")
	}
	err = d.r.call(ctx, http.MethodPost, d.path("consent"), form, &asked)
	return asked, err
}

func (d *daemonDesk) HandOff(ctx context.Context) (off admin.HandOff, err error) {
	err = d.r.call(ctx, http.MethodPost, d.path("handoff"), nil, &off)
	return off, err
}

func (d *daemonDesk) Answer(ctx context.Context, text string) error {
	return d.r.call(ctx, http.MethodPost, "/api/v1/consent/answer", url.Values{"answer": {text}}, new(struct{}))
}

func (d *daemonDesk) Progress(ctx context.Context, since time.Time) (p admin.ConsentProgress, err error) {
	query := url.Values{"since": {since.Format(time.RFC3339Nano)}}
	err = d.r.call(ctx, http.MethodGet, d.path("consent")+"?"+query.Encode(), nil, &p)
	return p, err
}

// answers tells whether the daemon is there.
func (r *remote) answers(ctx context.Context) bool {
	if r.cfg.Admin.Listen.Network == "tcp" {
		if _, port, _ := net.SplitHostPort(r.cfg.Admin.Listen.Address); port == "0" {
			return false
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/healthz", nil)
	if err != nil {
		return false
	}
	res, err := r.client.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}
