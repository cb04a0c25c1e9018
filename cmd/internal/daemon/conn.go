package daemon

import (
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
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
}

// Write implements net.Conn. It goes on as long as enough is taken in every
// stretch of patience, and only then: how long it takes as a whole depends on
// the line.
func (c *watchedConn) Write(p []byte) (written int, err error) {
	if worded := inSCIM(p); worded != nil {
		if _, err := c.write(worded); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return c.write(p)
}

func (c *watchedConn) write(p []byte) (written int, err error) {
	for {
		if err := c.SetWriteDeadline(time.Now().Add(c.patience)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(p[written:])
		written += n
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
		if n < stallBytes && written < len(p) {
			c.conns.mu.Lock()
			c.conns.stalled++
			c.conns.mu.Unlock()
			return written, err
		}
	}
}
