package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"

	"scimbridge/cmd/internal/config"
	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
	"scimbridge/sync/graph"
	"scimbridge/sync/mirror"
)

// A source is a tenant as it is served: its picture, and where it is pulled,
// its mirror.
type source struct {
	name    string
	cfg     config.Source // zero for one that is no longer in the file
	mapping string        // fingerprint of its mapping
	picture *directory.Picture
	client  *graph.Client  // nil where nothing is pulled
	mirror  *mirror.Mirror // likewise
	state   string         // why nothing is pulled, in the words of the status

	// imported tells that the source has been served before.
	imported bool

	cancel context.CancelFunc
	done   chan struct{}
}

// The states of a source without a mirror.
const (
	stateDisabled = "disabled"
	stateConsent  = "waiting for consent"
	stateLeft     = "no longer in the file"
)

// start has the mirror run, unless it does already.
func (s *source) start(ctx context.Context) {
	if s.mirror == nil || s.done != nil {
		return
	}
	ctx, s.cancel = context.WithCancel(ctx)
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		s.mirror.Run(ctx)
	}()
}

// stop ends the mirror's round and waits for it.
func (s *source) stop() {
	if s.done != nil {
		s.cancel()
		<-s.done
		s.done = nil
	}
}

// picturesDir is where the pictures lie, each in a directory of its source's
// name.
func picturesDir(cfg *config.Config) string {
	return filepath.Join(string(cfg.State.Directory), "pictures")
}

// buildSources makes the sources of a configuration. One that did not change
// stays the one that runs. A source that is no longer in the file goes on being
// served as it is, or everybody in it would be deprovisioned for an edit: to
// drop it is a decision of its own.
func (d *Daemon) buildSources(ctx context.Context, cfg *config.Config, mapper *mapping.Mapper, publicURL string) (map[string]*source, error) {
	next := make(map[string]*source)
	for i := range cfg.Sources {
		sc := cfg.Sources[i]
		s, err := d.buildSource(ctx, cfg, i, mapper, publicURL)
		if err != nil {
			return nil, err
		}
		next[sc.Name] = s
	}
	if err := d.leftSources(cfg, next, publicURL); err != nil {
		return nil, err
	}
	return next, nil
}

// leftSources adds the sources that are no longer in the file.
func (d *Daemon) leftSources(cfg *config.Config, next map[string]*source, publicURL string) error {
	left, err := os.ReadDir(picturesDir(cfg))
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("looking for pictures: %w", err)
	}
	for _, dir := range left {
		if next[dir.Name()] != nil || !dir.IsDir() {
			continue
		}
		p, err := d.openPicture(cfg, dir.Name(), publicURL)
		if err != nil {
			return err
		}
		if p.Current() == nil {
			continue
		}
		d.log.Warn("source is no longer in the configuration; its last picture stays served", "source", dir.Name(),
			"mend", "put it back, or drop it with: scim-bridge approve --source "+dir.Name())
		next[dir.Name()] = &source{name: dir.Name(), picture: p, state: stateLeft, imported: true}
	}
	return nil
}

func (d *Daemon) openPicture(cfg *config.Config, name, publicURL string) (*directory.Picture, error) {
	if old := d.sources[name]; old != nil && d.gen.Load() != nil {
		was := d.gen.Load().cfg
		if d.publicURL(was) == publicURL && was.State.KeepGenerations == cfg.State.KeepGenerations {
			return old.picture, nil
		}
		old.stop()
	}
	p, err := directory.Open(directory.Options{
		Dir: filepath.Join(picturesDir(cfg), name), Source: name, BaseURL: publicURL,
		Keep: cfg.State.KeepGenerations, Log: d.log,
	})
	if err != nil {
		return nil, fmt.Errorf("opening the picture of source %s: %w", name, err)
	}
	return p, nil
}

