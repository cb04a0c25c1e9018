package daemon_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"scimbridge/cmd/internal/daemon"
	"scimbridge/scim"
)

// counting counts the writes on the connections of a listener, but for those of
// many slices at once.
type counting struct {
	net.Listener
	writes *atomic.Int64
}

type countingConn struct {
	*net.TCPConn
	writes *atomic.Int64
}

func (l counting) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{conn.(*net.TCPConn), l.writes}, nil
}

func (c countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.TCPConn.Write(p)
}

// An answer that is written as a whole leaves with its header in one piece,
// whatever it consists of; where it can't, it arrives all the same.
func TestAnswersLeaveInOnePiece(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789"), 40_000)
	many := make(net.Buffers, 3000)
	for i := range many {
		many[i] = long[i : i+100]
	}
	bodies := map[string]net.Buffers{
		"/none": nil, "/short": {[]byte("short")}, "/sniffed": {long[:512]}, "/page": {[]byte("["), long, []byte("]")}, "/many": many,
	}
	handler := daemon.Whole(func(w http.ResponseWriter, r *http.Request) {
		body := bodies[r.URL.Path]
		if r.URL.RawQuery == "" {
			w.Header().Set("Content-Length", strconv.Itoa(len(bytes.Join(body, nil))))
		}
		all, ok := w.(scim.AllWriter)
		if ok != (r.TLS == nil) {
			t.Errorf("%v: with TLS %t, written as a whole %t", r.URL, r.TLS != nil, ok)
		}
		if !ok {
			w.Write(bytes.Join(body, nil))
			return
		}
		for part := range slices.Chunk(body, 2000) {
			if _, err := all.WriteAll(slices.Clone(part)); err != nil {
				t.Errorf("%v: %v", r.URL, err)
			}
		}
	})
	for _, secure := range []bool{false, true} {
		var writes atomic.Int64
		server := httptest.NewUnstartedServer(handler)
		server.Listener = watching{counting{server.Listener, &writes}}
		server.Config.ConnContext = daemon.ConnContext
		if secure {
			server.StartTLS()
		} else {
			server.Start()
		}
		defer server.Close()
		for path, body := range bodies {
			for _, unknown := range []string{"", "?chunked"} {
				before := writes.Load()
				res, err := server.Client().Get(server.URL + path + unknown)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				if want := bytes.Join(body, nil); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s%s: %d bytes (%v), want %d", path, unknown, len(got), err, len(want))
				}
				if n := writes.Load() - before; !secure && unknown == "" && len(got) > 512 && n != 0 {
					t.Errorf("%s: %d writes beside the one of all", path, n)
				}
			}
		}
	}
}

// A deadline that was set a moment ago is left alone, and one that another has set
// does not hold for the next write.
func TestWritesHaveTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		conn := daemon.Watched(ours)
		defer conn.Close()
		go io.Copy(io.Discard, theirs)
		for _, step := range []func(){
			func() {},
			func() { time.Sleep(daemon.StallTime / 2) },
			func() { time.Sleep(daemon.StallTime * 2) },
			func() { conn.SetWriteDeadline(time.Time{}); time.Sleep(daemon.StallTime - time.Second) },
			func() { conn.SetWriteDeadline(time.Now().Add(-time.Second)) },
			func() { conn.SetDeadline(time.Now().Add(-time.Second)) },
		} {
			step()
			if _, err := conn.Write([]byte("x")); err != nil {
				t.Error(err)
			}
		}
	})
}

// A piece of a body that reads like a refusal of net/http's is no such refusal.
func TestBodiesAreNotReworded(t *testing.T) {
	for _, piece := range []string{
		`HTTP/1.1 505 is what the old proxy says","members":[{"value":"1"}]}`, `HTTP/1.1 400 Bad Request: see the wiki"}`,
	} {
		ours, theirs := net.Pipe()
		conn := daemon.Watched(ours)
		go func() {
			io.WriteString(conn, piece)
			conn.Close()
		}()
		if got, err := io.ReadAll(theirs); err != nil || string(got) != piece {
			t.Errorf("%q (%v), want %q", got, err, piece)
		}
	}
}
