package daemon

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scimbridge/cmd/internal/admin"
	"scimbridge/scim"
	"scimbridge/scim/directory"
	"scimbridge/sync/graph"
	"scimbridge/sync/mirror"
)

// Ready says why the endpoint cannot serve everybody yet, or nil.
func (d *Daemon) Ready() error {
	for _, s := range d.gen.Load().sources {
		if s.state == stateConsent {
			return fmt.Errorf("source %s waits for the administrator's consent", s.name)
		}
	}
	if _, err := d.view(); err != nil {
		return err
	}
	if err := d.complete(nil); err != nil {
		return err
	}
	for _, s := range d.gen.Load().sources {
		if s.mirror != nil && s.picture.Current() == nil {
			return fmt.Errorf("source %s has not been imported yet", s.name)
		}
	}
	d.noteOpened(d.ctx)
	return nil
}

// AdminToken is the SHA-256 of the token that the administrator's listener
// asks for, and false where it asks for none.
func (d *Daemon) AdminToken() ([sha256.Size]byte, bool) {
	f := d.gen.Load().cfg.Admin.TokenFile
	return f.SHA256.Sum(), !f.IsZero()
}

// Status tells how everything is.
func (d *Daemon) Status() admin.Status {
	gen := d.gen.Load()
	st := admin.Status{
		Version: d.opts.Version, Started: d.started, ConfigFile: d.opts.ConfigFile,
		PublicURL: d.publicURL(gen.cfg), Now: time.Now(),
	}
	d.reloads.show(&st)
	if err := d.Ready(); err != nil {
		st.NotReady = err.Error()
	}
	st.Sources = d.sourceStatus(true)
	for _, c := range d.sessions.Status() {
		if gen.knows(c.Client) != nil {
			continue // it is no longer in the file
		}
		client := clientStatus(c)
		client.Held = gen.heldSources(c.Client)
		st.Clients = append(st.Clients, client)
	}
	for _, i := range d.issuers.Status() {
		st.Issuers = append(st.Issuers, admin.IssuerStatus{Issuer: i.Issuer, Keys: i.Keys, Fetched: i.Fetched, Error: i.Error})
	}
	st.DuplicateNames = d.names.of(d.library.View())
	st.Endpoint = d.endpoint.status()
	st.Credentials = d.credentials()
	return st
}

func clientStatus(c scim.ClientStatus) admin.ClientStatus {
	st := admin.ClientStatus{
		Name: c.Client, Requests: c.Requests, Failures: c.Failures, LastRequest: c.LastRequest, Agent: c.Agent,
	}
	for _, w := range slices.Backward(c.Walks) {
		i := admin.Import{
			Endpoint: w.Endpoint, Kind: w.Kind(), ByCursor: w.Cursor, Filtered: w.Filtered, Started: w.Started, LastRequest: w.LastRequest,
			Pages: w.Pages, Resources: w.Resources, Total: w.Total, State: admin.UnderWay, View: w.View, Agent: w.Agent,
			DeltaReads: w.DeltaReads, DeltaResources: w.DeltaResources, LastDelta: w.LastDelta,
		}
		switch {
		case w.Done:
			i.State = admin.Finished
		case w.BrokenOff:
			i.State = admin.BrokenOff
		}
		st.Imports = append(st.Imports, i)
	}
	return st
}

func (e *endpoint) status() admin.EndpointStatus {
	st := admin.EndpointStatus{
		InFlight: e.inFlight.Load(), AuthFailures: e.guess.total.Load(), Overloaded: e.busy.Load(),
		Latency: admin.Histogram{Within: make(map[float64]uint64)},
	}
	st.Connections, st.Dropped, st.Stalled = e.conns.count()
	e.counts.mu.Lock()
	defer e.counts.mu.Unlock()
	st.Responses = maps.Clone(e.counts.byCode)
	st.Latency.Count, st.Latency.Sum = e.counts.count, e.counts.seconds
	for i, limit := range latencies {
		st.Latency.Within[limit] = e.counts.within[i]
	}
	return st
}

// sourceStatus tells how the sources are. looked tells that somebody looks at it.
func (d *Daemon) sourceStatus(looked bool) (all []admin.SourceStatus) {
	sources, everyShared := d.gen.Load().sources, d.library.View().Shared()
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		_, settling := d.consent.Verifying(name)
		st := sources[name].status(settling, looked)
		for _, shared := range everyShared {
			if shared.Source == name {
				st.Shared = append(st.Shared, admin.SharedIDs{ShownOf: shared.By, Users: shared.Counts[directory.User], Groups: shared.Counts[directory.Group]})
			}
		}
		all = append(all, st)
	}
	return all
}

