package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
)

// Options say where the state lives.
type Options struct {
	// Path is the database file. Its directory is made if absent (mode 0700)
	// and locked against other processes through the file "lock" in it.
	Path string
	// Program is the name and version of the running program, which is left in
	// a database that it makes or migrates; an older program that later meets
	// the file names it.
	Program string
	// ReadOnly opens the file beside a process that has it for writing. It
	// takes no lock and never changes anything.
	ReadOnly bool
	// Log takes what is worth knowing; nil discards.
	Log *slog.Logger
}

// The sizes that were measured (see BenchmarkFirstRound).
const (
	pageSize = 4096
	// writeCache is SQLite's page cache for a round, in KiB: what a full stage
	// touches where its rows lie apart. It is let go after the round.
	writeCache = 16 << 10
	readCache  = 2 << 10
	// walPages is when a commit carries the log over into the database, and
	// walLimit is to how many bytes the log's file is cut then.
	walPages = 16384
	walLimit = 64 << 20
	// busyTimeout is how many milliseconds a statement waits for another
	// program's lock. Between our own transactions the gate sees to order.
	busyTimeout = 10_000
	// stageLimit is how many bytes of changes a round keeps in memory.
	stageLimit = 8 << 20
	// knownLimit is how many written ids a round remembers the numbers of.
	knownLimit = 1 << 16
)

// DB is the store in an SQLite database.
type DB struct {
	opts Options
	lock *os.File // nil when read-only

	reads  *sql.DB // for everything that only reads
	writes *sql.DB // for rounds and updates; nil when read-only

	// gate is held by the one transaction that writes. No transaction waits
	// for anything but the disk while it holds it.
	gate chan struct{}

	mu     sync.Mutex
	open   map[string]*round // source name -> its open round, or nil for a reserved name
	closed bool

	stageLimit int
	knownLimit int
	pragmas    []string // further ones, for tests
	// failpoint is nil but in tests. It is called before each step of a write,
	// and after "committed", which is when a failure comes too late.
	failpoint func(step string) error
}

var _ Store = (*DB)(nil)

// Open opens the state, making the file if there is none. A file that can't
// be used gives a [*FileError], a directory in use a [*LockedError].
func Open(ctx context.Context, opts Options) (*DB, error) {
	return open(ctx, opts)
}

func open(ctx context.Context, opts Options, pragmas ...string) (*DB, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	path, err := filepath.Abs(opts.Path)
	if err != nil {
		return nil, fmt.Errorf("opening the state: %w", err)
	}
	opts.Path = path
	s := &DB{opts: opts, gate: make(chan struct{}, 1), open: make(map[string]*round), stageLimit: stageLimit, knownLimit: knownLimit, pragmas: pragmas}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the state: %w", explain(path, err)), s.shut())
	}
	return s, nil
}

// keepTemporaryFiles has SQLite put what it sorts, or stages, and has no memory for
// into the directory of the state, unless the environment names another one. It
// would take /var/tmp or /tmp, which may be small, memory, or not writable. SQLite
// looks into the environment once: the first database of a process decides.
func keepTemporaryFiles(dir string) error {
	const key = "SQLITE_TMPDIR"
	if os.Getenv(key) != "" {
		return nil
	}
	return os.Setenv(key, dir)
}

func (s *DB) start(ctx context.Context) error {
	var err error
	if s.opts.ReadOnly {
		return s.startReading(ctx)
	}
	if err := s.prepareDirectory(); err != nil {
		return err
	}
	if s.lock, err = lockDirectory(filepath.Dir(s.opts.Path)); err != nil {
		return err
	}
	if err := createFile(s.opts.Path); err != nil {
		return err
	}
	if err := checkHeader(s.opts.Path); err != nil {
		return err
	}
	if err := s.removeClones(); err != nil {
		return err
	}
	if err := keepTemporaryFiles(filepath.Dir(s.opts.Path)); err != nil {
		return err
	}
	if s.writes, err = s.connect("rwc", writeCache, s.pragmas...); err != nil {
		return err
	}
	if err := s.prepare(ctx, s.writes); err != nil {
		return err
	}
	if s.reads, err = s.connect("rw", readCache, "query_only(1)"); err != nil {
		return err
	}
	// With one connection always there, SQLite does not tidy up after the last
	// one each time that a round ends.
	if err := s.reads.PingContext(ctx); err != nil {
		return err
	}
	return s.sweepDropped(ctx)
}

func (s *DB) startReading(ctx context.Context) (err error) {
	if err := checkHeader(s.opts.Path); err != nil {
		return err
	}
	if s.reads, err = s.connect("ro", readCache, "query_only(1)"); err != nil {
		return err
	}
	return s.withConn(ctx, s.reads, func(conn *sql.Conn) error {
		return prepareFile(ctx, conn, s.opts, migrations)
	})
}

// prepareDirectory makes the state directory, or looks at the one there is.
func (s *DB) prepareDirectory() error {
	dir := filepath.Dir(s.opts.Path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		s.opts.Log.Warn("state directory is open to others", "path", dir, "mode", fmt.Sprintf("%04o", mode))
	}
	return nil
}

