package daemon

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// stallTime is how long a client may take for the next stallBytes of an
	// answer: one on a slow line gets its page, however long that takes, and one
	// that has stopped reading is cut.
	stallTime  = 30 * time.Second
	stallBytes = 32 << 10

	// maxConns bounds the connections of the SCIM listener. Above it the one
	// that has been idle for longest makes room, so that a herd of silent
	// connections keeps no importer out.
	maxConns = 1024
)

// conns are the connections of the SCIM listener.
type conns struct {
	max int

	mu      sync.Mutex
	open    map[net.Conn]idleness
	dropped uint64 // to make room
	stalled uint64 // cut, since they did not read
}

// idleness is since when a connection does nothing; zero: it is in a request.
type idleness struct {
	since time.Time
	fresh bool // no request has come on it
}

// state is the server's hook (http.Server.ConnState).
func (c *conns) state(conn net.Conn, s http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch s {
	case http.StateNew:
		c.makeRoom()
		c.open[conn] = idleness{since: time.Now(), fresh: true}
	case http.StateIdle:
		c.open[conn] = idleness{since: time.Now()}
	case http.StateActive:
		c.open[conn] = idleness{}
	default:
		delete(c.open, conn)
	}
}

// makeRoom closes the connection that is idle for longest, if there are too
// many: first of those on which nothing was ever asked. c.mu is held.
func (c *conns) makeRoom() {
	if len(c.open) < c.max {
		return
	}
	var oldest net.Conn
	var best idleness
	for conn, idle := range c.open {
		if idle.since.IsZero() {
			continue
		}
		if oldest == nil || idle.fresh && !best.fresh || idle.fresh == best.fresh && idle.since.Before(best.since) {
			oldest, best = conn, idle
		}
	}
	if oldest != nil {
		delete(c.open, oldest)
		c.dropped++
		go oldest.Close() // a TLS connection says goodbye, which may take a while
	}
}

// count gives how many connections are open and how many were closed by us.
func (c *conns) count() (open int, dropped, stalled uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open), c.dropped, c.stalled
}

// expected says whether a request is still waited for: the first on a connection
// that is new, or the next on one whose last was no longer ago than between.
func (c *conns) expected(now time.Time, between time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, idle := range c.open {
		patience := between
		if idle.fresh {
			patience = greetTime
		}
		if !idle.since.IsZero() && now.Sub(idle.since) < patience {
			return true
		}
	}
	return false
}

// listen has every connection of a listener watched for stalling.
func (c *conns) listen(l net.Listener) net.Listener { return &watchedListener{l, c} }

type watchedListener struct {
	net.Listener
	conns *conns
}

// Accept implements net.Listener.
func (l *watchedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &watchedConn{Conn: conn, conns: l.conns, patience: stallTime}, nil
}

// A watchedConn gives up writing to a peer that does not read.
type watchedConn struct {
	net.Conn
	conns    *conns
	patience time.Duration
	until    atomic.Int64 // the deadline that write has set, on the clock of began; 0: another one is set

	// While an answer is begun that is to leave in one piece, its header waits
	// here for the body.
	holding bool
	held    []byte
	out     net.Buffers // what WriteAll writes
}

const (
	// maxHeld bounds what waits: a header and the beginning of a body.
	maxHeld = 8 << 10
	// maxOut bounds what each connection keeps room for.
	maxOut = 256
)

// Write implements net.Conn. It goes on as long as enough is taken in every
// stretch of patience, and only then: how long it takes as a whole depends on
// the line.
func (c *watchedConn) Write(p []byte) (int, error) {
	if c.holding && len(c.held)+len(p) <= maxHeld {
		c.held = append(c.held, p...)
		return len(p), nil
	}
	if err := c.release(); err != nil {
		return 0, err
	}
	if worded := inSCIM(p); worded != nil {
		if _, err := c.write(worded); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return c.write(p)
}

// hold has what is written wait for what comes next, and release ends that.
func (c *watchedConn) hold() { c.holding = true }

func (c *watchedConn) release() error {
	if !c.holding {
		return nil
	}
	c.holding = false
	_, err := c.write(c.held)
	c.held = c.held[:0]
	return err
}

// ReadFrom implements io.ReaderFrom, by which net/http hands over a body whose
// header it has written. A body that is a net.Buffers leaves together with a header
// that was held: a write each would wake the client for each.
func (c *watchedConn) ReadFrom(from io.Reader) (int64, error) {
	body, ok := from.(*net.Buffers)
	if !ok {
		return io.Copy(struct{ io.Writer }{c}, from)
	}
	header := len(c.held)
	c.out = append(append(c.out[:0], c.held), *body...)
	all := c.out
	c.holding = false
	n, err := c.writeAll(&all)
	c.held = c.held[:0]
	if clear(c.out); cap(c.out) > maxOut {
		c.out = nil
	}
	return max(n-int64(header), 0), err
}

func (c *watchedConn) write(p []byte) (int, error) {
	n, err := c.patiently(func() (int64, error) {
		n, err := c.Conn.Write(p)
		p = p[n:]
		return int64(n), err
	})
	return int(n), err
}

// writeAll writes slices as they lie, with one system call where they fit.
func (c *watchedConn) writeAll(all *net.Buffers) (int64, error) {
	return c.patiently(func() (int64, error) { return all.WriteTo(c.Conn) })
}

// patienceSlack is how much of its patience a write may lack: a deadline set for a
// write that was a moment ago is good enough, and a timer less to be moved.
const patienceSlack = time.Second

// began is where the clock of deadlines starts.
var began = time.Now()

// prolong gives the next write its time.
func (c *watchedConn) prolong() error {
	now := time.Since(began)
	if until := time.Duration(c.until.Load()); until != 0 && until-now > c.patience-patienceSlack {
		return nil
	}
	c.until.Store(int64(now + c.patience))
	return c.Conn.SetWriteDeadline(began.Add(now + c.patience))
}

// SetWriteDeadline implements net.Conn. That there be none is not passed on, which
// net/http says after each answer: the one that is set does no harm.
func (c *watchedConn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	c.until.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *watchedConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// patiently goes on with write, which writes what is left, for as long as enough is
// taken in every stretch of patience.
func (c *watchedConn) patiently(write func() (int64, error)) (written int64, err error) {
	for {
		if err := c.prolong(); err != nil {
			return written, err
		}
		n, err := write()
		written += n
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
		if n < stallBytes {
			c.conns.mu.Lock()
			c.conns.stalled++
			c.conns.mu.Unlock()
			return written, err
		}
	}
}
