package graph_test

import (
	"compress/gzip"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"scimbridge/sync/graph"
)

// onWire serves Graph and the login over a real connection; the first faults
// requests for data are given to fault.
func onWire(t *testing.T, faults int32, fault func(w http.ResponseWriter, body string), change ...func(*graph.Config)) (*graph.Client, *atomic.Int32) {
	t.Helper()
	var asked atomic.Int32
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	mux.HandleFunc("POST /login/contoso.example/oauth2/v2.0/token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"token_type":"Bearer","expires_in":3599,"access_token":"t"}`)
	})
	mux.HandleFunc("GET /graph/v1.0/users/delta", func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Accept-Encoding") != "gzip" {
			t.Errorf("Accept-Encoding %q", req.Header.Get("Accept-Encoding"))
		}
		body := `{"value":[{"id":"a","x":"` + strings.Repeat("0123456789", 5000) + `"}],"@odata.deltaLink":"` + srv.URL + `/graph/v1.0/users/delta?$deltatoken=end"}`
		if asked.Add(1) <= faults {
			fault(w, body)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		_, _ = io.WriteString(zip, body)
		_ = zip.Close()
	})
	c := newClient(t, nil, func(cfg *graph.Config) {
		cfg.GraphURL, cfg.LoginURL, cfg.HTTPClient = srv.URL+"/graph", srv.URL+"/login", nil
		cfg.Retry = graph.Retry{Tries: 4, Base: time.Millisecond, Attempt: 5 * time.Second}
		cfg.MaxBody = 1 << 20
		for _, f := range change {
			f(cfg)
		}
	})
	return c, &asked
}

func zipped(body string) string {
	var b strings.Builder
	zip := gzip.NewWriter(&b)
	_, _ = io.WriteString(zip, body)
	_ = zip.Close()
	return b.String()
}

// hangUp ends the connection without a word, or with a reset.
func hangUp(w http.ResponseWriter, reset bool) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func TestRoundSurvivesFaultsOfTheConnection(t *testing.T) {
	send := func(w http.ResponseWriter, text string) {
		_, _ = io.WriteString(w, text)
		_ = http.NewResponseController(w).Flush()
	}
	tests := []struct {
		name  string
		fault func(w http.ResponseWriter, body string)
	}{
		{"a reset before the answer", func(w http.ResponseWriter, _ string) { hangUp(w, true) }},
		{"an end before the answer", func(w http.ResponseWriter, _ string) { hangUp(w, false) }},
		{"a reset in the body", func(w http.ResponseWriter, body string) { send(w, body[:1000]); hangUp(w, true) }},
		{"an end in the body", func(w http.ResponseWriter, body string) { send(w, body[:1000]); hangUp(w, false) }},
		{"a body shorter than announced", func(w http.ResponseWriter, body string) {
			w.Header().Set("Content-Length", "100000")
			send(w, body)
			hangUp(w, false)
		}},
		{"gzip cut short", func(w http.ResponseWriter, body string) {
			w.Header().Set("Content-Encoding", "gzip")
			send(w, zipped(body)[:100])
		}},
		{"gzip cut within its checksum", func(w http.ResponseWriter, body string) {
			w.Header().Set("Content-Encoding", "gzip")
			whole := zipped(body)
			send(w, whole[:len(whole)-2])
		}},
		{"gzip with a flipped bit", func(w http.ResponseWriter, body string) {
			w.Header().Set("Content-Encoding", "gzip")
			whole := []byte(zipped(body))
			whole[len(whole)-6] ^= 1
			send(w, string(whole))
		}},
		{"gzip announced, but plain", func(w http.ResponseWriter, body string) {
			w.Header().Set("Content-Encoding", "gzip")
			send(w, body)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, asked := onWire(t, 2, tt.fault)
			changes, cursor, err := read(c.Changes(t.Context(), graph.Users, ""))
			if err != nil || cursor == "" || len(changes) != 1 || asked.Load() < 3 {
				t.Errorf("%d changes, cursor %q, error %v after %d requests", len(changes), cursor, err, asked.Load())
			}
		})
	}
}

