// Package daemon puts the parts together and keeps them running: it reads the
// configuration, opens the state, mirrors the sources, serves the endpoint and
// the administrator's listener, and takes a changed configuration without
// stopping.
//
// Some parts live as long as the daemon: the listeners, the store, the
// pictures, the clients' sessions. The others form a generation, which is made
// anew for every configuration: mirrors with their Graph clients, the SCIM
// handler, TLS certificates. Everything about a new generation that can fail
// happens before anything of the old one is touched, so that a faulty file
// leaves the daemon as it was.
//
// It is used by the command serve, by demo, and by tests; it handles no
// signals and exits nothing.
package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"scimbridge/cmd/internal/admin"
	"scimbridge/cmd/internal/config"
	"scimbridge/cmd/internal/tracing"
	"scimbridge/scim"
	"scimbridge/scim/accesstoken"
	"scimbridge/scim/directory"
	"scimbridge/sync/consent"
	"scimbridge/sync/store"
)

// Options say how a daemon is started.
type Options struct {
	// ConfigFile is the path of the configuration.
	ConfigFile string
	// Version is the program's version, for User-Agent and status.
	Version string
	// Log takes what happens; nil is a log to stderr as configured.
	Log *slog.Logger
}

// A Daemon is a running scim-bridge.
type Daemon struct {
	opts    Options
	log     *slog.Logger
	started time.Time
	logs    logSwitch

	// Long-lived parts, made by New.
	store         *store.DB
	library       directory.Library
	sessions      *scim.Sessions
	issuers       *accesstoken.Issuers
	traces        *tracing.Tracing
	key           []byte // seals cursors
	watcher       *config.Watcher
	scimListener  net.Listener
	adminListener net.Listener
	consent       *consent.Flow
	scimServer    *http.Server
	adminServer   *http.Server
	running       sync.WaitGroup
	accepting     sync.WaitGroup // the SCIM listener
	serveErr      chan error
	secrets       secretEnds
	watching      sync.WaitGroup // for grants, and the ends of credentials
	stopWatching  context.CancelFunc

	// gen is what serves now.
	gen atomic.Pointer[generation]
	// opened: every source has been served at the same time.
	opened atomic.Bool

	reloads    reloadStatus
	names      names
	shown      shown
	endpoint   *endpoint
	lately     lately
	rehearsing sync.Mutex // held during a rehearsal

	// reloading is held by whoever changes the generation; it guards what
	// follows.
	reloading sync.Mutex
	sources   map[string]*source // those of gen
	stopped   bool
	attempts  uint64          // reloads so far
	retryWait time.Duration   // before the one that is tried by itself
	ctx       context.Context // ends when the daemon stops
	cancel    context.CancelFunc
}

