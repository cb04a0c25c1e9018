package store

import (
	"context"
	"database/sql"
	"slices"
)

// exclusively runs do on a connection while no round of the source is open.
// An unknown source is left alone.
func (s *DB) exclusively(ctx context.Context, source string, do func(conn *sql.Conn, number int64) error) error {
	if s.writes == nil {
		return ErrReadOnly
	}
	if err := s.reserve(source); err != nil {
		return err
	}
	defer s.unreserve(source)
	return s.withConn(ctx, s.writes, func(conn *sql.Conn) error {
		number, _, err := loadSource(ctx, conn, source)
		if err != nil || number < 0 {
			return err
		}
		return do(conn, number)
	})
}

// Forget implements [Store]. It goes in batches, each a transaction, of which
// those before a failure stay done.
func (s *DB) Forget(ctx context.Context, source string, kind Kind, ids ...string) error {
	return s.wrap("forgetting objects", s.exclusively(ctx, source, func(conn *sql.Conn, number int64) error {
		code, err := kindCode(kind)
		if err != nil {
			return err
		}
		for part := range slices.Chunk(ids, batch) {
			if err := s.transact(ctx, conn, func(conn *sql.Conn) error {
				return forgetAll(ctx, conn, number, code, part)
			}); err != nil {
				return err
			}
		}
		return nil
	}))
}

func forgetAll(ctx context.Context, conn *sql.Conn, number, code int64, ids []string) error {
	refs := refSpan(number)
	for _, id := range ids {
		// An object that is removed, by its id and slot.
		found, err := queryInts(ctx, conn, `DELETE FROM objects WHERE removed_at IS NOT NULL AND slot =
			(SELECT ? + (ref & 0xffffffff) FROM ids WHERE id = ? AND ref BETWEEN ? AND ?) RETURNING slot & 0xffffffff`,
			kindSpan(number, code).first, encodeID(id), refs.first, refs.last)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			continue
		}
		if err := forgetEnds(ctx, conn, number, refs.first+found[0]); err != nil {
			return err
		}
	}
	return nil
}

// anyObject is whether an id, given by its ref, is an object of some kind.
const anyObject = `EXISTS (SELECT 1 FROM objects WHERE slot IN
	((?1 >> 32) << 36 | (?1 & 0xffffffff), ((?1 >> 32) << 4 | 1) << 32 | (?1 & 0xffffffff)))`

// forgetEnds drops the memberships of an id, unless it is an object still.
func forgetEnds(ctx context.Context, conn *sql.Conn, number, ref int64) error {
	var object bool
	if err := conn.QueryRowContext(ctx, "SELECT "+anyObject, ref).Scan(&object); err != nil || object {
		return err
	}
	others, err := queryInts(ctx, conn, "DELETE FROM edges WHERE grp = ? RETURNING member", ref)
	if err != nil {
		return err
	}
	groups, err := queryInts(ctx, conn, "DELETE FROM edges WHERE member = ? RETURNING grp", ref)
	if err != nil {
		return err
	}
	return dropOrphans(ctx, conn, slices.Concat([]int64{ref}, others, groups))
}

// dropOrphans drops the ids that are no object and no end of a membership.
func dropOrphans(ctx context.Context, conn *sql.Conn, refs []int64) error {
	for _, ref := range refs {
		if _, err := conn.ExecContext(ctx, "DELETE FROM ids WHERE ref = ?1 AND NOT "+anyObject+`
			AND NOT EXISTS (SELECT 1 FROM edges WHERE grp = ?1)
			AND NOT EXISTS (SELECT 1 FROM edges WHERE member = ?1)`, ref); err != nil {
			return err
		}
	}
	return nil
}

const pruneEdges = `DELETE FROM edges WHERE m IN
	(SELECT m FROM edges WHERE m >> 40 = ? AND ended = 1 AND round <= ? LIMIT ?)
	RETURNING grp, member`