func TestBodyIsBoundedAfterDecompression(t *testing.T) {
	bomb := zipped(strings.Repeat(" ", 8<<20))
	c, _ := onWire(t, 1, func(w http.ResponseWriter, _ string) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, bomb)
	})
	_, _, err := read(c.Changes(t.Context(), graph.Users, ""))
	checkSentinel(t, err, graph.ErrProtocol)
	if got := c.Status().Bytes; got > 1<<20+1 {
		t.Errorf("%d bytes were read", got)
	}
}

func TestSlowDripIsBrokenOff(t *testing.T) {
	stop := make(chan struct{})
	c, _ := onWire(t, 99, func(w http.ResponseWriter, body string) {
		for i := range body {
			_, err := io.WriteString(w, body[i:i+1])
			if err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-stop:
				return
			}
		}
	}, func(cfg *graph.Config) {
		cfg.Retry = graph.Retry{Tries: 2, Base: time.Millisecond, Attempt: 100 * time.Millisecond}
	})
	t.Cleanup(func() { close(stop) }) // before the server closes, which waits for it
	_, _, err := read(c.Changes(t.Context(), graph.Users, ""))
	checkSentinel(t, err, graph.ErrUnavailable)
	if !strings.Contains(err.Error(), "no complete answer in time") {
		t.Errorf("error %v", err)
	}
}

func TestTokenIsNeverSentElsewhere(t *testing.T) {
	var leaked atomic.Bool
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked.Store(true) }))
	t.Cleanup(evil.Close)
	for _, status := range []int{301, 302, 303, 307, 308, 410} {
		c, _ := onWire(t, 99, func(w http.ResponseWriter, _ string) {
			w.Header().Set("Location", evil.URL)
			w.WriteHeader(status)
		})
		_, _, err := read(c.Changes(t.Context(), graph.Users, ""))
		want := graph.ErrProtocol
		if status == 410 {
			want = graph.ErrResync
		}
		checkSentinel(t, err, want)
	}
	c, _ := onWire(t, 99, func(w http.ResponseWriter, _ string) {
		_, _ = io.WriteString(w, `{"value":[],"@odata.nextLink":"`+evil.URL+`/graph/v1.0/users/delta"}`)
	})
	_, _, err := read(c.Changes(t.Context(), graph.Users, ""))
	checkSentinel(t, err, graph.ErrProtocol)
	if leaked.Load() {
		t.Error("a request went elsewhere")
	}
}

func TestSecretIsNeverSentElsewhere(t *testing.T) {
	var leaked atomic.Bool
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked.Store(true) }))
	t.Cleanup(evil.Close)
	login := httptest.NewServer(http.RedirectHandler(evil.URL, http.StatusTemporaryRedirect))
	t.Cleanup(login.Close)
	c := newClient(t, nil, func(cfg *graph.Config) { cfg.LoginURL, cfg.HTTPClient = login.URL, login.Client() })
	_, err := c.Claims(t.Context())
	checkSentinel(t, err, graph.ErrUnavailable)
	var refused *graph.LoginError
	if !errors.As(err, &refused) || refused.Status != 307 || leaked.Load() {
		t.Errorf("error %v, secret sent elsewhere: %v", err, leaked.Load())
	}
}

func TestWrongServerCertificateIsNotRetried(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	c := newClient(t, nil, func(cfg *graph.Config) { cfg.LoginURL, cfg.HTTPClient = srv.URL, nil })
	_, err := c.Claims(t.Context())
	checkSentinel(t, err, graph.ErrUnavailable)
	if s := c.Status(); s.TokenFetches != 1 || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%d tries, error %v", s.TokenFetches, err)
	}
}

func TestConnectionIsKept(t *testing.T) {
	var conns atomic.Int32
	n := 0
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if n++; req.Method == http.MethodPost {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"expires_in":3599,"access_token":"t"}`)
			return
		}
		_, _ = io.WriteString(w, strings.Repeat(" ", 100_000)+`7`)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	c := newClient(t, nil, func(cfg *graph.Config) { cfg.GraphURL, cfg.LoginURL, cfg.HTTPClient = srv.URL, srv.URL, nil })
	for range 10 {
		if _, err := c.Count(t.Context(), graph.Users); err != nil {
			t.Fatal(err)
		}
	}
	if got := conns.Load(); got != 1 {
		t.Errorf("%d connections for %d requests", got, n)
	}
}