// New reads the configuration, opens the state and binds the listeners. What
// was stored is served from here on; nothing has been asked of Microsoft yet.
// The error is config.Faults where the file is at fault.
func New(ctx context.Context, opts Options) (_ *Daemon, err error) {
	d := &Daemon{
		opts: opts, log: opts.Log, started: time.Now(),
		sources: make(map[string]*source), serveErr: make(chan error, 2),
	}
	d.secrets.all = make(map[string]secretEnd)
	d.endpoint = newEndpoint(func() *generation { return d.gen.Load() })
	d.ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	cfg, err := config.Load(opts.ConfigFile)
	if err != nil {
		return nil, err
	}
	d.logs.set(cfg.Log)
	if d.log == nil {
		d.log = newLogger(os.Stderr, &d.logs, journalSend())
	}
	if d.traces, err = tracing.Start(ctx, opts.Version, d.log); err != nil {
		d.log.Warn("no traces are sent", "err", err)
	}
	d.issuers = accesstoken.NewIssuers(http.DefaultTransport, d.log)
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if d.watcher, err = config.NewWatcher(opts.ConfigFile, d.log); err != nil {
		return nil, fmt.Errorf("watching the configuration: %w", err)
	}
	d.watcher.SetFiles(cfg.Inputs())
	dir := string(cfg.State.Directory)
	d.store, err = store.Open(ctx, store.Options{
		Path: filepath.Join(dir, "scim-bridge.db"), Program: "scim-bridge " + opts.Version, Log: d.log,
	})
	if err != nil {
		return nil, err
	}
	opened, err := d.store.Opened(ctx)
	if err != nil {
		return nil, err
	}
	d.opened.Store(opened)
	noted, err := d.loadShown(ctx)
	if err != nil {
		return nil, err
	}
	if d.key, err = cursorKey(filepath.Join(dir, "cursor.key")); err != nil {
		return nil, err
	}
	d.sessions = scim.OpenSessions(filepath.Join(dir, "imports.json"), d.log)
	passed, err := passedSockets()
	if err != nil {
		return nil, err
	}
	defer passed.close()
	if d.scimListener, err = listen(cfg.SCIM.Listen, "scim", passed); err != nil {
		return nil, listenFault(cfg, "scim.listen", cfg.SCIM.Listen, err)
	}
	if d.adminListener, err = listen(cfg.Admin.Listen, "admin", passed); err != nil {
		return nil, listenFault(cfg, "admin.listen", cfg.Admin.Listen, err)
	}
	links := linkFileIn(dir)
	d.consent = consent.New(consent.Config{
		App: d.ConsentApp, Save: d.saveConsent, Remember: links.save, Open: links.load(d.log), Log: d.log,
	})
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if err := d.load(ctx, cfg); err != nil {
		return nil, err
	}
	if !noted {
		if err := d.assumeShown(ctx); err != nil {
			return nil, err
		}
	}
	d.reloads.ended("start", nil)
	return d, nil
}

// cursorKey reads the key that seals cursors, or makes one.
func cursorKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if err == nil && len(key) == 32 {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the cursor key: %w", err)
	}
	key = make([]byte, 32)
	rand.Read(key)
	if err := os.WriteFile(path, key, 0o600); err != nil {
		return nil, fmt.Errorf("keeping the cursor key: %w", err)
	}
	return key, nil
}

// SCIMAddr is the address of the SCIM listener.
func (d *Daemon) SCIMAddr() net.Addr { return d.scimListener.Addr() }

// AdminAddr is the address of the administrator's listener.
func (d *Daemon) AdminAddr() net.Addr { return d.adminListener.Addr() }

// Start serves and mirrors, until Stop.
func (d *Daemon) Start() {
	errorLog := slog.NewLogLogger(d.log.Handler(), slog.LevelDebug)
	d.scimServer = &http.Server{
		Handler: d.endpoint, TLSConfig: d.tlsConfig(), ConnState: d.endpoint.conns.state, ConnContext: connContext,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 5 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: errorLog,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 100, WriteByteTimeout: stallTime, SendPingTimeout: stallTime},
	}
	d.adminServer = &http.Server{
		Handler:           admin.New(admin.Config{Backend: d, Log: d.log}),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: errorLog,
	}
	serve := func(what string, f func() error) {
		d.running.Go(func() {
			if err := f(); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				d.serveErr <- fmt.Errorf("serving %s: %w", what, err)
			}
		})
	}
	d.accepting.Add(1)
	serve("SCIM", func() error {
		defer d.accepting.Done()
		l := d.endpoint.conns.listen(d.scimListener)
		if d.gen.Load().tls != nil {
			return d.scimServer.ServeTLS(l, "", "")
		}
		return d.scimServer.Serve(l)
	})
	serve("the administrator", func() error { return d.adminServer.Serve(d.adminListener) })
	d.running.Go(func() { d.issuers.Run(d.ctx) })
	watching, stop := context.WithCancel(d.ctx)
	d.stopWatching = stop
	d.watching.Go(func() { d.lookForGrants(watching) })
	d.watching.Go(func() { d.watchCredentials(watching) })
	d.reloading.Lock()
	defer d.reloading.Unlock()
	for _, s := range d.sources {
		s.start(d.ctx)
	}
	d.log.Info("serving", "scim", d.scimListener.Addr().String(), "admin", d.adminListener.Addr().String(),
		"public_url", d.gen.Load().cfg.SCIM.PublicURL, "version", d.opts.Version)
}

