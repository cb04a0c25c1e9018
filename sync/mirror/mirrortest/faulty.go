package mirrortest

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"scimbridge/sync/store"
)

// A faulty store fails, or has the machine fail, at the so-many-th operation.
type faulty struct {
	store.Store
	// left is how many operations go well; 0: nothing is armed.
	left int
	// done has the operation carried out and then reported to have failed.
	done bool
	// crash, where set, is called at the moment of the fault, before or after
	// the operation.
	crash func() error
	// between, where set, is called in its place, and nothing fails.
	between func()
	struck  bool // the fault has come
	dead    bool // after a crash: nothing works any more
}

// strike runs an operation, or makes it the one that fails.
func (f *faulty) strike(do func() error) error {
	if f.dead {
		return errFault
	}
	if f.left == 0 {
		return do()
	}
	if f.left--; f.left > 0 {
		return do()
	}
	f.struck = true
	if f.between != nil {
		f.between()
		return do()
	}
	if f.done {
		if err := do(); err != nil {
			return err
		}
	}
	if f.crash != nil {
		f.dead = true
		if err := f.crash(); err != nil {
			return err
		}
	}
	return errFault
}

func (f *faulty) Source(ctx context.Context, name string) (src store.Source, err error) {
	err = f.strike(func() error { src, err = f.Store.Source(ctx, name); return err })
	return src, err
}

func (f *faulty) SetTenant(ctx context.Context, source, tenant string) error {
	return f.strike(func() error { return f.Store.SetTenant(ctx, source, tenant) })
}

func (f *faulty) SetFrozen(ctx context.Context, source string, since time.Time) error {
	return f.strike(func() error { return f.Store.SetFrozen(ctx, source, since) })
}

func (f *faulty) SetHeld(ctx context.Context, source string, held *store.Held) error {
	return f.strike(func() error { return f.Store.SetHeld(ctx, source, held) })
}

func (f *faulty) SetApproved(ctx context.Context, source string, approval store.Approval) error {
	return f.strike(func() error { return f.Store.SetApproved(ctx, source, approval) })
}

func (f *faulty) AddRound(ctx context.Context, record store.RoundRecord) error {
	return f.strike(func() error { return f.Store.AddRound(ctx, record) })
}

func (f *faulty) Rounds(ctx context.Context, source string, limit int) (all []store.RoundRecord, err error) {
	err = f.strike(func() error { all, err = f.Store.Rounds(ctx, source, limit); return err })
	return all, err
}

func (f *faulty) Forget(ctx context.Context, source string, kind store.Kind, ids ...string) error {
	return f.strike(func() error { return f.Store.Forget(ctx, source, kind, ids...) })
}

func (f *faulty) Prune(ctx context.Context, source string, upTo uint64) error {
	return f.strike(func() error { return f.Store.Prune(ctx, source, upTo) })
}

func (f *faulty) Objects(ctx context.Context, source string, kind store.Kind, since uint64) iter.Seq2[store.Object, error] {
	return faultyStream(f, f.Store.Objects(ctx, source, kind, since))
}

func (f *faulty) Edges(ctx context.Context, source string, since uint64) iter.Seq2[store.Edge, error] {
	return faultyStream(f, f.Store.Edges(ctx, source, since))
}

func (f *faulty) Members(ctx context.Context, source, group string) iter.Seq2[store.Edge, error] {
	return faultyStream(f, f.Store.Members(ctx, source, group))
}

func (f *faulty) MemberOf(ctx context.Context, source, member string) iter.Seq2[store.Edge, error] {
	return faultyStream(f, f.Store.MemberOf(ctx, source, member))
}

// faultyStream is a stream of which each row is an operation.
func faultyStream[T any](f *faulty, rows iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for row, err := range rows {
			if fault := f.strike(func() error { return nil }); fault != nil {
				err = fault
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

func (f *faulty) Begin(ctx context.Context, source string) (tx store.Tx, err error) {
	err = f.strike(func() error { tx, err = f.Store.Begin(ctx, source); return err })
	if err != nil {
		if tx != nil {
			tx.Rollback() // begun, and reported not to be
		}
		return nil, err
	}
	return &faultyTx{tx, f}, nil
}

type faultyTx struct {
	store.Tx
	f *faulty
}

func (t *faultyTx) Put(kind store.Kind, id string, properties []byte) (changed bool, err error) {
	err = t.f.strike(func() error { changed, err = t.Tx.Put(kind, id, properties); return err })
	return changed, err
}

func (t *faultyTx) Remove(kind store.Kind, id string, removal store.Removal) (changed bool, err error) {
	err = t.f.strike(func() error { changed, err = t.Tx.Remove(kind, id, removal); return err })
	return changed, err
}

func (t *faultyTx) Join(group, member, memberType string) (changed bool, err error) {
	err = t.f.strike(func() error { changed, err = t.Tx.Join(group, member, memberType); return err })
	return changed, err
}

func (t *faultyTx) Leave(group, member string) (changed bool, err error) {
	err = t.f.strike(func() error { changed, err = t.Tx.Leave(group, member); return err })
	return changed, err
}

func (t *faultyTx) BeginFull(kind store.Kind) error {
	return t.f.strike(func() error { return t.Tx.BeginFull(kind) })
}

func (t *faultyTx) EndFull(kind store.Kind, removal store.Removal) (objects, edges int, err error) {
	err = t.f.strike(func() error { objects, edges, err = t.Tx.EndFull(kind, removal); return err })
	return objects, edges, err
}

func (t *faultyTx) SetCursor(kind store.Kind, cursor store.Cursor) error {
	return t.f.strike(func() error { return t.Tx.SetCursor(kind, cursor) })
}

func (t *faultyTx) Commit() error { return t.f.strike(t.Tx.Commit) }

// copyState copies the files as a process that is killed leaves them.
func copyState(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case strings.HasSuffix(rel, "-shm") || rel == "lock":
			return nil // of processes that run
		}
		return copyFile(path, filepath.Join(to, rel))
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return err
}