func (d *Daemon) buildSource(ctx context.Context, cfg *config.Config, index int, mapper *mapping.Mapper, publicURL string) (*source, error) {
	sc := cfg.Sources[index]
	old := d.sources[sc.Name]
	if old != nil && reflect.DeepEqual(old.cfg, withoutLines(sc)) && old.mapping == mapper.Fingerprint() && old.state != stateConsent {
		return old, nil
	}
	state, err := d.store.Source(ctx, sc.Name)
	if err != nil {
		return nil, fmt.Errorf("reading the state of source %s: %w", sc.Name, err)
	}
	s := &source{name: sc.Name, cfg: withoutLines(sc), mapping: mapper.Fingerprint(), imported: state.Round > 0}
	tenant := sc.TenantID
	if tenant == "" {
		tenant = state.Consent.TenantID
	}
	switch {
	case !sc.Enabled:
		s.state = stateDisabled
	case tenant == "":
		s.state = stateConsent
	default:
		if s.client, err = d.graphClient(cfg, index, tenant, mapper); err != nil {
			return nil, err
		}
	}
	if s.picture, err = d.openPicture(cfg, sc.Name, publicURL); err != nil {
		return nil, err
	}
	if s.client != nil {
		s.mirror = mirror.New(mirrorConfig(sc, tenant, s, mapper, d))
	}
	return s, nil
}

// withoutLines drops the places in the file, which are not worth a restart of
// the mirror.
func withoutLines(sc config.Source) config.Source {
	sc.Line = 0
	asserts := make([]config.Assertion, len(sc.Assert))
	for i, a := range sc.Assert {
		a.Line = 0
		asserts[i] = a
	}
	sc.Assert = asserts
	return sc
}

func (d *Daemon) graphClient(cfg *config.Config, index int, tenant string, mapper *mapping.Mapper) (*graph.Client, error) {
	sc, path := cfg.Sources[index], fmt.Sprintf("sources[%d]", index)
	credential, err := credential(sc)
	if err != nil {
		return nil, cfg.Fault(path, err.Error(), "mend the credential")
	}
	users, groups := mapper.Select()
	client, err := graph.New(graph.Config{
		GraphURL: sc.GraphURL, LoginURL: sc.LoginURL, TenantID: tenant, ClientID: sc.ClientID, Credential: credential,
		Select: map[graph.Kind][]string{graph.Users: users, graph.Groups: groups},
		Log:    d.log.With("source", sc.Name), Version: d.opts.Version,
	})
	if err != nil {
		return nil, cfg.Fault(path, err.Error(), "mend the setting")
	}
	return client, nil
}

func credential(sc config.Source) (graph.Credential, error) {
	switch {
	case !sc.CertificateFile.IsZero():
		return graph.NewCertificate(sc.CertificateFile.Data, []byte(sc.PrivateKeyFile.Secret.Reveal()))
	case sc.FederatedTokenFile != "":
		return graph.FederatedToken(sc.FederatedTokenFile), nil
	case sc.ManagedIdentity != nil:
		return nil, fmt.Errorf("managed_identity is not available in this version")
	}
	return graph.ClientSecret(sc.ClientSecretFile.Secret.Reveal()), nil
}

func mirrorConfig(sc config.Source, tenant string, s *source, mapper *mapping.Mapper, d *Daemon) mirror.Config {
	return mirror.Config{
		Name: sc.Name, Tenant: tenant, Graph: s.client, Store: d.store, Picture: s.picture, Mapper: mapper,
		Interval: sc.Interval, FullEvery: sc.FullEvery,
		Scope: mirror.Scope{
			Groups: sc.Groups.Enabled, Guests: sc.Users.Guests, Disabled: sc.Users.Disabled, KeepRemoved: sc.Users.KeepRemoved,
		},
		Guard:      mirror.Guard{MaxRemoved: limit(sc.Safeguard.MaxRemoved), Floor: sc.Safeguard.Floor},
		Assertions: assertions(sc.Assert), Log: d.log,
	}
}

func limit(l config.Limit) mirror.Limit {
	return mirror.Limit{Count: l.Count, Percent: l.Percent, IsPercent: l.Relative}
}

func assertions(all []config.Assertion) []mirror.Assertion {
	var as []mirror.Assertion
	for _, a := range all {
		m := mirror.Assertion{MustExist: a.MustExist, Group: a.Group, Users: span(a.Users), Groups: span(a.Groups), Members: span(a.Members)}
		if a.MaxRemoved != nil {
			l := limit(*a.MaxRemoved)
			m.MaxRemoved = &l
		}
		as = append(as, m)
	}
	return as
}

func span(r *config.Range) *mirror.Range {
	if r == nil {
		return nil
	}
	return &mirror.Range{Min: r.Min, Max: r.Max}
}
