package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"scimbridge/cmd/internal/admin"
	"scimbridge/cmd/internal/config"
	"scimbridge/cmd/internal/daemon"
	"scimbridge/sync/consent"
	"scimbridge/sync/store"
)

// An ownDesk asks for consent in this process, without a daemon: it listens
// where the redirect address of its app leads, as long as it is open.
//
// It can be used without a configuration file, too, for example by a dialogue
// that is about to write one: see newDesk.
type ownDesk struct {
	app    consent.App
	flow   *consent.Flow
	server *http.Server // nil: the redirect does not lead to this machine
	pages  *admin.ConsentServer
}

// newDesk opens a desk for one app, whose RedirectURI says where to listen:
// where its host is localhost, on the loopback addresses with that port. Where
// the host is another one, or the port is taken, only pasted answers are taken,
// and the reason is written to diag. save is called with a consent that has
// passed the test. Close the desk after use.
//
// Afterwards: Ask gives the link (or tells that consent is there already),
// HandOff the text to mail, Answer takes a pasted address, and Progress is to be
// asked every second or so until it has Ended.
func newDesk(ctx context.Context, app consent.App, save func(context.Context, consent.Grant) error, diag io.Writer) (*ownDesk, error) {
	log := slog.New(slog.NewTextHandler(diag, &slog.HandlerOptions{Level: slog.LevelError}))
	d := &ownDesk{app: app}
	d.flow = consent.New(consent.Config{
		App:  func(context.Context, string) (consent.App, error) { return d.app, nil },
		Save: func(ctx context.Context, _ string, grant consent.Grant) error { return save(ctx, grant) },
		Log:  log,
	})
	listeners, err := listenForRedirect(ctx, app.RedirectURI)
	if err != nil {
		fmt.Fprintf(diag, "the redirect to %s cannot be taken here (%v): paste the address at which the browser ends\n", app.RedirectURI, err)
		return d, nil
	}
	d.pages = admin.NewConsent(d, log)
	d.server = &http.Server{
		Handler: d.pages, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	for _, l := range listeners {
		go d.server.Serve(l) // ends with Close
	}
	return d, nil
}

// listenForRedirect listens where a redirect address leads, on both loopback
// addresses, since a browser may take either for localhost.
func listenForRedirect(ctx context.Context, redirectURI string) ([]net.Listener, error) {
	u, err := url.Parse(redirectURI)
	if err != nil || u.Scheme != "http" || u.Hostname() != "localhost" {
		return nil, errors.New("it does not lead to localhost")
	}
	var lc net.ListenConfig
	first, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", u.Port()))
	if err != nil {
		return nil, err
	}
	listeners := []net.Listener{first}
	if second, err := lc.Listen(ctx, "tcp", net.JoinHostPort("::1", u.Port())); err == nil {
		listeners = append(listeners, second) // without IPv6 there is none
	}
	return listeners, nil
}

// Close ends the desk.
func (d *ownDesk) Close() error {
	var err error
	if d.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		d.pages.Shown(ctx)
		if err = d.server.Shutdown(ctx); err != nil {
			err = d.server.Close()
		}
	}
	d.flow.Close()
	return err
}

// Ask implements admin.ConsentDesk.
func (d *ownDesk) Ask(ctx context.Context, again bool) (admin.ConsentAsked, error) {
	return admin.AskConsent(ctx, d, d.app.Source, operator(), again)
}

// HandOff implements admin.ConsentDesk.
func (d *ownDesk) HandOff(ctx context.Context) (admin.HandOff, error) {
	return admin.AskHandOff(ctx, d, d.app.Source, false)
}

// Answer implements admin.ConsentDesk.
func (d *ownDesk) Answer(ctx context.Context, text string) error {
	_, err := admin.TakeAnswer(ctx, d, text)
	return err
}

// Progress implements admin.ConsentDesk.
func (d *ownDesk) Progress(_ context.Context, since time.Time) (admin.ConsentProgress, error) {
	return admin.ProgressOf(d, d.app.Source, since), nil
}

// The pages' side of it, admin.Consents.

func (d *ownDesk) ConsentFlow() *consent.Flow { return d.flow }

func (d *ownDesk) ConsentApps(context.Context) ([]consent.App, error) {
	return []consent.App{d.app}, nil
}

func (d *ownDesk) ConsentApp(context.Context, string) (consent.App, error) { return d.app, nil }

func (d *ownDesk) Test(ctx context.Context, _ string) (*consent.Report, error) {
	return consent.Check(ctx, d.app), nil
}

func (d *ownDesk) AdminURL() string { return "" }

// openDesk opens a desk for a source of a configuration, which keeps the consent
// in the state directory.
func openDesk(ctx context.Context, cfg *config.Config, source string, diag io.Writer) (*ownDesk, error) {
	index := -1
	var names []string
	for i, s := range cfg.Sources {
		names = append(names, s.Name)
		if s.Name == source {
			index = i
		}
	}
	if index < 0 {
		return nil, usageError{errors.New("there is no source " + source + "; there are: " + strings.Join(names, ", "))}
	}
	st := ownState{dir: string(cfg.State.Directory)}
	tenant, err := st.tenant(ctx, source)
	if err != nil {
		return nil, err
	}
	app, err := daemon.ConsentApp(cfg, index, tenant, programVersion())
	if err != nil {
		return nil, err
	}
	return newDesk(ctx, app, func(ctx context.Context, grant consent.Grant) error { return st.keep(ctx, source, grant) }, diag)
}

// ownState is the state directory of a daemon that does not run.
type ownState struct{ dir string }

func (s ownState) path() string { return filepath.Join(s.dir, "scim-bridge.db") }

// tenant is what an earlier consent gave, empty for none.
func (s ownState) tenant(ctx context.Context, source string) (string, error) {
	if _, err := os.Stat(s.path()); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	db, err := store.Open(ctx, store.Options{Path: s.path(), ReadOnly: true})
	if err != nil {
		return "", err
	}
	defer db.Close()
	state, err := db.Source(ctx, source)
	return state.Consent.TenantID, err
}

// keep writes a consent. What it makes belongs to whom the directory belongs to:
// root may run this for a daemon that does not run as root.
func (s ownState) keep(ctx context.Context, source string, grant consent.Grant) error {
	db, err := store.Open(ctx, store.Options{Path: s.path(), Program: "scim-bridge " + programVersion()})
	if err != nil {
		return fmt.Errorf("%w; the tenant is %s: write it into tenant_id", err, grant.TenantID)
	}
	err = db.SetConsent(ctx, source, store.Consent{TenantID: grant.TenantID, At: grant.At, By: grant.By})
	return errors.Join(err, db.Close(), s.handOver())
}

// handOver gives the files to the owner of the directory.
func (s ownState) handOver() error {
	info, err := os.Stat(s.dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || owner.Uid == 0 {
		return nil
	}
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if !f.Type().IsRegular() {
			continue
		}
		if err := os.Lchown(filepath.Join(s.dir, f.Name()), int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	return nil
}
