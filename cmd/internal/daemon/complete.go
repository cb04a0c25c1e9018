package daemon

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// complete says why a client that sees the given sources, nil meaning all, must
// not read the view as it is: it lacks a source's people, whom the client may
// know and would take for gone.
//
// That is so of a source that has been served before and whose picture was lost,
// in the file or not.
// And it is so of every source of a state that has never had all of them: it may
// have taken the place of a state that was lost with its disk, and of two tenants
// the quicker one must not be served as if it were both. Once everybody has been
// there, a source without a picture is one that was added later, whom no client
// has ever seen.
func (d *Daemon) complete(sources []string) error {
	all := d.gen.Load().sources
	lacking := false
	for _, s := range all {
		lacking = lacking || s.picture.Current() == nil
	}
	if !lacking { // as it mostly is, and each request asks
		return nil
	}
	if sources == nil {
		sources = slices.Sorted(maps.Keys(all))
	}
	for _, name := range sources {
		s := all[name]
		switch {
		case s == nil || s.picture.Current() != nil:
		case s.state == stateLeft:
			return fmt.Errorf("source %s is %s, and its last picture can't be read: %s", name, stateLeft, leftLost(name))
		case s.imported:
			return fmt.Errorf("the picture of source %s was lost and is being made again", name)
		case s.cfg.Enabled && !d.opened.Load():
			return fmt.Errorf("source %s has not been imported yet, and nothing is served before all sources are", name)
		}
	}
	return nil
}

// noteOpened notes, once, that every source is served. It is called whenever
// somebody asks how the daemon is, and before a configuration is taken that may
// add a source.
func (d *Daemon) noteOpened(ctx context.Context) {
	if d.opened.Load() {
		return
	}
	gen := d.gen.Load()
	if gen == nil {
		return
	}
	for _, s := range gen.sources {
		if s.cfg.Enabled && s.picture.Current() == nil {
			return
		}
	}
	if err := d.store.SetOpened(ctx); err != nil {
		d.log.Error("it was not noted that every source is served; until it is, a restart serves nothing before all are", "err", err)
		return
	}
	d.opened.Store(true)
	d.log.Info("every source is served")
}
