package daemon

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxRequests bounds the requests that are answered at the same time. One
	// that finds no place within queueTime gets 503.
	maxRequests = 256
	queueTime   = 5 * time.Second

	// maxURI bounds what is asked for, in bytes: a filter of that length is no
	// filter any more.
	maxURI = 16 << 10
)

// An endpoint stands between the SCIM listener and the handler of the
// generation in service: it finds out who really calls, bounds what is done at
// once, slows down those that guess credentials, and counts.
type endpoint struct {
	gen   func() *generation
	conns *conns
	slots chan struct{}
	guess guessers

	draining atomic.Bool
	inFlight atomic.Int64
	busy     atomic.Uint64 // refused, since there was no place
	counts   responses
}

func newEndpoint(gen func() *generation) *endpoint {
	return &endpoint{
		gen: gen, slots: make(chan struct{}, maxRequests),
		conns:  &conns{max: maxConns, open: make(map[net.Conn]idleness)},
		guess:  guessers{byAddr: make(map[netip.Prefix]*rate.Limiter), delay: guessDelay},
		counts: responses{byCode: make(map[int]uint64)},
	}
}

// ServeHTTP implements http.Handler.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	gen := e.gen()
	if trusted := gen.cfg.SCIM.TrustedProxies; len(trusted) > 0 {
		if from := caller(r, trusted); from != remote(r.RemoteAddr) {
			r.RemoteAddr = netip.AddrPortFrom(from, port(r.RemoteAddr)).String()
		}
	}
	if e.draining.Load() && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close") // on HTTP/2 the server says so itself
	}
	seen, to := newWriter(w, r)
	// Also where the handler panics, which it does to cut a broken answer off.
	defer func() { e.counts.add(seen.status, time.Since(started)) }()
	switch {
	case len(r.RequestURI) > maxURI:
		refuse(seen, http.StatusRequestURITooLong, "the request's URI is longer than "+strconv.Itoa(maxURI)+" bytes; use POST and .search")
	case !e.enter(r.Context()):
		e.busy.Add(1)
		seen.Header().Set("Retry-After", "2")
		refuse(seen, http.StatusServiceUnavailable, "too many requests are being answered; try again")
	default:
		func() {
			defer e.leave()
			gen.handler.ServeHTTP(to, r)
		}()
	}
	if seen.status == http.StatusUnauthorized && r.Header.Get("Authorization") != "" {
		// The answer is small and still in our buffer: it leaves when we return.
		e.guess.wrong(r.Context(), remote(r.RemoteAddr))
	}
}

