package tests

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"scimbridge/sync/graph/graphtest"
)

// Slow, broken and hostile clients, a bounded number of each, beside a good one:
// its imports are whole, and nothing of the others is left when they have gone.
func TestGoodImportAmongHostileClients(t *testing.T) {
	const people, rounds = 2000, 5
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 11}, people, 20))
	b := newBridge(t)
	b.configure(tenant.source("contoso"))
	b.start()
	b.ready()
	address := strings.TrimSuffix(strings.TrimPrefix(b.scim, "http://"), "/scim/v2")
	done := make(chan struct{})
	var hostile sync.WaitGroup
	// each runs a client's connections one after another, until the good one is
	// done or it has had its turns.
	each := func(clients, turns int, talk func(conn net.Conn, n int)) {
		for range clients {
			hostile.Go(func() {
				for n := range turns {
					select {
					case <-done:
						return
					default:
					}
					conn, err := net.DialTimeout("tcp", address, patience)
					if err != nil {
						t.Errorf("connecting: %v", err)
						return
					}
					talk(conn, n)
					conn.Close()
				}
			})
		}
	}
	page := "GET /scim/v2/Users?count=5000 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + bridgeToken + "\r\n\r\n"
	each(40, 1, func(conn net.Conn, _ int) { // headers that never end
		for i := range 1000 {
			if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nX-%d: y\r\n", i); err != nil {
				return
			}
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond): // its way of being slow
			}
		}
	})
	each(10, 1, func(conn net.Conn, _ int) { // asks for everything and does not read
		_, _ = io.WriteString(conn, page)
		<-done
	})
	each(4, 20, func(conn net.Conn, _ int) { // hangs up in the middle of the answer
		_, _ = io.WriteString(conn, page)
		_, _ = io.ReadFull(conn, make([]byte, 10_000))
	})
	each(4, 30, func(conn net.Conn, n int) { // does not speak HTTP, or not well
		nonsense := []string{"\x16\x03\x01\x02\x00\x01", "GET\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", strings.Repeat("A", 70_000),
			"POST /scim/v2/Users/.search HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + bridgeToken + "\r\nContent-Length: 1000000000\r\n\r\n{",
			"GET /scim/v2/Users?filter=" + strings.Repeat("(", 20_000) + " HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET /scim/v2/Users HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nzz\r\n"}
		_, _ = io.WriteString(conn, nonsense[n%len(nonsense)])
		_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		_, _ = io.Copy(io.Discard, conn)
	})
	each(8, 10, func(conn net.Conn, n int) { // guesses
		fmt.Fprintf(conn, "GET /scim/v2/Users HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer guess-%d\r\n\r\n", n)
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 401 ") {
			t.Errorf("a guess got %.100q, %v", answer, err)
		}
	})
	for range rounds {
		if got := len(b.list("/Users", 100)); got != people {
			t.Errorf("the import has %d people, want %d", got, people)
		}
	}
	close(done)
	hostile.Wait()
	b.eventually("their connections are gone", func() error {
		var st struct {
			Endpoint struct {
				InFlight     int
				Connections  int
				AuthFailures int
			}
		}
		b.adminGet("/api/v1/status", &st)
		if st.Endpoint.InFlight > 0 || st.Endpoint.Connections > 3 {
			return fmt.Errorf("%+v", st.Endpoint)
		}
		if st.Endpoint.AuthFailures == 0 {
			return errors.New("no guess was counted")
		}
		return nil
	})
	if status, _ := b.get(b.admin+"/healthz", nil); status != http.StatusOK {
		t.Errorf("health is %d", status)
	}
	if strings.Contains(b.logged(), "panic") {
		t.Error("the log tells of a panic")
	}
}
