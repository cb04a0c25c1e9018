package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"scimbridge/scim/bulk"
	"scimbridge/scim/fair"
)

// A round collects its changes in memory (the stage) and writes them at Commit,
// so that it holds the database's write lock for as long as writing takes and
// never while the source is waited for. When the stage is full it goes
//
//   - into the tables themselves, in a source's first round: nobody reads a
//     source whose Round is 0, and Begin sweeps away what a first round that
//     came to nothing has left there;
//   - into tables of the connection's temp schema otherwise, from which Commit
//     takes it in one transaction.
//
// Memory is thus bounded by the stage and SQLite's caches, but for a bit for each
// object and membership during a full read, and in a first round some thirty
// bytes for each object and two for each membership. A first load into empty
// tables makes their indexes at its end (dropIndexes).
type round struct {
	db     *DB
	ctx    context.Context
	name   string
	source int64
	number uint64
	first  bool // no round of the source was ever committed

	mu     sync.Mutex // against Close of the store only
	pace   fair.Pace
	conn   *sql.Conn
	stmts  map[string]*sql.Stmt
	execs  map[string]driver.Stmt
	args   []driver.NamedValue // of the last of them; its memory serves the next
	over   error               // ErrDone, or why the store ended the round
	failed error               // the first error

	stage   stage
	spilled bool  // the temp schema holds a part
	written bool  // the tables hold something of the source
	seen    *seen // in a first round: what there is; nil in others

	nextN, nextM  int64
	users, groups int // change in the number of those present
	changed       bool
	cursors       map[Kind]Cursor
	fulls         map[Kind]time.Time
	reads         [2]*fullRead // by kind code; nil: none open
}

// Begin implements [Store].
func (s *DB) Begin(ctx context.Context, source string) (Tx, error) {
	r, err := s.begin(ctx, source)
	if err != nil {
		return nil, s.wrap("beginning a round", err)
	}
	return r, nil
}

func (s *DB) begin(ctx context.Context, source string) (_ *round, err error) {
	if s.writes == nil {
		return nil, ErrReadOnly
	}
	if err := s.reserve(source); err != nil {
		return nil, err
	}
	r := &round{db: s, ctx: ctx, name: source, stmts: make(map[string]*sql.Stmt), execs: make(map[string]driver.Stmt), stage: newStage(s.knownLimit),
		cursors: make(map[Kind]Cursor), fulls: make(map[Kind]time.Time)}
	defer func() {
		if err != nil {
			r.release()
		}
	}()
	if r.conn, err = s.writes.Conn(ctx); err != nil {
		return nil, err
	}
	if err := r.load(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	s.open[source] = r
	return r, nil
}

// reserve takes a source's name for a round, or for what can't be done beside
// one.
func (s *DB) reserve(source string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if _, taken := s.open[source]; taken {
		return ErrBusy
	}
	s.open[source] = nil
	return nil
}

func (s *DB) unreserve(source string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, source)
}

// load finds the source's place, and clears it of an unfinished first round.
func (r *round) load() error {
	number, src, err := loadSource(r.ctx, r.conn, r.name)
	if err != nil {
		return err
	}
	if number < 0 {
		if err := r.db.transact(r.ctx, r.conn, func(conn *sql.Conn) error {
			number, err = registerSource(r.ctx, conn, r.name)
			return err
		}); err != nil {
			return err
		}
	}
	r.source, r.number, r.first = number, src.Round+1, src.Round == 0
	if r.first {
		r.seen = newSeen(bulk.Place{Dir: filepath.Dir(r.db.opts.Path)})
		if err := r.db.sweep(r.ctx, r.conn, number); err != nil {
			return err
		}
		if err := r.db.transact(r.ctx, r.conn, func(conn *sql.Conn) error { return dropIndexes(r.ctx, conn) }); err != nil {
			return err
		}
		// What a first round writes is durable with its Commit, not before. SQLite
		// keeps a journal of each statement that puts in many rows, in memory here:
		// in a file it was a quarter of all that a first round wrote.
		_, err := r.conn.ExecContext(r.ctx, "PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY")
		return err
	}
	r.written = true
	return r.loadNext()
}

// loadNext finds the numbers to go on from.
func (r *round) loadNext() error {
	ids, edges := refSpan(r.source), edgeSpan(r.source)
	return r.conn.QueryRowContext(r.ctx, `SELECT
		coalesce((SELECT max(ref) FROM main.ids WHERE ref BETWEEN ?1 AND ?2) + 1 - ?1, 0),
		coalesce((SELECT max(m) FROM main.edges WHERE m BETWEEN ?3 AND ?4) + 1 - ?3, 0)`,
		ids.first, ids.last, edges.first, edges.last).Scan(&r.nextN, &r.nextM)
}

// release gives back the connection and the source's name.
func (r *round) release() {
	for _, st := range r.stmts {
		st.Close()
	}
	if r.conn != nil {
		_ = r.conn.Raw(func(any) error {
			for _, st := range r.execs {
				st.Close()
			}
			if r.first || r.spilled {
				// The connection goes, with its temp schema, its large cache and
				// its lower durability.
				return driver.ErrBadConn
			}
			return nil
		})
		r.conn.Close()
	}
	r.stage = stage{}
	r.seen.close()
	r.db.unreserve(r.name)
}