// status gives the status of a source. settling tells that a consent of it is
// being verified.
func (s *source) status(settling, looked bool) admin.SourceStatus {
	st := admin.SourceStatus{Name: s.name, State: s.state}
	if cur := s.picture.Current(); cur != nil {
		st.Users, st.ActiveUsers, st.Groups = cur.Len(directory.User), cur.Active(directory.User), cur.Len(directory.Group)
		st.Generation, st.Published = cur.Generation(), cur.Published()
	}
	if s.state == stateLeft && st.Generation == 0 {
		st.Error = "it is no longer in the configuration, and its last picture can't be read, so clients that see it are refused: " + leftLost(s.name)
	} else if s.state == stateLeft {
		st.Error = "it is no longer in the configuration, and what is served of it stays as it was; see whom with: scim-bridge held --source " +
			s.name + "; drop it with: scim-bridge approve --source " + s.name
	}
	if s.state == stateConsent {
		st.Error = "its tenant is not known yet: " + s.consentWords()
		if settling {
			st.State, st.Error = stateVerifying, "consent is given; the credential is being tested"
		}
	}
	st.ConsentURL = s.ask
	if s.mirror == nil {
		return st
	}
	m := s.mirror.Status()
	st.State, st.Error = s.lifecycle(&m, settling)
	s.progress(&st, &m, looked)
	st.Next, st.LastSuccess, st.FailedSince, st.Failures = m.Next, m.LastSuccess, m.FailedSince, m.Failures
	if st.LastSuccess.IsZero() {
		st.LastSuccess = s.succeeded
	}
	st.Frozen, st.RoundStarted, st.LastElapsed, st.Drift = m.Frozen, m.RoundStarted, m.Last.Elapsed, m.Drift
	st.HiddenGroups, st.HiddenNames = m.Hidden.Total, m.Hidden.Names
	st.Broken, st.Problems = m.Last.Broken, m.Last.Problems
	for _, p := range m.Rules {
		st.Mapping = append(st.Mapping, admin.MappingProblem{
			Type: p.Type.String(), Attribute: p.Path, Count: p.Count, Kept: p.Kept, Example: p.Example, Reason: p.Reason,
		})
	}
	st.LeftOutUsers, st.LeftOutGroups, st.LeftOutAt = m.LeftOut.Users, m.LeftOut.Groups, m.LeftOut.At
	st.LostGroups = m.LeftOut.Lost
	if u := m.Unread; u.Filter != "" {
		st.Filtered = &admin.Filtered{Filter: u.Filter, Unread: u.Users, Total: u.Total, At: u.At}
	}
	if m.Last.Aside != nil {
		st.Aside = m.Last.Aside.Error()
	}
	st.Rounds = make(map[string]uint64, len(m.Rounds))
	for outcome, n := range m.Rounds {
		st.Rounds[string(outcome)] = n
	}
	if len(s.lacking) > 0 {
		st.Waiting = s.lackingWords()
	}
	// A round may be at it for minutes before it fails.
	if trouble := s.client.Status().Trouble; trouble != "" {
		st.Error = "trying again: " + trouble
	}
	if m.Held != nil {
		st.HeldRound, st.HeldSince, st.Held = m.Held.Round, m.Held.Since, m.HeldVerdict().Summary()
	}
	st.Graph = graphStatus(s.client.Status())
	return st
}

func graphStatus(g graph.Status) *admin.GraphStatus {
	return &admin.GraphStatus{
		Requests: map[string]uint64{
			"2xx": g.OK, "3xx": g.Redirected, "4xx": g.Refused, "429": g.Throttled, "5xx": g.Failed, "none": g.NoAnswer,
		},
		Retries: g.Retries, Throttled: g.ThrottledTime, Pages: g.Pages, Bytes: g.Bytes, Units: g.ResourceUnits,
		Clock: g.ClockOffset, LastError: g.LastError,
	}
}