// enter waits for a place among the requests that are answered.
func (e *endpoint) enter(ctx context.Context) bool {
	select {
	case e.slots <- struct{}{}:
	default:
		timer := time.NewTimer(queueTime)
		defer timer.Stop()
		select {
		case e.slots <- struct{}{}:
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	e.inFlight.Add(1)
	return true
}

func (e *endpoint) leave() {
	e.inFlight.Add(-1)
	<-e.slots
}

// refuse answers with a SCIM error (RFC 7644 §3.12).
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/scim+json")
	w.WriteHeader(status)
	_, _ = w.Write(errorBody(status, detail)) // the client may have gone
}

// errorBody is the body of a SCIM error. The detail is one of our texts, none of
// which needs escaping.
func errorBody(status int, detail string) []byte {
	return []byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"` + strconv.Itoa(status) + `","detail":"` + detail + `"}`)
}

// A seenWriter remembers the status. On HTTP/2, where the connection is shared
// and the client opens each stream's window, it also bounds how long the client
// may take for the next part of an answer; on HTTP/1 the connection does that.
type seenWriter struct {
	http.ResponseWriter
	status  int
	chunked bool
}

// Unwrap is for http.ResponseController.
func (w *seenWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *seenWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *seenWriter) Write(p []byte) (written int, err error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if !w.chunked {
		return w.ResponseWriter.Write(p)
	}
	for len(p) > 0 && err == nil {
		if err := http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(stallTime)); err != nil {
			return written, err
		}
		var n int
		n, err = w.ResponseWriter.Write(p[:min(len(p), stallBytes)])
		written, p = written+n, p[n:]
	}
	return written, err
}

// A wholeWriter is the seenWriter of a connection that is neither shared nor
// encrypted: there an answer can leave in one piece.
type wholeWriter struct {
	seenWriter
	conn *watchedConn
}

// WriteAll implements scim.AllWriter.
func (w *wholeWriter) WriteAll(body net.Buffers) (int64, error) {
	w.conn.hold()
	// It writes the header, and hands the body over to the connection.
	n, err := w.ResponseWriter.(io.ReaderFrom).ReadFrom(&body)
	if fault := w.conn.release(); err == nil {
		err = fault
	}
	return n, err
}

// newWriter gives what a request is answered by, and what the status is seen in.
func newWriter(w http.ResponseWriter, r *http.Request) (*seenWriter, http.ResponseWriter) {
	whole := &wholeWriter{seenWriter: seenWriter{ResponseWriter: w, chunked: r.ProtoMajor >= 2}}
	var plain bool
	if whole.conn, plain = r.Context().Value(connKey{}).(*watchedConn); plain { // and no tls.Conn
		return &whole.seenWriter, whole
	}
	return &whole.seenWriter, &whole.seenWriter
}

// connKey is the connection of a request, in its context.
type connKey struct{}

// connContext is the server's hook (http.Server.ConnContext).
func connContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// caller gives the address of who asks: that of the connection, or where the
// connection comes from a trusted proxy the last address in X-Forwarded-For that
// is none of a trusted proxy. What is left of that anybody may have written.
// Other headers of the kind are not looked at: a proxy that does not know one
// passes it on as the client sent it. The peer of a Unix socket counts as
// 127.0.0.1.
func caller(r *http.Request, trusted []netip.Prefix) netip.Addr {
	addr := remote(r.RemoteAddr)
	if len(trusted) == 0 {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !within(addr, trusted) {
			break
		}
		next, ok := forwarded(hop)
		if !ok {
			break
		}
		addr = next
	}
	return addr
}

func within(addr netip.Addr, networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// remote gives the address of a connection.
func remote(addr string) netip.Addr {
	if from, err := netip.ParseAddrPort(addr); err == nil {
		return from.Addr().Unmap().WithZone("")
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

func port(addr string) uint16 {
	from, _ := netip.ParseAddrPort(addr)
	return from.Port()
}

// forwarded reads an entry of X-Forwarded-For: an address, which some proxies
// give a port and brackets.
func forwarded(hop string) (netip.Addr, bool) {
	hop = strings.TrimSpace(hop)
	if from, err := netip.ParseAddrPort(hop); err == nil {
		return from.Addr().Unmap().WithZone(""), true
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]"))
	return addr.Unmap().WithZone(""), err == nil
}

const (
	// guessBurst wrong credentials are answered at once, and then one a second;
	// above that each answer takes guessDelay.
	guessBurst = 10
	guessDelay = time.Second
	// maxWaiting bounds the answers that are held back at the same time, and
	// maxGuessers the networks that are told apart.
	maxWaiting  = 128
	maxGuessers = 4096
)

// guessers are those that sent wrong credentials. Only their wrong ones are
// slowed down: a good client behind the same address is not made to pay.
type guessers struct {
	delay time.Duration
	total atomic.Uint64

	mu      sync.Mutex
	byAddr  map[netip.Prefix]*rate.Limiter
	waiting int
}

// wrong notes wrong credentials, and waits where there were too many.
func (g *guessers) wrong(ctx context.Context, from netip.Addr) {
	g.total.Add(1)
	if !g.hold(from) {
		return
	}
	defer func() {
		g.mu.Lock()
		g.waiting--
		g.mu.Unlock()
	}()
	timer := time.NewTimer(g.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// hold says whether an answer is to be held back, and counts it as such.
func (g *guessers) hold(from netip.Addr) bool {
	network, err := from.Prefix(from.BitLen())
	if from.Is6() {
		network, err = from.Prefix(64) // what one customer has
	}
	if err != nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	limiter := g.byAddr[network]
	if limiter == nil {
		if len(g.byAddr) >= maxGuessers {
			clear(g.byAddr)
		}
		limiter = rate.NewLimiter(1, guessBurst)
		g.byAddr[network] = limiter
	}
	if limiter.Allow() || g.waiting >= maxWaiting {
		return false
	}
	g.waiting++
	return true
}

// latencies are the upper bounds, in seconds, by which answers are counted.
var latencies = [...]float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30}

// responses count answers.
type responses struct {
	mu      sync.Mutex
	byCode  map[int]uint64
	seconds float64
	count   uint64
	within  [len(latencies)]uint64
}

func (r *responses) add(status int, elapsed time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byCode[status]++
	r.count++
	r.seconds += elapsed.Seconds()
	for i, limit := range latencies {
		if elapsed.Seconds() <= limit {
			r.within[i]++
		}
	}
}
