package scim

import (
	"encoding/binary"
	"hash/crc32"
	"net/http"
	"strconv"
	"sync"

	"github.com/klauspost/compress/flate"

	"scimbridge/scim/directory"
)

// A list is sent by gzip without being compressed: the directory has the
// resources in blocks of compressed data, which are put one after the other
// between the header and the trailer of a gzip stream (RFC 1952). What is over
// at the edges is compressed here.

const (
	// packedItems is the number of resources from which a page can have a block.
	packedItems = 25
	// stored is the length up to which bytes are put into the stream as they
	// are: compressing them saves nothing worth the time.
	stored = 512
)

var (
	// No name, no time, no system.
	gzipHeader = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}
	// An empty block that is the last.
	lastBlock = []byte{1, 0, 0, 0xff, 0xff}
)

var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// pack puts the parts that together are the page into b.parts, like gather.
func (p *page) pack(b *body) {
	b.scratch = p.appendHead(b.scratch)
	b.done = len(b.scratch)
	b.parts = append(b.parts, directory.Piece{Plain: b.scratch[:b.done:b.done]})
	first := true
	p.result.cut(p.start-1, p.start-1+p.items, func(s section, i, j int) {
		for i < j {
			if !first {
				b.parts = append(b.parts, directory.Piece{Plain: comma})
			}
			first = false
			t, at := s.place(i)
			run := s.run(i, j)
			b.parts = p.view.PackedPieces(b.parts, t, at, at+run)
			i += run
		}
	})
	b.parts = append(b.parts, directory.Piece{Plain: listTail})
}

// gzip makes the body's pieces of its parts: one gzip stream.
func (b *body) gzip() {
	b.pieces = append(b.pieces, gzipHeader)
	var crc, size uint32
	for i := 0; i < len(b.parts); {
		if p := &b.parts[i]; p.Plain == nil {
			b.pieces = append(b.pieces, p.Deflated)
			crc = joinCRC(crc, p.CRC, p.Size)
			size += uint32(p.Size)
			i++
			continue
		}
		from, length := i, 0
		for ; i < len(b.parts) && b.parts[i].Plain != nil; i++ {
			crc = crc32.Update(crc, crc32.IEEETable, b.parts[i].Plain)
			length += len(b.parts[i].Plain)
		}
		size += uint32(length)
		b.deflate(b.parts[from:i], length)
	}
	b.scratch = append(b.scratch, lastBlock...)
	b.scratch = binary.LittleEndian.AppendUint32(b.scratch, crc)
	b.scratch = binary.LittleEndian.AppendUint32(b.scratch, size)
	b.cut()
}

// deflate adds plain parts to the stream, in blocks that end at a byte.
func (b *body) deflate(parts []directory.Piece, length int) {
	if length <= stored {
		b.scratch = append(b.scratch, 0, byte(length), byte(length>>8), ^byte(length), ^byte(length>>8))
		for _, p := range parts {
			b.scratch = append(b.scratch, p.Plain...)
		}
		b.cut()
		return
	}
	z := deflaters.Get().(*flate.Writer)
	z.Reset(scratchWriter{b})
	for _, p := range parts {
		if _, err := z.Write(p.Plain); err != nil {
			panic(err) // memory takes everything
		}
	}
	if err := z.Flush(); err != nil {
		panic(err)
	}
	z.Reset(nil)
	deflaters.Put(z)
	b.cut()
}

// scratchWriter appends what is written to a body's scratch.
type scratchWriter struct{ b *body }

func (w scratchWriter) Write(p []byte) (int, error) {
	w.b.scratch = append(w.b.scratch, p...)
	return len(p), nil
}

// sendPacked answers 200 with a body that is a gzip stream already.
func (x *exchange) sendPacked(b *body) {
	header := x.w.Header()
	header["Content-Type"] = typeHeader
	cacheable(header)
	size := b.size()
	header["Content-Encoding"] = packedHeader
	header["Content-Length"] = x.field(2, strconv.FormatInt(size, 10))
	x.begin(http.StatusOK)
	x.sendBody(b, size)
}

// A CRC-32 is the remainder of a polynomial over GF(2), bits reflected, so that
// of two texts one after the other is a product and a sum: the first's times
// x^(8n), n being the second's length, plus the second's. It is how zlib's
// crc32_combine does it.

// joinCRC gives the CRC-32 of two texts from theirs; the second is n bytes long.
func joinCRC(first, second uint32, n int) uint32 {
	for i := 0; n > 0; n, i = n>>8, i+1 {
		if n&0xff != 0 {
			first = multiply(shifts[i][n&0xff], first)
		}
	}
	return first ^ second
}

// shifts[i][k] is x^(8k·256^i), for texts of up to 2 GB.
var shifts = func() (s [4][256]uint32) {
	step := uint32(1) << (31 - 8) // x^8
	for i := range s {
		s[i][0] = 1 << 31 // x^0
		for k := 1; k < len(s[i]); k++ {
			s[i][k] = multiply(step, s[i][k-1])
		}
		step = multiply(step, s[i][255])
	}
	return s
}()

// timesX gives the product with x, modulo the polynomial of CRC-32.
func timesX(v uint32) uint32 { return v>>1 ^ crc32.IEEE&-(v&1) }

// overflow[v] is v·x^4 of those v that go beyond the polynomial with it.
var overflow = func() (o [16]uint32) {
	for v := range o {
		o[v] = timesX(timesX(timesX(timesX(uint32(v)))))
	}
	return o
}()

// multiply gives the product modulo the polynomial of CRC-32, four coefficients of
// a at a time from the highest on. A page has dozens of blocks to join: bit by bit
// it took a fifth of the page's time.
func multiply(a, b uint32) (product uint32) {
	times := [16]uint32{8: b} // b times each four coefficients
	for i := 4; i > 0; i >>= 1 {
		times[i] = timesX(times[2*i])
	}
	for i := 1; i < len(times); i++ {
		times[i] = times[i&(i-1)] ^ times[i&-i]
	}
	for i := 0; i < 32; i += 4 {
		product = product>>4 ^ overflow[product&15] ^ times[a>>i&15]
	}
	return product
}
