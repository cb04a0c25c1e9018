package scim

import (
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"scimbridge/scim/directory"
)

// contentType is that of every body (RFC 7644 §8.1), without parameters: some
// importers compare it as a whole. The bodies are ASCII.
const contentType = "application/scim+json"

// Headers that are the same in all answers; they are never changed.
var (
	typeHeader   = []string{contentType}
	cacheHeader  = []string{"private, no-cache"}
	varyHeader   = []string{"Accept-Encoding, Authorization"}
	packedHeader = []string{"gzip"}
)

const (
	// direct is the length from which a piece is written as it is. Shorter ones
	// are copied together first: a write each would cost more than the copying.
	direct = 32 << 10
	// apart is that length where all pieces are written at once.
	apart = 2 << 10
	// alone is the length of a body up to which header and body fit into the buffer
	// of net/http, and leave in one write without being told to.
	alone = 3500
	// bufferSize is how much is copied together into one write.
	bufferSize = 128 << 10
	// maxScratch is the most memory that a body kept for reuse may hold on to.
	maxScratch = 4 << 20
)

// A body is an answer's body in pieces that are written one after the other.
// Most lie in the directory's mapped files and are never copied.
type body struct {
	pieces  [][]byte
	parts   []directory.Piece // of a packed page, of which pieces are made
	scratch []byte            // backs the pieces that are made for this answer
	done    int               // of scratch: what is in pieces
	buffer  []byte            // where short pieces are copied together
	out     net.Buffers       // what is written

	held directory.Resource // what a projection is looking at
}

var bodies = sync.Pool{New: func() any { return &body{buffer: make([]byte, 0, bufferSize)} }}

// newBody takes an empty body.
func newBody() *body { return bodies.Get().(*body) }

// free gives a body back.
func (b *body) free() {
	clear(b.pieces) // they must not keep a view's files, or other memory, alive
	clear(b.parts)
	clear(b.out[:cap(b.out)])
	b.pieces, b.parts, b.scratch, b.done, b.held = b.pieces[:0], b.parts[:0], b.scratch[:0], 0, directory.Resource{}
	if cap(b.scratch) <= maxScratch && cap(b.pieces) <= maxScratch/24 && cap(b.out) <= maxScratch/24 && cap(b.parts) <= maxScratch/64 {
		bodies.Put(b)
	}
}

// cut makes a piece of what has been appended to scratch.
func (b *body) cut() {
	b.pieces = append(b.pieces, b.scratch[b.done:len(b.scratch):len(b.scratch)])
	b.done = len(b.scratch)
}

// size is the body's length in bytes.
func (b *body) size() (n int64) {
	for _, p := range b.pieces {
		n += int64(len(p))
	}
	return n
}

// writeTo writes the body in few calls of write, which keeps nothing of what it is
// given. Pieces of at least long bytes are given as they lie, shorter ones are copied
// together.
func (b *body) writeTo(write func(net.Buffers), long int) {
	buffer, from := b.buffer[:0], 0
	b.out = b.out[:0]
	cut := func() {
		if from < len(buffer) {
			b.out = append(b.out, buffer[from:])
		}
		from = len(buffer)
	}
	for _, p := range b.pieces {
		if len(p) >= long {
			cut()
			b.out = append(b.out, p)
			continue
		}
		if len(buffer)+len(p) > cap(buffer) {
			cut()
			write(b.out)
			buffer, from, b.out = buffer[:0], 0, b.out[:0]
		}
		buffer = append(buffer, p...)
	}
	cut()
	write(b.out)
}

// An AllWriter is a ResponseWriter that writes many slices at once, from where they
// lie: for the whole of a body, or parts of it one after the other.
type AllWriter interface {
	WriteAll(body net.Buffers) (int64, error)
}

// sendBody writes the body after the header.
func (x *exchange) sendBody(b *body, size int64) {
	if x.r.Method == http.MethodHead {
		return
	}
	if w, ok := x.w.(AllWriter); ok && size >= alone {
		b.writeTo(func(all net.Buffers) {
			if x.err == nil {
				var n int64
				n, x.err = w.WriteAll(all)
				x.bytes += n
			}
		}, apart)
		return
	}
	b.writeTo(func(all net.Buffers) {
		for _, p := range all {
			x.write(p)
		}
	}, direct)
}