// summary is the line that systemctl status shows.
func (d *Daemon) summary() string {
	var parts []string
	for _, s := range d.sourceStatus(false) {
		part := fmt.Sprintf("%s: %s, %d users, %d groups", s.Name, s.State, s.Users, s.Groups)
		if !s.LastSuccess.IsZero() {
			part += fmt.Sprintf(", %s ago", time.Since(s.LastSuccess).Round(time.Second))
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}

// pulled gives a source that has a mirror.
func (d *Daemon) pulled(name string) (*source, error) {
	sources := d.gen.Load().sources
	s := sources[name]
	switch {
	case s == nil:
		return nil, fmt.Errorf("%w %q; there are: %s", admin.ErrNoSource, name, strings.Join(slices.Sorted(maps.Keys(sources)), ", "))
	case s.mirror == nil:
		return nil, fmt.Errorf("source %s is not pulled: %s", name, s.state)
	}
	return s, nil
}

// order has a source's mirror do something on behalf of a person.
func (d *Daemon) order(ctx context.Context, name string, do func(context.Context, *mirror.Mirror) (mirror.Report, error)) (admin.Round, error) {
	s, err := d.pulled(name)
	if err != nil {
		return admin.Round{}, err
	}
	var report mirror.Report
	err = s.order(ctx, func(ctx context.Context) (err error) {
		report, err = do(ctx, s.mirror)
		return err
	})
	return round(report), err
}

// Sync does a round of a source now.
func (d *Daemon) Sync(ctx context.Context, name string, full bool) (admin.Round, error) {
	return d.order(ctx, name, func(ctx context.Context, m *mirror.Mirror) (mirror.Report, error) {
		return m.Refresh(ctx, mirror.Options{Full: full})
	})
}

// Approve lets a held round through. For a source that is no longer in the
// file it drops what is served of it.
func (d *Daemon) Approve(ctx context.Context, name string, number uint64, by string) (admin.Round, error) {
	if s := d.gen.Load().sources[name]; s != nil && s.state == stateLeft {
		if number != 0 {
			return admin.Round{}, fmt.Errorf("round %d of source %s is not held: it is no longer in the configuration; leave the number out to drop what is served of it", number, name)
		}
		return admin.Round{Outcome: "dropped"}, d.drop(ctx, name, by)
	}
	return d.order(ctx, name, func(ctx context.Context, m *mirror.Mirror) (mirror.Report, error) {
		return m.Approve(ctx, number, by)
	})
}

// drop forgets a source that is no longer in the file.
func (d *Daemon) drop(ctx context.Context, name, by string) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	s := d.sources[name]
	if s == nil || s.state != stateLeft {
		return fmt.Errorf("source %s is in the file again; nothing was dropped", name)
	}
	d.log.Warn("source is dropped", "source", name, "by", by)
	d.shown.mu.Lock()
	defer d.shown.mu.Unlock()
	gen := *d.gen.Load()
	gen.sources = maps.Clone(gen.sources)
	delete(gen.sources, name)
	if err := d.present(&gen); err != nil {
		return err
	}
	d.shown.forgetSource(name)
	d.sources = gen.sources
	d.gen.Store(&gen)
	d.library.SetPictures(pictures(gen.cfg, gen.sources))
	if err := d.store.DropSource(ctx, name); err != nil {
		return fmt.Errorf("forgetting the source: %w", err)
	}
	if err := s.picture.Close(); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(picturesDir(gen.cfg), name))
}

// Freeze keeps serving a source's picture until Unfreeze.
func (d *Daemon) Freeze(ctx context.Context, name, by string) error {
	_, err := d.order(ctx, name, func(ctx context.Context, m *mirror.Mirror) (mirror.Report, error) {
		return mirror.Report{}, m.Freeze(ctx, by)
	})
	return err
}

// Unfreeze ends a freeze.
func (d *Daemon) Unfreeze(ctx context.Context, name, by string) (admin.Round, error) {
	return d.order(ctx, name, func(ctx context.Context, m *mirror.Mirror) (mirror.Report, error) {
		return m.Unfreeze(ctx, by)
	})
}

func round(r mirror.Report) admin.Round {
	out := admin.Round{
		Round: r.Round, Outcome: string(r.Outcome), Full: r.Full(), Pages: r.Pages,
		Started: r.Started, Elapsed: r.Elapsed, Why: r.Verdict.Summary(),
	}
	if r.Changes != nil {
		out.Users, out.Groups = &r.Changes[directory.User], &r.Changes[directory.Group]
	}
	if r.Err != nil {
		out.Error = r.Err.Error()
	}
	return out
}