// Run starts the daemon, tells systemd, reloads when files change or reload
// receives, and stops when ctx ends.
func (d *Daemon) Run(ctx context.Context, reload <-chan os.Signal) error {
	d.Start()
	notify("READY=1\nSTATUS=" + d.summary())
	ticker := time.NewTicker(10 * time.Second)
	defer ticker.Stop()
	lifeTicker := time.NewTicker(time.Second)
	defer lifeTicker.Stop()
	var life lifeLog
	var beat <-chan time.Time // never, where systemd does not ask
	if interval := watchdogInterval(); interval > 0 {
		watchdog := time.NewTicker(interval)
		defer watchdog.Stop()
		beat = watchdog.C
	}
	var err error
	for done := false; !done; {
		select {
		case <-ctx.Done():
			done = true
		case err = <-d.serveErr:
			done = true
		case <-reload:
			d.watcher.Check()
		case notice := <-d.watcher.Notices():
			d.log.Info("configuration changed", "files", notice.Files, "asked", notice.Forced)
			_ = d.Reload(ctx) // it told the log and the status
		case <-ticker.C:
			notify("STATUS=" + d.summary())
		case <-lifeTicker.C:
			life.note(d.log, d.sourceStatus(false))
		case <-beat:
			if name := d.stuck(time.Now()); name != "" {
				d.log.Error("source does not move any more; the watchdog is not told that all is well", "source", name)
				break
			}
			notify("WATCHDOG=1")
		}
	}
	notify("STOPPING=1\nSTATUS=ending requests")
	return errors.Join(err, d.Stop())
}

// stopTime bounds how long Stop waits for requests that are under way.
const stopTime = 20 * time.Second

// Stop ends everything: no new requests, those under way to their end, rounds
// cut off where they are, which loses nothing. It may be called again.
func (d *Daemon) Stop() error {
	// Before the lock, which both need to take up what was granted.
	d.consent.Close()
	if d.stopWatching != nil {
		d.stopWatching()
		d.watching.Wait()
	}
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if d.stopped {
		return nil
	}
	d.stopped = true
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	d.cancel()
	// Rounds end before requests do: an order of the administrator waits for
	// one, and its request would wait with it.
	for _, s := range d.sources {
		s.stop()
	}
	d.drain()
	err := d.endRequests(ctx)
	d.running.Wait()
	if err := d.sessions.Close(); err != nil {
		d.log.Warn("imports under way will not be known after a restart", "err", err)
	}
	d.log.Info("stopped")
	return errors.Join(err, d.close())
}

// endRequests closes the listeners and waits until no request is under way.
func (d *Daemon) endRequests(ctx context.Context) error {
	var ending sync.WaitGroup
	faults := make([]error, 2)
	for i, s := range []*http.Server{d.scimServer, d.adminServer} {
		if s == nil {
			continue
		}
		ending.Go(func() {
			if err := s.Shutdown(ctx); err != nil {
				faults[i] = fmt.Errorf("ending requests: %w", err)
				s.Close()
			}
		})
	}
	ending.Wait()
	return errors.Join(faults...)
}

// close lets go of what New opened.
func (d *Daemon) close() error {
	d.cancel()
	if d.consent != nil {
		d.consent.Close()
	}
	var errs []error
	if d.watcher != nil {
		errs = append(errs, d.watcher.Close())
	}
	for _, l := range []net.Listener{d.scimListener, d.adminListener} {
		if l != nil {
			l.Close() // a server that was shut down closed it already
		}
	}
	for _, s := range d.sources {
		errs = append(errs, s.picture.Close())
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	d.traces.Stop()
	return errors.Join(errs...)
}