// enter is the beginning of every method. The caller unlocks r.mu.
func (r *round) enter() error {
	r.mu.Lock()
	r.pace.Keep()
	if r.over != nil {
		return r.over
	}
	if r.failed == nil && r.ctx.Err() != nil {
		r.failed = context.Cause(r.ctx)
	}
	return r.failed
}

// leave is the end of every method that may fail.
func (r *round) leave(doing string, err *error) {
	if *err != nil && r.over == nil && r.failed == nil {
		*err = r.db.wrap(doing, *err)
		r.failed = *err
	}
	r.mu.Unlock()
}

// Round implements [Tx].
func (r *round) Round() uint64 { return r.number }

// Changed implements [Tx].
func (r *round) Changed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// SetCursor implements [Tx].
func (r *round) SetCursor(kind Kind, cursor Cursor) (err error) {
	defer r.leave("keeping a cursor", &err)
	if err := r.enter(); err != nil {
		return err
	}
	if _, err := kindCode(kind); err != nil && kind != Assignment && kind != Aside {
		return err
	}
	r.cursors[kind] = cursor
	return nil
}

// Commit implements [Tx].
func (r *round) Commit() (err error) {
	defer r.leave("committing the round", &err)
	if err := r.enter(); err != nil {
		return err
	}
	for code, read := range r.reads {
		if read != nil {
			return fmt.Errorf("the full read of %ss was not ended", [...]Kind{User, Group}[code])
		}
	}
	if r.first {
		if _, err := r.conn.ExecContext(r.ctx, "PRAGMA synchronous = FULL; PRAGMA temp_store = DEFAULT"); err != nil {
			return err
		}
	}
	if err := r.db.transact(r.ctx, r.conn, r.write); err != nil {
		return err
	}
	r.over = ErrDone
	r.release()
	return nil
}

// write is the transaction of Commit.
func (r *round) write(conn *sql.Conn) error {
	if r.spilled {
		if err := r.unspill(conn); err != nil {
			return err
		}
	}
	if err := r.flush("main"); err != nil {
		return err
	}
	if r.first {
		if err := r.db.step(r.ctx, conn, "indexes", makeLoadIndexes); err != nil {
			return err
		}
	}
	if err := r.writeCursors(conn); err != nil {
		return err
	}
	if err := r.db.fail("round"); err != nil {
		return err
	}
	res, err := conn.ExecContext(r.ctx,
		"UPDATE sources SET round = ?, users = users + ?, groups = groups + ? WHERE number = ? AND round = ?",
		r.number, r.users, r.groups, r.source, r.number-1)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, errors.New("the source is not in the round it was in"))
	}
	return nil
}

func (r *round) writeCursors(conn *sql.Conn) error {
	for kind, c := range r.cursors {
		if err := r.db.step(r.ctx, conn, "cursor", `INSERT INTO cursors (source, kind, link, fingerprint, at)
			VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
			link = excluded.link, fingerprint = excluded.fingerprint, at = excluded.at`,
			r.source, kind, c.Link, c.Fingerprint, encodeTime(c.At)); err != nil {
			return err
		}
	}
	for kind, at := range r.fulls {
		if err := r.db.step(r.ctx, conn, "cursor", `INSERT INTO cursors (source, kind, full_at)
			VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET full_at = excluded.full_at`,
			r.source, kind, encodeTime(at)); err != nil {
			return err
		}
	}
	return nil
}

// Rollback implements [Tx].
func (r *round) Rollback() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.end(ErrDone)
}

// abandon ends the round from outside.
func (r *round) abandon(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.end(why)
}

func (r *round) end(why error) error {
	if r.over != nil {
		return r.over
	}
	r.over = why
	r.release()
	return nil
}

// stmt gives a prepared statement of the round's connection.
func (r *round) stmt(text string) (*sql.Stmt, error) {
	if st, ok := r.stmts[text]; ok {
		return st, nil
	}
	// Single statements are too short to be interrupted; enter looks at ctx.
	st, err := r.conn.PrepareContext(context.WithoutCancel(r.ctx), text)
	if err == nil {
		r.stmts[text] = st
	}
	return st, err
}

// exec runs a prepared statement. It takes the driver's own way: database/sql
// would make a list of the arguments anew each time, of which the rows of a large
// round have millions.
func (r *round) exec(text string, args ...any) error {
	r.pace.Keep()
	r.args = named(r.args[:0], args)
	err := r.conn.Raw(func(c any) error {
		st, ok := r.execs[text]
		if !ok {
			var err error
			if st, err = c.(driver.Conn).Prepare(text); err != nil {
				return err
			}
			r.execs[text] = st
		}
		// Single statements are too short to be interrupted.
		_, err := st.(driver.StmtExecContext).ExecContext(context.Background(), r.args)
		return err
	})
	clear(r.args)
	return err
}

// one runs a prepared statement for its only row, and says whether there was
// one.
func (r *round) one(text string, args []any, dest ...any) (bool, error) {
	st, err := r.stmt(text)
	if err != nil {
		return false, err
	}
	err = st.QueryRow(args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
