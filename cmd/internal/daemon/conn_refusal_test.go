package daemon_test

import (
	"bufio"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"scimbridge/cmd/internal/daemon"
)

// watching has the connections of a listener watched as those of the endpoint are.
type watching struct{ net.Listener }

func (l watching) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return daemon.Watched(conn), nil
}

// What is no HTTP is answered before any handler sees it, in a SCIM error all the same.
func TestWhatIsNoRequestGetsASCIMError(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, `{"from":"the handler"}`, http.StatusBadRequest)
	})
	start := func(start func(*httptest.Server)) string {
		server := httptest.NewUnstartedServer(handler)
		server.Listener = watching{server.Listener}
		server.Config.MaxHeaderBytes = 64 << 10
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		start(server)
		t.Cleanup(server.Close)
		return server.Listener.Addr().String()
	}
	plain, secure := start((*httptest.Server).Start), start((*httptest.Server).StartTLS)
	for _, tt := range []struct {
		name, addr, request string
		status              int
		detail              string
	}{
		{"a blank in the URL", plain, "GET /Users?filter=userName eq \"x\" HTTP/1.1\r\nHost: x\r\n\r\n", 400, "%20"},
		{"no version", plain, "GET /Users\r\n\r\n", 400, "no HTTP request"},
		{"no host", plain, "GET /Users HTTP/1.1\r\n\r\n", 400, "Host"},
		{"two hosts", plain, "GET /Users HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, "no HTTP request"},
		{"a bad name", plain, "GET /Users HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n", 400, ""},
		{"a bad value", plain, "GET /Users HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n", 400, ""},
		{"too large a header", plain, "GET /Users HTTP/1.1\r\nHost: x\r\nCookie: " + strings.Repeat("a", 80_000) + "\r\n\r\n", 431, "64 KiB"},
		{"a transfer coding", plain, "POST /.search HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "chunked"},
		{"HTTP/3.0", plain, "GET /Users HTTP/3.0\r\nHost: x\r\n\r\n", 505, "HTTP/1.1"},
		{"HTTP to HTTPS", secure, "GET /Users HTTP/1.1\r\nHost: x\r\n\r\n", 400, "https://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer, body := talk(t, tt.addr, tt.request)
			var e struct {
				Schemas        []string
				Status, Detail string
			}
			if err := json.Unmarshal(body, &e); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			if answer.StatusCode != tt.status || !strings.HasPrefix(answer.Status+" ", e.Status+" ") || !answer.Close ||
				answer.Header.Get("Content-Type") != "application/scim+json" || !strings.Contains(e.Detail, tt.detail) ||
				len(e.Schemas) != 1 || e.Schemas[0] != "urn:ietf:params:scim:api:messages:2.0:Error" {
				t.Errorf("%s %v\n%s", answer.Status, answer.Header, body)
			}
		})
	}
	if answer, body := talk(t, plain, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); string(body) != "{\"from\":\"the handler\"}\n" {
		t.Errorf("a handler's own answer: %s %s", answer.Status, body)
	}
}

// talk sends a request to the letter and reads the answer.
func talk(t *testing.T, addr, request string) (*http.Response, []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// In the background: a server that has refused need not read to the end.
	go func() { _, _ = io.WriteString(conn, request) }()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, body
}