// Prune implements [Store], in batches like Forget.
func (s *DB) Prune(ctx context.Context, source string, upTo uint64) error {
	return s.wrap("pruning memberships", s.exclusively(ctx, source, func(conn *sql.Conn, number int64) error {
		for more := true; more; {
			if err := s.transact(ctx, conn, func(conn *sql.Conn) error {
				refs, err := queryInts(ctx, conn, pruneEdges, number, upTo, batch)
				if err != nil {
					return err
				}
				more = len(refs) == 2*batch
				return dropOrphans(ctx, conn, refs)
			}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// queryInts gives the columns of all rows, one after the other.
func queryInts(ctx context.Context, conn *sql.Conn, text string, args ...any) (all []int64, err error) {
	rows, err := conn.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	row := make([]int64, len(columns))
	dest := make([]any, len(columns))
	for i := range row {
		dest[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		all = append(all, row...)
	}
	return all, rows.Err()
}

// DropSource implements [Store]. The source is unknown from the first
// transaction on; its rows go after that, and should this be cut short, when
// the state is opened again.
func (s *DB) DropSource(ctx context.Context, name string) error {
	return s.wrap("dropping the source", s.exclusively(ctx, name, func(conn *sql.Conn, number int64) error {
		if err := s.transact(ctx, conn, func(conn *sql.Conn) error {
			return s.step(ctx, conn, "drop", "UPDATE sources SET name = NULL, round = 0 WHERE number = ?", number)
		}); err != nil {
			return err
		}
		return s.sweepSource(ctx, conn, number)
	}))
}

// sweepDropped finishes what DropSource began before the program ended.
func (s *DB) sweepDropped(ctx context.Context) error {
	return s.withConn(ctx, s.writes, func(conn *sql.Conn) error {
		numbers, err := queryInts(ctx, conn, "SELECT number FROM sources WHERE name IS NULL")
		for _, number := range numbers {
			if err := s.sweepSource(ctx, conn, number); err != nil {
				return err
			}
		}
		return err
	})
}

// sweepSource deletes a dropped source, its row last.
func (s *DB) sweepSource(ctx context.Context, conn *sql.Conn, number int64) error {
	if err := s.sweep(ctx, conn, number); err != nil {
		return err
	}
	return s.transact(ctx, conn, func(conn *sql.Conn) error {
		for _, text := range []string{
			"DELETE FROM cursors WHERE source = ?",
			"DELETE FROM history WHERE source = ?",
			"DELETE FROM shown WHERE source = ?",
			"DELETE FROM sources WHERE number = ?",
		} {
			if err := s.step(ctx, conn, "drop", text, number); err != nil {
				return err
			}
		}
		return nil
	})
}

// sweep deletes the objects, memberships and ids of a source that nobody reads,
// a few thousand in each transaction.
func (s *DB) sweep(ctx context.Context, conn *sql.Conn, number int64) error {
	for _, t := range []struct {
		table, key string
		in         span
	}{
		{"edges", "m", edgeSpan(number)},
		{"objects", "slot", objectSpan(number)},
		{"ids", "ref", refSpan(number)},
	} {
		text := "DELETE FROM main." + t.table + " WHERE " + t.key + " IN (SELECT " + t.key + " FROM main." + t.table +
			" WHERE " + t.key + " BETWEEN ? AND ? LIMIT 5000)"
		for {
			// A look first: the common case has nothing to write.
			some, err := queryInts(ctx, conn, "SELECT 1 FROM main."+t.table+" WHERE "+t.key+" BETWEEN ? AND ? LIMIT 1", t.in.first, t.in.last)
			if err != nil {
				return err
			}
			if len(some) == 0 {
				break
			}
			if err := s.transact(ctx, conn, func(conn *sql.Conn) error {
				return s.step(ctx, conn, "sweep", text, t.in.first, t.in.last)
			}); err != nil {
				return err
			}
		}
	}
	return nil
}
