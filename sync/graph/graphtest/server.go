package graphtest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server is the login and Microsoft Graph for some tenants, as one
// http.Handler: paths under /v1.0 are Graph's, all others
// ({tenant}/oauth2/v2.0/token, {tenant}/v2.0/adminconsent) the login's.
//
// [Server.Start] listens on two loopback ports, one for each, so that a client
// which confuses the two bases is found out. A Server may as well be handed to
// httptest.NewServer, or be reached without any socket through
// [Server.Transport].
type Server struct {
	tenants []*Tenant
	journal journal // of requests that concern no tenant
	gzips   sync.Pool

	mu        sync.Mutex
	graphURL  string
	loginURL  string
	listeners []*http.Server
	throttles map[string]*bucket // app + tenant -> resource units
	logins    map[string]time.Time
}

// NewServer serves these tenants. It does not listen yet.
func NewServer(tenants ...*Tenant) *Server {
	return &Server{tenants: tenants, throttles: map[string]*bucket{}, logins: map[string]time.Time{},
		journal: journal{limit: defaultJournalSize},
		gzips: sync.Pool{New: func() any {
			z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // a valid level: no error
			return z
		}}}
}

// Start listens on two free ports of the loopback interface.
func (s *Server) Start() error {
	graph, err := s.listen(http.HandlerFunc(s.serveGraph))
	if err != nil {
		return err
	}
	login, err := s.listen(http.HandlerFunc(s.serveLogin))
	if err != nil {
		return errors.Join(err, s.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.graphURL, s.loginURL = graph, login
	return nil
}

func (s *Server) listen(h http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listening for the simulated tenant: %w", err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	s.mu.Lock()
	s.listeners = append(s.listeners, srv)
	s.mu.Unlock()
	go func() { _ = srv.Serve(l) }() // ends with ErrServerClosed, at Close
	return "http://" + l.Addr().String(), nil
}

// Close ends the listeners and all connections. It is safe to call twice.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all error
	for _, l := range s.listeners {
		all = errors.Join(all, l.Close())
	}
	s.listeners = nil
	return all
}

// GraphURL is the base of Graph, without a trailing slash; empty before Start.
func (s *Server) GraphURL() string { return s.urls()[0] }

// LoginURL is the base of the login, without a trailing slash; empty before
// Start.
func (s *Server) LoginURL() string { return s.urls()[1] }

func (s *Server) urls() [2]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return [2]string{s.graphURL, s.loginURL}
}

// Journal is what the server was asked that concerns no tenant: requests
// without a valid token, and logins to tenants that do not exist.
func (s *Server) Journal() []Request { return s.journal.copy() }

// ServeHTTP tells Graph from the login by the path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/v1.0/") || r.URL.Path == "/v1.0" {
		s.serveGraph(w, r)
		return
	}
	s.serveLogin(w, r)
}

// base is the URL that a request came to, up to the path.
func base(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// tenant finds a tenant by id or domain.
func (s *Server) tenant(name string) *Tenant {
	for _, t := range s.tenants {
		if t.answersTo(name) {
			return t
		}
	}
	return nil
}

func (s *Server) serveGraph(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	c := s.newCall(r)
	a := s.answer(c)
	status, rest := s.write(w, c, a)
	if status == brokenLine {
		defer panic(http.ErrAbortHandler)
		status = a.status
		if a.line.Moment == BeforeBody {
			status = 0
		}
	}
	c.enter(a, status, time.Since(began))
	if len(rest) > 0 {
		_, _ = w.Write(rest) // a client that went away is no concern of ours
	}
}

// brokenLine is the status of an answer whose connection must be cut.
const brokenLine = -1

// write sends an answer, compressed when the client takes it, with the faults
// of the line. It leaves the rest to be written once the journal has the request:
// whoever has read an answer finds it there.
func (s *Server) write(w http.ResponseWriter, c *call, a *answer) (status int, rest []byte) {
	h := w.Header()
	for k, v := range a.header {
		h[k] = v
	}
	c.setHeaders(h)
	h.Set("Content-Type", a.contentType)
	if a.line != nil && a.line.Kind == FaultReset && a.line.Moment == BeforeBody {
		breakEarly(w)
		return brokenLine, nil
	}
	body := a.body
	if a.line != nil && a.line.Kind == FaultTruncated {
		body = body[:len(body)*3/5]
	}
	cut := a.line != nil && a.line.Kind == FaultTruncatedGzip
	if c.acceptsGzip() {
		body = s.compress(body)
		h.Set("Content-Encoding", "gzip")
	}
	if cut {
		body = body[:len(body)*3/5]
	}
	return s.send(w, c.r.Context(), a, body)
}

// breakEarly lets a few bytes of the status line through where it can: Go's
// client repeats a GET by itself when a connection that it used before breaks
// without a byte, and the fault would never be seen.
func breakEarly(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_, _ = conn.Write([]byte("HTTP/1.1 "))
		_ = conn.Close()
	}
}

func (s *Server) send(w http.ResponseWriter, ctx context.Context, a *answer, body []byte) (status int, rest []byte) {
	switch {
	case a.line != nil && a.line.Kind == FaultReset:
		if a.line.Moment == WithinBody {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			body = body[:len(body)/2]
		}
		w.WriteHeader(a.status)
		_, _ = w.Write(body)
		_ = http.NewResponseController(w).Flush()
		return brokenLine, nil
	case a.line != nil && a.line.Kind == FaultSlow:
		w.WriteHeader(a.status)
		drip(w, ctx, body, a.line.Wait)
	default:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(a.status)
		last := max(len(body)-1, 0)
		_, _ = w.Write(body[:last]) // a client that went away is no concern of ours
		rest = body[last:]
	}
	return a.status, rest
}

// drip writes body in 16 pieces.
func drip(w http.ResponseWriter, ctx context.Context, body []byte, wait time.Duration) {
	const pieces = 16
	for i := range pieces {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		_, _ = w.Write(body[i*len(body)/pieces : (i+1)*len(body)/pieces])
		_ = http.NewResponseController(w).Flush()
	}
}

func (s *Server) compress(body []byte) []byte {
	var out bytes.Buffer
	z := s.gzips.Get().(*gzip.Writer)
	defer s.gzips.Put(z)
	z.Reset(&out)
	_, _ = z.Write(body) // a bytes.Buffer takes everything
	_ = z.Close()
	return out.Bytes()
}
