package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"scimbridge/cmd/internal/admin"
	"scimbridge/cmd/internal/config"
	"scimbridge/scim"
	"scimbridge/scim/accesstoken"
	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
)

// A generation is what one configuration makes.
type generation struct {
	cfg     *config.Config
	clients []scim.Client       // as the file has them
	kept    map[string][]string // client -> sources that it is shown though its list has them no more
	scim    scim.Config         // what handler was made of
	handler *scim.Handler
	// inventors are the mappers that make values up, by source.
	inventors map[string]*mapping.Mapper
	tls       *tls.Config        // nil: plain HTTP
	sources   map[string]*source // by name
}

// reloadStatus is what is shown of reloads.
type reloadStatus struct {
	mu       sync.Mutex
	at       time.Time // of the last one that succeeded
	err      error     // of the last one, if it failed
	failedAt time.Time
	ok, bad  uint64
	history  []admin.ReloadStatus // the latest first
}

// maxReloads bounds the reloads that are remembered.
const maxReloads = 20

// ended notes how a reload ended.
func (r *reloadStatus) ended(changes string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
	one := admin.ReloadStatus{At: time.Now(), Changes: changes}
	if err != nil {
		one.Error = err.Error()
	}
	r.history = append([]admin.ReloadStatus{one}, r.history[:min(len(r.history), maxReloads-1)]...)
	if err != nil {
		r.failedAt, r.bad = time.Now(), r.bad+1
		return
	}
	r.at, r.ok = time.Now(), r.ok+1
}

// show adds the reloads to a status.
func (r *reloadStatus) show(st *admin.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st.ConfigLoaded, st.Reloads, st.FailedReloads, st.ReloadHistory = r.at, r.ok, r.bad, r.history
	if r.err != nil {
		st.ConfigError, st.ConfigFailed = r.err.Error(), r.failedAt
	}
}

// Reload reads the configuration again and takes it into service. On any fault
// the old one stays in force, and the error says what is wrong with the new.
func (d *Daemon) Reload(ctx context.Context) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if d.stopped {
		return errors.New("the daemon is stopping")
	}
	notifyReloading()
	defer func() { notify("READY=1\nSTATUS=" + d.summary()) }()
	d.attempts++
	changes, err := d.reload(ctx)
	d.reloads.ended(changes, err)
	if err != nil {
		d.log.Error("configuration was not taken; the old one stays in force", "err", err)
	}
	var later laterError
	if errors.As(err, &later) {
		d.retryLater()
		return err
	}
	d.retryWait = 0
	return err
}

// reload gives what has changed.
func (d *Daemon) reload(ctx context.Context) (string, error) {
	cfg, err := config.Load(d.opts.ConfigFile)
	if err != nil {
		var faults config.Faults
		if errors.As(err, &faults) {
			d.watcher.AddFiles(faults.Inputs())
		}
		return "", err
	}
	changes := config.Diff(d.gen.Load().cfg, cfg)
	if stuck := config.NeedRestart(changes); len(stuck) > 0 {
		var faults config.Faults
		for _, c := range stuck {
			faults = append(faults, cfg.Fault(c.Path, fmt.Sprintf("it was %s and can't change while the daemon runs", c.Old), "restart it, or put the old value back"))
		}
		d.watcher.AddFiles(cfg.Inputs())
		return "", faults
	}
	if err := d.load(ctx, cfg); err != nil {
		// Any file of the refused configuration is worth another try when it
		// changes.
		d.watcher.AddFiles(cfg.Inputs())
		return "", err
	}
	d.watcher.SetFiles(cfg.Inputs())
	texts := make([]string, len(changes))
	for i, c := range changes {
		texts[i] = c.String()
	}
	changed := strings.Join(texts, "; ")
	d.log.Info("configuration is in force", "changes", changed)
	return changed, nil
}

