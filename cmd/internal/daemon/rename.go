package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"scimbridge/cmd/internal/config"
	"scimbridge/cmd/internal/words"
	"scimbridge/scim/directory"
	"scimbridge/sync/graph"
	"scimbridge/sync/mirror"
	"scimbridge/sync/store"
)

// A source that gets another name in the file is, to who compares names, one that
// left and one that came. Served side by side both would give everybody twice, and
// one in the place of the other would have everybody gone until the first import is
// done. So a source without a past takes over that of the source which left the file
// and has the same tenant: what is stored of it, its picture, held rounds and
// history, and who was shown it.
//
// A tenant has several names: its id, and each of its domains. Where the file has
// another one than before, the source is known again by the id in its first token,
// before anything is read by it.

// A renaming is a source that has another name now.
type renaming struct{ from, to string }

// findRenamed finds the sources that were renamed: new name to old.
func (b *build) findRenamed(ctx context.Context) error {
	b.formerly = make(map[string]string)
	all, err := b.d.store.Sources(ctx)
	if err != nil {
		return fmt.Errorf("reading the state of the sources: %w", err)
	}
	states := make(map[string]store.Source, len(all))
	left := make(map[string]tenancy)
	for _, state := range all {
		states[state.Name] = state
		if tenant, read := mirror.TenantOf(state); read && state.Round > 0 {
			left[state.Name] = tenancy{tenant, state.Tenant}
		}
	}
	for i := range b.cfg.Sources {
		delete(left, b.cfg.Sources[i].Name)
	}
	for i, sc := range b.cfg.Sources {
		state := states[sc.Name]
		tenant := cmp.Or(sc.TenantID, state.Consent.TenantID)
		if state.Round > 0 || tenant == "" && sc.ManagedIdentity == nil {
			continue
		}
		is := tenancy{written: tenant}
		if old := b.d.sources[sc.Name]; old != nil && old.tenant == tenant && sameLogin(old.cfg, sc) {
			is.id = old.identity()
		}
		var olds []string
		for name, of := range left {
			if of.same(is) {
				olds = append(olds, name)
			}
		}
		slices.Sort(olds)
		switch len(olds) {
		case 0:
		case 1:
			b.formerly[sc.Name] = olds[0]
			delete(left, olds[0])
		default:
			return b.cfg.Fault(fmt.Sprintf("sources[%d].name", i),
				fmt.Sprintf("%s that left the file have its tenant and are still served (%s), and it is not known which of them it is now", words.Count(len(olds), "source"), strings.Join(olds, ", ")),
				"give it the name of one of them, and drop the others with: scim-bridge approve --source NAME")
		}
	}
	return nil
}

// A tenancy is what is known of whose people a source has.
type tenancy struct {
	written string // in the file: an id or a domain; empty: a managed identity brings it
	id      string // in its tokens; empty: not known
}

// same says whether two are of one tenant, as far as it is known.
func (t tenancy) same(as tenancy) bool {
	switch {
	case t.id != "" && as.id != "":
		return t.id == as.id
	case t.id != "" && strings.EqualFold(t.id, as.written), as.id != "" && strings.EqualFold(as.id, t.written):
		return true
	}
	return strings.EqualFold(t.written, as.written)
}

// identify gives the id of the tenant that a source's credential is for. A source
// that is about to be read for the first time, and turns out to be one that left
// the file under another name, is made anew as that one, and not read.
func (d *Daemon) identify(ctx context.Context, s *source) (tenant string, err error) {
	claims, err := s.client.Claims(ctx)
	if err != nil && !errors.Is(err, graph.ErrOpaque) {
		return "", err
	}
	tenant = strings.ToLower(claims.TenantID)
	s.id.Store(&tenant)
	state, err := d.store.Source(ctx, s.name)
	if err != nil || state.Round > 0 || tenant == "" {
		return tenant, err
	}
	all, err := d.store.Sources(ctx)
	if err != nil {
		return "", err
	}
	cfg := d.gen.Load().cfg
	for _, other := range all {
		inFile := slices.ContainsFunc(cfg.Sources, func(sc config.Source) bool { return sc.Name == other.Name })
		if inFile || other.Round == 0 || other.Tenant != tenant {
			continue
		}
		done := make(chan error, 1)
		go func() { done <- d.loadAgain() }() // it stops the source, and so waits for its round
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case err := <-done:
			return "", fmt.Errorf("its tenant is that of source %s, which left the file and is still served: %w", other.Name, cmp.Or(err, errors.New("try again")))
		}
	}
	return tenant, nil
}

// loadAgain takes the configuration in force once more, for what is known since.
func (d *Daemon) loadAgain() error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if d.stopped {
		return errRetired
	}
	return d.load(d.ctx, d.gen.Load().cfg)
}

// state gives what is stored of a source, or will be once it is renamed.
func (b *build) state(ctx context.Context, name string) (store.Source, error) {
	state, err := b.d.store.Source(ctx, name)
	if from := b.formerly[name]; err == nil && from != "" {
		consent := state.Consent
		if state, err = b.d.store.Source(ctx, from); !consent.At.IsZero() {
			state.Consent = consent
		}
		state.Formerly = from
	}
	if err != nil {
		return store.Source{}, fmt.Errorf("reading the state of source %s: %w", name, err)
	}
	return state, nil
}

// rename carries the renamings out: in the state first, then the pictures. Those
// that a crash came in between of are finished. d.shown.mu is held.
func (b *build) rename(ctx context.Context) error {
	for i := range b.cfg.Sources {
		to := b.cfg.Sources[i].Name
		from, renamed := b.formerly[to]
		if renamed {
			b.stop(from)
			b.stop(to)
			if err := b.d.store.RenameSource(ctx, from, to); err != nil {
				return err
			}
			b.renamed = append(b.renamed, renaming{from, to})
			b.d.shown.rename(from, to)
		} else if from = b.next[to].formerly; from == "" || b.next[to].picture != nil || b.next[from] != nil {
			continue
		} else if other, err := b.d.store.Source(ctx, from); err != nil || other.Epoch != "" {
			if err != nil {
				return fmt.Errorf("reading the state of source %s: %w", from, err)
			}
			continue // another one has that name
		}
		if err := b.move(from, to); err != nil {
			return err
		}
	}
	return nil
}

// move gives a source the picture of its former name.
func (b *build) move(from, to string) error {
	dir := picturesDir(b.cfg)
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		return nil
	}
	return directory.Move(filepath.Join(dir, from), filepath.Join(dir, to))
}

// stop stops a source for this build, if it runs.
func (b *build) stop(name string) {
	if old := b.d.sources[name]; old != nil && old.running() {
		old.stop()
		b.stopped = append(b.stopped, old)
	}
}

// undoRenaming gives the sources their names of before.
func (b *build) undoRenaming() {
	for _, r := range slices.Backward(b.renamed) {
		err := b.d.store.RenameSource(context.WithoutCancel(b.d.ctx), r.to, r.from)
		if err == nil {
			b.d.shown.rename(r.to, r.from)
			err = b.move(r.to, r.from)
		}
		if err != nil {
			b.d.log.Error("source could not be given its name of before; restart the daemon", "source", r.from, "name", r.to, "err", err)
		}
	}
	b.renamed = nil
}

// rename has what was shown of a source under its new name. s.mu is held.
func (s *shown) rename(from, to string) {
	for _, sources := range s.known {
		if stored, ok := sources[from]; ok {
			sources[to] = stored
			delete(sources, from)
		}
	}
}
