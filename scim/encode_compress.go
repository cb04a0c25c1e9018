package scim

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// minCompressed is the length from which compressing saves a packet.
	minCompressed = 1400
	// maxBuffered is the length up to which the compressed body is made before
	// it is sent, so that its length is known. Longer ones are streamed.
	maxBuffered = 64 << 10
)

// A compressor writes one content coding.
type compressor interface {
	io.WriteCloser
	Reset(io.Writer)
}

// A contentCoding is a way to compress (RFC 9110 §8.4.1). The levels are the
// fast ones: a page is made for one client at one time.
type contentCoding struct {
	name string
	pool sync.Pool // of compressor
}

var gzipCoding = &contentCoding{name: "gzip", pool: sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}}

// codings are what we can, the best first: of gzip the directory has most of a
// page ready (encode_packed.go), and on the rest gzip at its fastest was faster
// than zstd at its.
var codings = []*contentCoding{
	gzipCoding,
	{name: "zstd", pool: sync.Pool{New: func() any {
		// One goroutine and a small window bound the memory of each encoder.
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(err) // the options are constants
		}
		return e
	}}},
}

// coding gives the coding that the client likes best, nil for none. Of those
// that it likes alike it gets ours.
func coding(accept []string) *contentCoding {
	if len(accept) == 0 {
		return nil
	}
	var best *contentCoding
	plain, _ := quality(accept, "identity")
	most := 0
	for _, c := range codings {
		// Only a coding named counts: * is said by clients that read none.
		if q, named := quality(accept, c.name); named && q > most && q >= plain {
			best, most = c, q
		}
	}
	return best
}

// quality gives the weight in thousandths that Accept-Encoding gives a coding,
// and whether it names it (RFC 9110 §12.5.3).
func quality(accept []string, name string) (weight int, named bool) {
	for _, field := range accept {
		for item := range strings.SplitSeq(field, ",") {
			token, parameter, _ := strings.Cut(item, ";")
			token = strings.TrimSpace(token)
			if !strings.EqualFold(token, name) && !(name == "gzip" && strings.EqualFold(token, "x-gzip")) {
				continue
			}
			return weightOf(parameter), true
		}
	}
	return 0, false
}

// weightOf reads a q parameter in thousandths. One that cannot be read is 0: it
// asks for nothing that we understand.
func weightOf(parameter string) int {
	name, value, given := strings.Cut(parameter, "=")
	if !given {
		return 1000
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if !strings.EqualFold(strings.TrimSpace(name), "q") || err != nil || !(q >= 0 && q <= 1) {
		return 0
	}
	return int(q * 1000)
}

// sendCompressed sends the body in a content coding.
func (x *exchange) sendCompressed(b *body, c *contentCoding, size int64) {
	header := x.w.Header()
	header.Set("Content-Encoding", c.name)
	if x.r.Method == http.MethodHead {
		x.begin(http.StatusOK)
		return
	}
	if size > maxBuffered {
		x.begin(http.StatusOK)
		x.err = c.encode(writerFunc(func(p []byte) (int, error) {
			x.write(p)
			return len(p), x.err
		}), b)
		return
	}
	var small bytes.Buffer
	if x.err = c.encode(&small, b); x.err != nil {
		panic(x.err) // a buffer takes everything
	}
	header.Set("Content-Length", strconv.Itoa(small.Len()))
	x.begin(http.StatusOK)
	x.write(small.Bytes())
}

// encode writes the body compressed. After a failed write the compressor is
// not used again, since its buffer may still be read.
func (c *contentCoding) encode(w io.Writer, b *body) error {
	z := c.pool.Get().(compressor)
	z.Reset(w)
	var fault error
	b.writeTo(func(all net.Buffers) {
		for _, p := range all {
			if fault == nil {
				_, fault = z.Write(p)
			}
		}
	}, direct)
	if fault == nil {
		fault = z.Close()
	}
	if fault == nil {
		z.Reset(io.Discard) // let go of the connection
		c.pool.Put(z)
	}
	return fault
}

// writerFunc makes a writer of a function.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