// createFile makes the file before SQLite does, which would leave its mode to
// the umask; SQLite gives the -wal and -shm beside it the same mode.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return f.Chmod(0o600)
	}
	return nil
}

// checkHeader refuses a file that is no SQLite database before SQLite sees it.
func checkHeader(path string) error {
	const magic = "SQLite format 3\x00"
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	header := make([]byte, len(magic))
	n, err := f.ReadAt(header, 0)
	if n == 0 {
		return nil // a new file, or err comes again from SQLite
	}
	if string(header[:n]) != magic {
		return &FileError{Path: path, Fault: Foreign, Detail: "it is no SQLite database at all, or its beginning was overwritten"}
	}
	return err
}

// connect gives a pool of connections with everything set that SQLite keeps by
// connection.
func (s *DB) connect(mode string, cacheKiB int, pragmas ...string) (*sql.DB, error) {
	query := url.Values{"mode": {mode}, "_pragma": append(pragmas,
		fmt.Sprintf("busy_timeout(%d)", busyTimeout),
		fmt.Sprintf("cache_size(%d)", -cacheKiB),
		fmt.Sprintf("wal_autocheckpoint(%d)", walPages),
		fmt.Sprintf("journal_size_limit(%d)", walLimit),
		"synchronous(FULL)",
		"trusted_schema(0)",
		"foreign_keys(0)",
	)}
	dsn := url.URL{Scheme: "file", Path: s.opts.Path, RawQuery: query.Encode()}
	return sql.Open("sqlite", dsn.String())
}

// prepare sets what SQLite keeps in the file, and migrates.
func (s *DB) prepare(ctx context.Context, db *sql.DB) error {
	return s.withConn(ctx, db, func(conn *sql.Conn) error {
		version, err := fileVersion(ctx, conn, s.opts.Path)
		if err != nil {
			return err
		}
		if version == 0 {
			if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA page_size = %d", pageSize)); err != nil {
				return err
			}
		}
		if version <= len(migrations) {
			if err := useLog(ctx, conn); err != nil {
				return err
			}
		}
		return prepareFile(ctx, conn, s.opts, migrations)
	})
}

// useLog switches to the write-ahead log, with which readers and the writer do
// not wait for each other.
func useLog(ctx context.Context, conn *sql.Conn) error {
	var mode string
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the file system does not take SQLite's write-ahead log (journal mode stays %q); use a local one", mode)
	}
	return nil
}

func (s *DB) withConn(ctx context.Context, db *sql.DB, do func(*sql.Conn) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(conn), conn.Close())
}

// Close rolls back open rounds and closes the files. It may be called again.
func (s *DB) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	var rounds []*round
	for _, r := range s.open {
		if r != nil {
			rounds = append(rounds, r)
		}
	}
	s.mu.Unlock()
	for _, r := range rounds {
		r.abandon(errClosed)
	}
	return s.shut()
}

var errClosed = errors.New("the state is closed")

func (s *DB) shut() error {
	var errs []error
	for _, db := range []*sql.DB{s.reads, s.writes} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Check reads the whole file and says whether SQLite finds it sound. It takes
// time with the size of the file and holds up nobody.
func (s *DB) Check(ctx context.Context) error {
	var verdict string
	err := s.reads.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict)
	if err == nil && verdict != "ok" {
		err = &FileError{Path: s.opts.Path, Fault: Corrupt, Detail: verdict}
	}
	return s.wrap("checking the state", err)
}

// wrap gives an error its context.
func (s *DB) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, explain(s.opts.Path, err))
}

// update runs do as one write transaction.
func (s *DB) update(ctx context.Context, do func(*sql.Conn) error) error {
	if s.writes == nil {
		return ErrReadOnly
	}
	return s.withConn(ctx, s.writes, func(conn *sql.Conn) error {
		return s.transact(ctx, conn, do)
	})
}

// transact runs do on conn as one write transaction: whole and durable, or
// without effect.
func (s *DB) transact(ctx context.Context, conn *sql.Conn, do func(*sql.Conn) error) error {
	select {
	case s.gate <- struct{}{}:
		defer func() { <-s.gate }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.step(ctx, conn, "begin", "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := do(conn)
	if err == nil {
		// Not with ctx: a commit that was begun is not to be interrupted.
		if err = ctx.Err(); err == nil {
			err = s.step(context.WithoutCancel(ctx), conn, "commit", "COMMIT")
		}
	}
	if err != nil {
		// SQLite may have rolled back by itself, and then says so here.
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return err
	}
	return s.fail("committed")
}

// step runs one statement of a transaction.
func (s *DB) step(ctx context.Context, conn *sql.Conn, name, statement string, args ...any) error {
	if err := s.fail(name); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, statement, args...)
	return err
}

func (s *DB) fail(step string) error {
	if s.failpoint == nil {
		return nil
	}
	return s.failpoint(step)
}
