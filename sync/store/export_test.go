package store

import (
	"context"
	"database/sql"
	"strings"
)

// SetStageLimit sets how many bytes of changes a round keeps in memory, and has
// it remember hardly any id that it looked up.
func (s *DB) SetStageLimit(bytes int) { s.stageLimit, s.knownLimit = bytes, 3 }

// SetFailpoint sets what is called before each step of a write.
func (s *DB) SetFailpoint(fail func(step string) error) { s.failpoint = fail }

// OpenWith opens with further pragmas on the connections that write.
func OpenWith(ctx context.Context, opts Options, pragmas ...string) (*DB, error) {
	return open(ctx, opts, pragmas...)
}

// Version is the version of a database that Open made.
func Version() int { return len(migrations) }

// Prepare does to the database at path what Open does, with other migrations
// in place of ours or after them.
func Prepare(ctx context.Context, opts Options, after bool, steps ...string) error {
	db, err := sql.Open("sqlite", opts.Path)
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if after {
		steps = append(append([]string(nil), migrations...), steps...)
	}
	return prepareFile(ctx, conn, opts, steps)
}

// Plans gives SQLite's plans for the queries whose cost must not be that of
// the source.
func (s *DB) Plans(ctx context.Context) (map[string]string, error) {
	// A connection looks whether the schema is as it was when it reads, not when
	// it explains.
	if _, err := s.Sources(ctx); err != nil {
		return nil, err
	}
	plans := make(map[string]string)
	for name, query := range map[string]string{
		"changed objects": queryChangedObjects, "changed edges": queryChangedEdges,
		"members": queryMembers, "memberships": queryMemberOf, "prune": pruneEdges,
	} {
		args := make([]any, strings.Count(query, "?"))
		for i := range args {
			args[i] = 0
		}
		rows, err := s.reads.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				return nil, err
			}
			plans[name] += detail + "\n"
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	return plans, nil
}
