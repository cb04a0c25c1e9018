package mirror

import (
	"fmt"

	"scimbridge/sync/store"
)

// A manager is named for as long as he is served, inactive or not: who looks for
// him finds him. So what is served of a report depends on somebody else, who may
// come to be served, or go, in any round and for any reason: removed, out of the
// scope, kept for long enough, back again. Whether the tenant tells of his reports
// then is not documented, and does not matter. They are found by the picture,
// which keeps who reports to whom, named or not (directory/manager.go).

// manage renders again, now that all are in the draft who will be, whoever names a
// manager who is not, or does not name one who is.
func (r *renderer) manage() error {
	for _, id := range r.draft.Misled() {
		obj, found, err := r.store.Object(r.ctx, r.m.cfg.Name, store.User, id)
		if err != nil {
			return fmt.Errorf("reading whose manager came or went: %w", err)
		}
		if !found {
			continue // damage: she stays as she is, as all do of whom nothing is known
		}
		if err := r.managed(obj); err != nil {
			return err
		}
	}
	return nil
}

// managed renders a user again who is in the draft, or stays in it as she is.
func (r *renderer) managed(obj store.Object) error {
	j := job{obj: obj}
	if r.current != nil {
		j.before, j.known = r.current.ByID(obj.ID)
	}
	if r.draft.Keeps(obj.ID) {
		j.fate = toKeep
	}
	if r.mapUnder(&j, r.draft.Serves); j.err != nil {
		return r.unfit(&j.obj, j.err)
	}
	return r.replace(&j.obj, j.rec)
}