// sendPage answers with a list.
func sendPage(x *exchange, p *page, proj *projection) {
	b := newBody()
	if proj == nil && p.items >= packedItems && coding(x.r.Header["Accept-Encoding"]) == gzipCoding {
		p.pack(b)
		b.gzip()
		x.sendPacked(b)
	} else {
		p.gather(b, proj)
		x.send(b)
	}
	x.release(b, p.view)
}

// sendResource answers with one resource.
func sendResource(x *exchange, v *directory.View, r directory.Resource, proj *projection) {
	b := newBody()
	b.held = r
	b.pieces, b.scratch = proj.pieces(b.pieces, b.scratch, &b.held)
	x.send(b)
	x.release(b, v)
}

// lingering is how long what was being written when a write failed is left
// alone.
const lingering = time.Minute

// release lets go of a body that has been written, and of the view whose files
// it lies in; nil is no view. A failed write may still be reading: the HTTP/2
// server gives up on a stream without waiting for the frame that is on its way.
func (x *exchange) release(b *body, v *directory.View) {
	if x.err != nil {
		time.AfterFunc(lingering, func() { runtime.KeepAlive(v) })
		return // b is left to the garbage collector
	}
	b.free()
	runtime.KeepAlive(v)
}

// send answers 200 with the body, compressed if the client likes that.
func (x *exchange) send(b *body) {
	header := x.w.Header()
	size := b.size()
	header["Content-Type"] = typeHeader
	cacheable(header)
	if c := coding(x.r.Header["Accept-Encoding"]); c != nil && size >= minCompressed {
		x.sendCompressed(b, c, size)
		return
	}
	header["Content-Length"] = x.field(2, strconv.FormatInt(size, 10))
	x.begin(http.StatusOK)
	x.sendBody(b, size)
}

// cacheable says who may keep the answer: the client alone, and it must ask
// each time whether it still holds.
func cacheable(header http.Header) {
	header["Cache-Control"] = cacheHeader
	header["Vary"] = varyHeader
}

// notModified answers 304 if the client has what ETag names (RFC 9110 §13.1.2).
// If-Modified-Since is not looked at: its whole seconds are coarser than our
// changes, so a client could miss one.
func (x *exchange) notModified() bool {
	header := x.w.Header()
	tag := header.Get("ETag")
	if tag == "" || !matches(x.r.Header["If-None-Match"], tag) {
		return false
	}
	cacheable(header)
	x.respond(http.StatusNotModified, nil)
	return true
}

// matches says whether one of the listed entity tags is tag, by weak comparison
// (RFC 9110 §8.8.3.2), or any is asked for.
func matches(fields []string, tag string) bool {
	tag = strings.TrimPrefix(tag, "W/")
	for _, field := range fields {
		if strings.TrimSpace(field) == "*" {
			return true
		}
		for field != "" {
			_, rest, found := strings.Cut(field, `"`)
			opaque, rest, closed := strings.Cut(rest, `"`)
			if !found || !closed {
				break
			}
			if opaque == tag[1:len(tag)-1] {
				return true
			}
			field = rest
		}
	}
	return false
}

// A stamp is a second as it stands in headers.
type stamp struct {
	second int64
	text   string
}

// httpTime is a time in a header, in whole seconds: never later than it was. Most
// answers have that of the one before.
func (h *Handler) httpTime(t time.Time) string {
	s := h.stamp.Load()
	if s == nil || s.second != t.Unix() {
		s = &stamp{t.Unix(), t.UTC().Format(http.TimeFormat)}
		h.stamp.Store(s)
	}
	return s.text
}

// location is the URL of a resource, as its meta.location has it.
func (h *Handler) location(r directory.Resource) string {
	return h.cfg.BaseURL + r.Type().Endpoint() + "/" + url.PathEscape(r.ID())
}

// maxAgent bounds what is kept of a User-Agent.
const maxAgent = 200

// agent is the User-Agent of a request, a part of its header: whoever keeps it
// clones it.
func agent(r *http.Request) string {
	name := r.UserAgent()
	return name[:min(len(name), maxAgent)]
}

// peer names the connection of a request; it is empty where a proxy stands
// between, whose connections say nothing about who asks.
func peer(r *http.Request) string {
	for _, name := range [...]string{"Forwarded", "X-Forwarded-For", "Via"} {
		if values := r.Header[name]; len(values) > 0 && values[0] != "" {
			return ""
		}
	}
	return r.RemoteAddr
}
