package daemon

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"scimbridge/cmd/internal/config"
)

// For tests only.
var (
	Caller    = caller
	FieldName = fieldName
)

// StallBytes is how much a client has to read in StallTime.
const (
	StallBytes = stallBytes
	StallTime  = stallTime
	StuckAfter = stuckAfter
	GuessBurst = guessBurst
	GuessDelay = guessDelay
)

// Watched has a connection watched for stalling.
func Watched(conn net.Conn) net.Conn {
	return &watchedConn{Conn: conn, conns: newEndpoint(nil).conns, patience: stallTime}
}

// Whole has a handler answer as the endpoint's does, on a server with ConnContext.
func Whole(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, to := newWriter(w, r)
		h(to, r)
	}
}

// ConnContext is a server's hook.
var ConnContext = connContext

// Journal makes a log in the journal's form.
func Journal(w io.Writer, send sendEntry) *slog.Logger {
	s := &logSwitch{}
	s.set(config.Log{Level: slog.LevelDebug})
	s.form.Store(formJournal)
	return newLogger(w, s, send)
}

// Switching makes a log and what changes its form.
func Switching(w io.Writer) (*slog.Logger, func(config.Log)) {
	s := &logSwitch{}
	return newLogger(w, s, nil), s.set
}

// Conns is how connections are kept, with room for so many.
func Conns(max int) (state func(net.Conn, http.ConnState), open func() int) {
	c := newEndpoint(nil).conns
	c.max = max
	return c.state, func() int { n, _, _ := c.count(); return n }
}

// Guesser counts wrong credentials.
type Guesser struct{ g *guessers }

// NewGuesser knows nobody yet.
func NewGuesser() Guesser { return Guesser{&newEndpoint(nil).guess} }

// Wrong notes wrong credentials and waits as long as it has to.
func (g Guesser) Wrong(from string) time.Duration {
	start := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	g.g.wrong(ctx, netip.MustParseAddr(from))
	return time.Since(start)
}

// Pulse is a source's pulse; generation stands for all that moves.
type Pulse struct{ p pulse }

// Alive takes in a beat.
func (p *Pulse) Alive(generation uint64, next, now time.Time) bool {
	return p.p.alive(progress{generation: generation, next: next}, now)
}
