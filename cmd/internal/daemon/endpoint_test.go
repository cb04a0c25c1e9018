package daemon_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scimbridge/cmd/internal/daemon"
)

func TestCallerBehindProxies(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("2001:db8::/64")}
	for name, c := range map[string]struct {
		remote string
		header []string
		want   string
	}{
		"nobody between":                             {"203.0.113.7:1", nil, "203.0.113.7"},
		"a stranger's header is not believed":        {"203.0.113.7:1", []string{"192.0.2.1"}, "203.0.113.7"},
		"a proxy's is":                               {"10.0.0.1:1", []string{"192.0.2.1"}, "192.0.2.1"},
		"a proxy that says nothing is the caller":    {"10.0.0.1:1", nil, "10.0.0.1"},
		"what the client wrote itself is not":        {"10.0.0.1:1", []string{"198.51.100.1, 192.0.2.1"}, "192.0.2.1"},
		"two proxies":                                {"10.0.0.1:1", []string{"198.51.100.1, 192.0.2.1, 10.2.3.4"}, "192.0.2.1"},
		"in several headers":                         {"10.0.0.1:1", []string{"198.51.100.1", "192.0.2.1", "10.2.3.4"}, "192.0.2.1"},
		"proxies only":                               {"10.0.0.1:1", []string{"10.0.0.3"}, "10.0.0.3"},
		"nonsense ends the chain":                    {"10.0.0.1:1", []string{"192.0.2.1, unknown"}, "10.0.0.1"},
		"an address with port":                       {"10.0.0.1:1", []string{"192.0.2.1:8443"}, "192.0.2.1"},
		"IPv6 with brackets":                         {"[2001:db8::1]:1", []string{"[2001:db8:1::5]"}, "2001:db8:1::5"},
		"IPv6 with port":                             {"[2001:db8::1]:1", []string{"[2001:db8:1::5]:99"}, "2001:db8:1::5"},
		"an IPv4 address in IPv6 is the IPv4 one":    {"[::ffff:10.0.0.1]:1", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		"the peer of a Unix socket is this machine":  {"@", []string{"192.0.2.1"}, "192.0.2.1"},
		"an empty header is none":                    {"10.0.0.1:1", []string{""}, "10.0.0.1"},
		"zones are dropped, as no list can name one": {"[fe80::1%eth0]:1", nil, "fe80::1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr, r.Header["X-Forwarded-For"] = c.remote, c.header
			if got := daemon.Caller(r, proxies); got.String() != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func FuzzCaller(f *testing.F) {
	f.Add("10.0.0.1:1", "198.51.100.1, 192.0.2.1")
	f.Add("@", "[::1]:5,,")
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, remote, header string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr, r.Header = remote, http.Header{"X-Forwarded-For": {header}}
		got := daemon.Caller(r, proxies)
		if !got.IsValid() || got.Is4In6() || got.Zone() != "" {
			t.Errorf("%q, %q: %v", remote, header, got)
		}
		r.Header = nil
		if direct := daemon.Caller(r, proxies); !proxies[0].Contains(direct) && got != direct {
			t.Errorf("%q is no proxy, but %q was believed: %v", remote, header, got)
		}
	})
}

// A client on a slow line gets its page however long that takes; one that has
// stopped reading is cut.
func TestSlowIsNotStalled(t *testing.T) {
	page := bytes.Repeat([]byte("x"), 100*daemon.StallBytes)
	for way, write := range map[string]func(net.Conn) error{
		"at once": func(conn net.Conn) error {
			_, err := conn.Write(page)
			return err
		},
		"in slices": func(conn net.Conn) error {
			n := len(page)
			_, err := conn.(io.ReaderFrom).ReadFrom(&net.Buffers{page[:7], page[7 : n/2], page[n/2 : n-2], page[n-2:]})
			return err
		},
	} {
		t.Run(way, func(t *testing.T) { testStalling(t, page, write) })
	}
}

func testStalling(t *testing.T, page []byte, write func(net.Conn) error) {
	t.Run("slow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			go func() {
				if err := write(daemon.Watched(ours)); err != nil {
					t.Errorf("writing: %v", err)
				}
				ours.Close()
			}()
			var got []byte
			for buf := make([]byte, daemon.StallBytes+1); ; time.Sleep(daemon.StallTime - time.Second) {
				n, err := io.ReadFull(theirs, buf)
				if got = append(got, buf[:n]...); err != nil {
					break
				}
			}
			if !bytes.Equal(got, page) {
				t.Errorf("read %d of %d bytes", len(got), len(page))
			}
		})
	})
	for name, each := range map[string]int{"stalled": 0, "dripping": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				var reading sync.WaitGroup
				defer reading.Wait() // before the bubble's time stops
				defer theirs.Close()
				ended := make(chan error, 1)
				go func() {
					ended <- write(daemon.Watched(ours))
					ours.Close()
				}()
				reading.Go(func() {
					for buf := make([]byte, each); each > 0; time.Sleep(time.Second) {
						if _, err := theirs.Read(buf); err != nil {
							return
						}
					}
				})
				start := time.Now()
				if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != daemon.StallTime {
					t.Errorf("cut after %v with %v", time.Since(start), err)
				}
			})
		})
	}
}

