package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// clonePrefix begins the names of the directories that clones live in.
const clonePrefix = "clone-"

// Clone implements [Store]. The copy lies in a directory beside the database,
// where there is room for a database of this size if anywhere.
func (s *DB) Clone(ctx context.Context) (_ Store, err error) {
	dir, err := os.MkdirTemp(filepath.Dir(s.opts.Path), clonePrefix)
	if err != nil {
		return nil, fmt.Errorf("copying the state: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	opts := Options{Path: filepath.Join(dir, filepath.Base(s.opts.Path)), Program: s.opts.Program, Log: s.opts.Log}
	if err := s.copyTo(ctx, opts.Path); err != nil {
		return nil, s.wrap("copying the state", err)
	}
	db, err := Open(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("copying the state: %w", err)
	}
	return &clone{DB: db, dir: dir}, nil
}

// copyTo writes the database as it is into another file. SQLite takes this for
// writing, though it only reads here.
func (s *DB) copyTo(ctx context.Context, path string) error {
	db, err := s.connect("rw", readCache)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", path)
	return errors.Join(err, db.Close())
}

// A clone is a store that lives as long as it is open.
type clone struct {
	*DB
	dir string
}

// Close implements [Store].
func (c *clone) Close() error { return errors.Join(c.DB.Close(), os.RemoveAll(c.dir)) }

// removeClones removes what a crash left of clones.
func (s *DB) removeClones() error {
	left, err := filepath.Glob(filepath.Join(filepath.Dir(s.opts.Path), clonePrefix+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}
