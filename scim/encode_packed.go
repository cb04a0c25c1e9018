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
	header.Set("Content-Encoding", gzipCoding.name)
	header.Set("Content-Length", strconv.FormatInt(b.size(), 10))
	x.begin(http.StatusOK)
	if x.r.Method != http.MethodHead {
		b.writeTo(x.write)
	}
}

// A CRC-32 is the remainder of a polynomial over GF(2), bits reflected, so that
// of two texts one after the other is a product and a sum: the first's times
// x^(8n), n being the second's length, plus the second's. It is how zlib's
// crc32_combine does it.

// joinCRC gives the CRC-32 of two texts from theirs; the second is n bytes long.
func joinCRC(first, second uint32, n int) uint32 {
	shift := uint32(1) << 31 // x^0
	for k := 3; n > 0; n, k = n>>1, k+1 {
		if n&1 != 0 {
			shift = multiply(squares[k&31], shift)
		}
	}
	return multiply(shift, first) ^ second
}

// squares are x^(2^k); they repeat from the 31st on.
var squares = func() (s [32]uint32) {
	s[0] = 1 << 30 // x^1
	for k := 1; k < len(s); k++ {
		s[k] = multiply(s[k-1], s[k-1])
	}
	return s
}()

// multiply gives the product modulo the polynomial of CRC-32.
func multiply(a, b uint32) (product uint32) {
	for bit := uint32(1) << 31; bit != 0 && a&(bit<<1-1) != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		if b&1 != 0 {
			b = b>>1 ^ crc32.IEEE
		} else {
			b >>= 1
		}
	}
	return product
}