// load takes a configuration into service: first all that can fail, then the
// swap. d.reloading is held.
func (d *Daemon) load(ctx context.Context, cfg *config.Config) error {
	d.noteOpened(ctx)
	for _, w := range cfg.Warnings {
		d.log.Warn("configuration", "warning", w.Error())
	}
	publicURL := d.publicURL(cfg)
	mappers, err := mappers(cfg, publicURL)
	if err != nil {
		return err
	}
	gen := &generation{cfg: cfg, clients: d.clients(cfg), inventors: inventors(cfg, mappers)}
	if gen.tls, err = serverTLS(cfg.SCIM.TLS); err != nil {
		return cfg.Fault("scim.tls", err.Error(), "mend the file")
	}
	if old := d.gen.Load(); old != nil && (old.tls == nil) != (gen.tls == nil) {
		return cfg.Fault("scim.tls", "a running daemon can't go from HTTP to HTTPS or back", "restart it")
	}
	gen.scim = scim.Config{
		BaseURL: publicURL, View: d.view, Ready: d.complete, ViewByID: d.library.ByID, Schemas: mapping.Schemas(mappers...), Extends: mapping.Extends(mappers...),
		Clients: gen.clients, Shown: d.noteShown, DefaultPageSize: cfg.SCIM.PageSize.Default, MaxPageSize: cfg.SCIM.PageSize.Max,
		PublicDiscovery: cfg.SCIM.PublicDiscovery, IndexOnly: !cfg.SCIM.CursorPaging, Key: d.key, Sessions: d.sessions, Log: d.log, Tracer: d.traces.Tracer("scimbridge/scim"),
	}
	if _, err = scim.New(gen.scim); err != nil { // present makes the one that serves
		return fmt.Errorf("making the endpoint: %w", err)
	}
	b := &build{d: d, cfg: cfg, mappers: mappers, shelf: shelf{publicURL, cfg.State.KeepGenerations}}
	if err := b.sources(ctx); err != nil {
		b.undo()
		return err
	}
	d.shown.mu.Lock() // until gen serves: what a client is shown meanwhile is kept
	defer d.shown.mu.Unlock()
	if err := b.pictures(ctx); err != nil {
		b.undo()
		return err
	}
	gen.sources = b.next
	if err := d.present(gen); err != nil {
		b.undo()
		return err
	}

	// From here on nothing fails.
	d.logs.set(cfg.Log)
	for _, r := range b.renamed {
		d.log.Warn("source has another name and goes on as it was", "source", r.to, "formerly", r.from)
	}
	old := d.sources
	for name, s := range old {
		if b.next[name] != s {
			s.stop()
		}
	}
	before := d.gen.Load()
	d.sources = b.next
	d.library.SetPictures(pictures(cfg, b.next))
	d.gen.Store(gen)
	d.logKept(before, gen)
	d.issuers.Keep(verifiers(gen.clients))
	for name, s := range old {
		if n := b.next[name]; n == nil || n.picture != s.picture {
			s.picture.Close() // only forbids it to write
		}
	}
	if before != nil {
		for _, s := range b.next {
			s.start(d.ctx)
		}
	}
	return nil
}

// pictures gives the pictures in the order of the file; those of sources that
// are no longer in it come last.
func pictures(cfg *config.Config, sources map[string]*source) []*directory.Picture {
	var order []string
	for _, s := range cfg.Sources {
		order = append(order, s.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		if !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	var all []*directory.Picture
	for _, name := range order {
		all = append(all, sources[name].picture)
	}
	return all
}

// publicURL is the base URL of the endpoint, with the real port where the file
// has port 0.
func (d *Daemon) publicURL(cfg *config.Config) string {
	if strings.HasSuffix(cfg.SCIM.Listen.Address, ":0") {
		return strings.Replace(cfg.SCIM.PublicURL, cfg.SCIM.Listen.Address, d.scimListener.Addr().String(), 1)
	}
	return cfg.SCIM.PublicURL
}

// view gives the view that requests read, or why there is none.
func (d *Daemon) view() (*directory.View, error) {
	v := d.library.View()
	if len(v.Snapshots()) == 0 {
		return nil, errors.New("the first import from Microsoft 365 is not complete yet")
	}
	return v, nil
}

func (d *Daemon) clients(cfg *config.Config) []scim.Client {
	var all []scim.Client
	for _, c := range cfg.SCIM.Clients {
		client := scim.Client{
			Name: c.Name, Sources: c.Sources, Tokens: c.TokenSums(), Allow: c.Allow, RequestsPerSecond: c.RequestsPerSecond,
		}
		if c.Basic != nil {
			client.Basic = &scim.Basic{Username: c.Basic.Username, Password: c.Basic.PasswordFile.SHA256.Sum()}
		}
		if c.OAuth2 != nil {
			client.OAuth2 = &scim.OAuth2{ClientID: c.OAuth2.ClientID, Secret: c.OAuth2.ClientSecretFile.SHA256.Sum()}
		}
		if c.JWT != nil {
			client.JWT = d.issuers.Verifier(tokenConfig(c.JWT))
		}
		all = append(all, client)
	}
	return all
}

func tokenConfig(j *config.JWT) accesstoken.Config {
	t := accesstoken.Config{Issuer: j.Issuer, Audience: j.Audience, Subject: j.Subject, JWKSURL: j.JWKSURL}
	for _, c := range j.Claims {
		t.Claims = append(t.Claims, accesstoken.Claim{Name: c.Claim, Value: c.Value})
	}
	return t
}

func verifiers(clients []scim.Client) []*accesstoken.Verifier {
	var all []*accesstoken.Verifier
	for _, c := range clients {
		if c.JWT != nil {
			all = append(all, c.JWT)
		}
	}
	return all
}

// serverTLS makes the endpoint's TLS settings: TLS 1.2 and later, as RFC 9325
// has it.
func serverTLS(cfg *config.TLS) (*tls.Config, error) {
	if cfg == nil {
		return nil, nil
	}
	cert, err := cfg.KeyPair()
	if err != nil {
		return nil, err
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	if !cfg.ClientCAFile.IsZero() {
		t.ClientCAs, t.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !t.ClientCAs.AppendCertsFromPEM(cfg.ClientCAFile.Data) {
			return nil, errors.New("client_ca_file holds no certificate")
		}
	}
	return t, nil
}

// tlsConfig takes each handshake's settings from the generation in service.
func (d *Daemon) tlsConfig() *tls.Config {
	if d.gen.Load().tls == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return d.gen.Load().tls, nil },
	}
}
