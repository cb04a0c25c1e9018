package directory

import (
	"bytes"
	"compress/flate"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"scimbridge/scim/fair"
)

// Compressing a list page for each request costs many times what sending it
// does. So the base segment, where nearly all resources lie, holds its bodies a
// second time as blocks of DEFLATE data (RFC 1951) that can be put one after
// the other in any choice: each ends on the border of a byte and refers to
// nothing before it. A compressed page is the blocks that lie in it whole; only
// what is over at its edges, or was changed since, is compressed when asked for.

const (
	// packRows is how many rows make a block. The page sizes that importers ask
	// for are multiples of it.
	packRows = 25
	// packLevel is the standard library's where no other deflater is given: it
	// costs about a quarter more time than the fastest, once, and saves an eighth
	// of what is sent each time.
	packLevel = 3
)

// packRecord is a block as it lies in the file. It holds the bodies of its rows
// with a comma between them and none at the end.
type packRecord struct {
	off  uint64 // in the packed section
	size uint32
	crc  uint32 // CRC-32 (IEEE) of the plain bytes
}

// A Piece is a part of a list: as it is, or compressed.
type Piece struct {
	// Plain is the part itself; nil where it is compressed.
	Plain []byte
	// Deflated is the part as whole blocks of RFC 1951, none of them marked as
	// the last, which end at a byte and refer to nothing before them.
	Deflated []byte
	// Size is the length in bytes of what Deflated stands for, CRC its CRC-32
	// (IEEE, as in RFC 1952).
	Size int
	CRC  uint32
}

// PackedPieces appends to dst what [View.Pieces] gives for the same range, with
// the parts that there are compressed forms of in that form.
func (v *View) PackedPieces(dst []Piece, t Type, i, j int) []Piece {
	before := len(dst)
	for s, r := range v.ranges(t, i, j) {
		for p := range s.spans(t, r.from, r.to) {
			dst = p.packed(dst, s, t)
		}
	}
	if len(dst) == before {
		return dst
	}
	// As in Pieces: the last comma is too many. It is never in a block.
	last := &dst[len(dst)-1]
	if last.Plain = last.Plain[:len(last.Plain)-1]; len(last.Plain) == 0 {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// packed appends the span, with a comma after each resource.
func (p span) packed(dst []Piece, s *Snapshot, t Type) []Piece {
	if p.scattered {
		for _, plain := range s.resource(t, p.segment, uint32(p.first), -1).Pieces(nil) {
			dst = append(dst, Piece{Plain: plain})
		}
		return append(dst, Piece{Plain: comma})
	}
	seg := s.segments[p.segment]
	for first := p.first; first < p.end; {
		next := min(first-first%packRows+packRows, len(seg.rows[t]))
		if next > p.end || first%packRows != 0 || first/packRows >= len(seg.packs[t]) {
			next = min(next, p.end)
			dst = append(dst, Piece{Plain: seg.run(t, first, next)})
		} else {
			rec := seg.packs[t][first/packRows]
			plain := seg.run(t, first, next)
			dst = append(dst, Piece{Deflated: seg.packed[rec.off : rec.off+uint64(rec.size)], Size: len(plain) - 1, CRC: rec.crc}, Piece{Plain: comma})
		}
		first = next
	}
	return dst
}

// pack writes the packed section and gives the blocks of each type. The bodies
// are read back from the file: they are in the kernel's memory still.
func (w *segmentWriter) pack(rows *[NumTypes][]rowRecord) (packs [NumTypes][]packRecord, size uint64, crc uint32, err error) {
	if err := w.w.Flush(); err != nil {
		return packs, 0, 0, err
	}
	if w.off == 0 {
		return packs, 0, 0, nil
	}
	data, err := syscall.Mmap(int(w.f.Fd()), 0, int(headerSize+w.off), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return packs, 0, 0, fmt.Errorf("mapping what was written: %w", err)
	}
	defer unmap(data)
	p := packer{w: w}
	for t := range NumTypes {
		packs[t] = p.blocks(data[headerSize:], rows[t])
	}
	return packs, p.size, p.crc, w.err
}

// standardDeflater is the deflater where none is given.
func standardDeflater() Deflater {
	z, err := flate.NewWriter(nil, packLevel)
	if err != nil {
		panic(err) // the level is a constant
	}
	return z
}

const (
	// packWave is how many blocks are compressed before they are written: it
	// bounds what is held in memory.
	packWave = 64
	// maxPackers is how many processors compress at most: with each comes a
	// deflater of a megabyte or so.
	maxPackers = 4
	// largeBlock is from how many bytes on a block goes to the file while it is
	// compressed, and not before: a group of a million has a hundred megabytes.
	largeBlock = 1 << 20
)

// A packer writes the blocks of a segment.
type packer struct {
	w         *segmentWriter
	deflaters []Deflater
	bufs      [packWave]bytes.Buffer
	size      uint64
	crc       uint32 // of all that was written, as of any section
}

// blocks writes the blocks of rows whose bodies are given. The processors share
// the work, and give way to whoever asks for a page meanwhile.
func (p *packer) blocks(bodies []byte, rows []rowRecord) []packRecord {
	records := make([]packRecord, 0, (len(rows)+packRows-1)/packRows)
	for len(p.deflaters) < min(runtime.GOMAXPROCS(0), maxPackers) {
		p.deflaters = append(p.deflaters, p.w.deflater())
	}
	for wave := range slices.Chunk(rows, packWave*packRows) {
		blocks := slices.Collect(slices.Chunk(wave, packRows))
		plain := func(i int) []byte {
			last := blocks[i][len(blocks[i])-1]
			return bodies[blocks[i][0].off : last.off+uint64(last.size)]
		}
		crcs := make([]uint32, len(blocks))
		var group sync.WaitGroup
		var next atomic.Int32
		for _, z := range p.deflaters {
			group.Go(func() {
				var pace fair.Pace
				for i := int(next.Add(1)) - 1; i < len(blocks); i = int(next.Add(1)) - 1 {
					if plain := plain(i); len(plain) < largeBlock {
						crcs[i] = crc32.ChecksumIEEE(plain)
						p.bufs[i].Reset()
						deflate(z, &p.bufs[i], plain, &pace)
					}
				}
			})
		}
		group.Wait()
		for i := range blocks {
			rec := packRecord{off: p.size, crc: crcs[i]}
			if plain := plain(i); len(plain) < largeBlock {
				_, _ = p.Write(p.bufs[i].Bytes())
			} else {
				var pace fair.Pace
				rec.crc = crc32.ChecksumIEEE(plain)
				deflate(p.deflaters[0], p, plain, &pace)
			}
			rec.size = uint32(p.size - rec.off)
			records = append(records, rec)
		}
	}
	return records
}

// deflate makes one block. What it is written to takes everything.
func deflate(z Deflater, to io.Writer, plain []byte, pace *fair.Pace) {
	z.Reset(to)
	for part := range slices.Chunk(plain, 64<<10) {
		_, _ = z.Write(part)
		pace.Keep()
	}
	_ = z.Flush()
}

// Write writes a part of a block. A failure is kept in the segment's writer.
func (p *packer) Write(b []byte) (int, error) {
	p.w.raw(b)
	p.size += uint64(len(b))
	p.crc = crc32.Update(p.crc, castagnoli, b)
	return len(b), nil
}