type fakeConn struct {
	net.Conn
	closed chan bool
}

func (c fakeConn) Close() error { c.closed <- true; return nil }

// Where there is no room, those that never asked anything go first, then those
// idle for longest; nobody who is in a request does.
func TestRoomForConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state, open := daemon.Conns(4)
		conn := func(states ...http.ConnState) fakeConn {
			c := fakeConn{closed: make(chan bool, 1)}
			for _, s := range append([]http.ConnState{http.StateNew}, states...) {
				state(c, s)
			}
			time.Sleep(time.Second)
			return c
		}
		idleLong := conn(http.StateActive, http.StateIdle)
		busy := conn(http.StateActive)
		silent := conn()
		idle := conn(http.StateActive, http.StateIdle)
		for _, victim := range []fakeConn{silent, idleLong, idle} {
			conn(http.StateActive)
			synctest.Wait()
			if len(victim.closed) != 1 {
				t.Fatalf("the wrong one was closed")
			}
			state(victim, http.StateClosed)
		}
		extra := conn() // all others are in requests: it may stay for now
		synctest.Wait()
		if len(busy.closed)+len(extra.closed) != 0 || open() != 5 {
			t.Errorf("%d open, busy closed %d, new closed %d", open(), len(busy.closed), len(extra.closed))
		}
	})
}

func TestGuessersAreSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := daemon.NewGuesser()
		for i := range daemon.GuessBurst {
			if took := g.Wrong("203.0.113.7"); took != 0 {
				t.Fatalf("wrong credentials no. %d waited %v", i+1, took)
			}
		}
		if took := g.Wrong("203.0.113.7"); took != daemon.GuessDelay {
			t.Errorf("the next waited %v", took)
		}
		if took := g.Wrong("203.0.113.8"); took != 0 {
			t.Errorf("another address waited %v", took)
		}
		for range daemon.GuessBurst {
			g.Wrong("2001:db8::1")
		}
		if took := g.Wrong("2001:db8::ffff"); took != daemon.GuessDelay {
			t.Errorf("another address of the same customer waited %v", took)
		}
		time.Sleep(time.Minute)
		if took := g.Wrong("203.0.113.7"); took != 0 {
			t.Errorf("a minute later it waited %v", took)
		}
	})
}

func TestAllowListBehindAProxy(t *testing.T) {
	w := newWorld(t)
	w.configure("", "token_file: client.token}", "token_file: client.token, allow: [192.0.2.1]}\n  trusted_proxies: [127.0.0.1]")
	w.start()
	for from, want := range map[string]int{"192.0.2.1": http.StatusOK, "192.0.2.2": http.StatusForbidden, "192.0.2.1, 192.0.2.2": http.StatusForbidden} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.daemon.SCIMAddr().String()+"/scim/v2/Users?count=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+clientToken)
		req.Header.Set("X-Forwarded-For", from)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("for %s: %d, want %d", from, res.StatusCode, want)
		}
	}
}

func TestLimitsOfRequests(t *testing.T) {
	w := newWorld(t)
	w.start()
	base := "http://" + w.daemon.SCIMAddr().String() + "/scim/v2"
	if status, body := w.ask(base+"/Users?filter="+strings.Repeat("x", 20<<10), clientToken); status != http.StatusRequestURITooLong || !strings.Contains(body, `"status":"414"`) {
		t.Errorf("a long URI: %d %s", status, body)
	}
	// Depending on who is faster the client reads the answer or a closed line.
	if status, body := w.ask(base+"/Users?count=1", strings.Repeat("x", 100<<10)); status != http.StatusRequestHeaderFieldsTooLarge && status != 0 {
		t.Errorf("a long header: %d %s", status, body)
	}
	if status, _ := w.ask(base+"/Users?count=1", "wrong"); status != http.StatusUnauthorized {
		t.Errorf("a wrong token: %d", status)
	}
}
