package daemon

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"scimbridge/cmd/internal/admin"
	"scimbridge/cmd/internal/config"
	"scimbridge/scim/mapping"
	"scimbridge/sync/consent"
	"scimbridge/sync/mirror"
	"scimbridge/sync/store"
)

// wants is what a source needs permissions for.
func wants(sc config.Source, tables config.Tables, mapper *mapping.Mapper) consent.Wants {
	scope, err := scopeOf(sc, tables)
	if err != nil {
		return consent.Wants{Groups: sc.Groups.Enabled} // which checking the file has refused
	}
	w := consent.Wants{Groups: scope.ReadsGroups()}
	for _, name := range append(permissions(&scope), mapper.Permissions()...) {
		p, ok := consent.Known(name)
		if ok && !slices.ContainsFunc(w.More, func(other consent.Permission) bool { return other.Name == name }) {
			w.More = append(w.More, p)
		}
	}
	return w
}

// ConsentApp gives a source of a configuration as package consent sees it: what
// is asked for, with what credential, and where Microsoft's page sends the
// browser back to. tenant is what an earlier consent gave, empty for none. The
// error is a config.Fault.
func ConsentApp(cfg *config.Config, index int, tenant, version string) (consent.App, error) {
	return consentApp(cfg, index, tenant, cfg.Admin.PublicURL, version)
}

// consentApp is ConsentApp with where a browser finds the administrator's
// listener, which may have a port of its own.
func consentApp(cfg *config.Config, index int, tenant, base, version string) (consent.App, error) {
	mapper, err := mapping.New(mappingConfig(cfg, index, "https://scim.invalid/scim/v2"))
	if err != nil {
		return consent.App{}, err
	}
	sc := cfg.Sources[index]
	g, err := graphConfig(cfg, index, sc.TenantID, mapper, version)
	if err != nil {
		return consent.App{}, err
	}
	app := consent.App{Source: sc.Name, Graph: g, Tenant: tenant, Wants: wants(sc, cfg.Tables, mapper), SecretHint: secretHint(sc)}
	if base != "" {
		app.RedirectURI = strings.TrimSuffix(base, "/") + "/consent/callback"
	}
	return app, nil
}

// secretHint is the beginning of a client secret, by which Graph tells secrets
// apart.
func secretHint(sc config.Source) string {
	const length = 3
	if secret := sc.ClientSecretFile.Secret.Reveal(); len(secret) > length {
		return secret[:length]
	}
	return ""
}

// ConsentFlow keeps the consents under way.
func (d *Daemon) ConsentFlow() *consent.Flow { return d.consent }

// ConsentApps are the sources as they would ask for consent.
func (d *Daemon) ConsentApps(ctx context.Context) ([]consent.App, error) {
	cfg := d.gen.Load().cfg
	var apps []consent.App
	for i := range cfg.Sources {
		app, err := d.consentApp(ctx, cfg, i)
		if err != nil {
			return nil, err
		}
		apps = append(apps, app)
	}
	return apps, nil
}

// ConsentApp is the app of one source.
func (d *Daemon) ConsentApp(ctx context.Context, source string) (consent.App, error) {
	cfg := d.gen.Load().cfg
	var names []string
	for i, sc := range cfg.Sources {
		if sc.Name == source {
			return d.consentApp(ctx, cfg, i)
		}
		names = append(names, sc.Name)
	}
	return consent.App{}, fmt.Errorf("%w %q; there are: %s", admin.ErrNoSource, source, strings.Join(names, ", "))
}

func (d *Daemon) consentApp(ctx context.Context, cfg *config.Config, index int) (consent.App, error) {
	state, err := d.store.Source(ctx, cfg.Sources[index].Name)
	if err != nil {
		return consent.App{}, fmt.Errorf("reading the consent of source %s: %w", cfg.Sources[index].Name, err)
	}
	return consentApp(cfg, index, state.Consent.TenantID, d.adminURL(cfg), d.opts.Version)
}

// AdminURL is where a browser finds the administrator's listener.
func (d *Daemon) AdminURL() string { return d.adminURL(d.gen.Load().cfg) }

// adminURL is AdminURL of a configuration, with the real port where the file has
// port 0.
func (d *Daemon) adminURL(cfg *config.Config) string {
	u, err := url.Parse(cfg.Admin.PublicURL)
	if err != nil || u.Port() != "0" {
		return cfg.Admin.PublicURL
	}
	_, port, err := net.SplitHostPort(d.adminListener.Addr().String())
	if err != nil {
		return cfg.Admin.PublicURL
	}
	u.Host = net.JoinHostPort(u.Hostname(), port)
	return u.String()
}

// Test tests the credential of a source that is in the file.
func (d *Daemon) Test(ctx context.Context, source string) (*consent.Report, error) {
	app, err := d.ConsentApp(ctx, source)
	if err != nil {
		return nil, err
	}
	return consent.Check(ctx, app), nil
}

// saveConsent keeps a consent that was tested and has the source start, or take
// up what it was granted.
func (d *Daemon) saveConsent(ctx context.Context, source string, grant consent.Grant) error {
	err := d.store.SetConsent(ctx, source, store.Consent{TenantID: grant.TenantID, At: grant.At, By: grant.By})
	if err != nil {
		return err
	}
	d.log.Info("consent is kept", "source", source, "tenant", grant.TenantID, "by", grant.By)
	return d.takeUp(ctx, source)
}

// takeUp has a source start, or use what it was granted since.
func (d *Daemon) takeUp(ctx context.Context, source string) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if d.stopped {
		return nil // it starts with the daemon
	}
	if s := d.sources[source]; s != nil && s.client != nil {
		s.client.ForgetToken() // the one in use has the roles from before
	}
	if err := d.load(ctx, d.gen.Load().cfg); err != nil {
		return fmt.Errorf("starting the source: %w", err)
	}
	if s := d.sources[source]; s != nil && s.mirror != nil && s.running() && s.mirror.Status().Failures > 0 {
		s.refreshSoon()
	}
	return nil
}

// refreshSoon does a round without anybody waiting for it.
func (s *source) refreshSoon() {
	go func() {
		// The status tells how it ended.
		_ = s.order(context.Background(), func(ctx context.Context) error {
			_, err := s.mirror.Refresh(ctx, mirror.Options{})
			return err
		})
	}()
}
