package directory

import (
	"bufio"
	"cmp"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"unsafe"

	"scimbridge/scim/fair"
)

// A segmentWriter writes a segment file: users in the order of their sequence
// numbers, then groups. Bodies go to the file at once, the rest when it is
// finished.
type segmentWriter struct {
	id   uint32
	path string
	disk *disk
	f    *os.File
	w    *bufio.Writer
	off  uint64 // of the next body byte, in the body section
	base bool   // the segment is the base: bodies are packed too
	// deflater makes what packs them.
	deflater func() Deflater
	crc      uint32 // of the body so far
	err      error  // the first failure; later writes do nothing

	rows      [NumTypes][]rowRecord
	links     []ref
	chunks    []chunkRecord
	chunkRefs []chunkRef
	members   []ref
	keys      [NumTypes][numKeys][]keyEntry
	managers  []uint64         // of users, by row, as far as there were any
	since     map[uint32]int64 // row of a detached user -> since when
}

type keyEntry struct {
	hash uint64
	row  uint32
}

// newSegmentWriter starts a file beside its final name.
func newSegmentWriter(d *disk, path string, id uint32) (*segmentWriter, error) {
	f, err := d.create("segment", path+tempSuffix)
	if err != nil {
		return nil, err
	}
	w := &segmentWriter{id: id, path: path, disk: d, f: f, w: bufio.NewWriterSize(d.writer("segment", f), 256<<10)}
	w.raw(make([]byte, headerSize))
	return w, nil
}

// expect makes room for the rows of resources.
func (w *segmentWriter) expect(all []ref) {
	var n [NumTypes]int
	for _, r := range all {
		n[r.typ()]++
	}
	for t := range w.rows {
		w.rows[t] = slices.Grow(w.rows[t], n[t])
		for _, key := range []int{keyID, keyUserName, keyEmail, keyDisplayName} {
			w.keys[t][key] = slices.Grow(w.keys[t][key], n[t])
		}
	}
}

func (w *segmentWriter) raw(b []byte) {
	if w.err == nil {
		_, w.err = w.w.Write(b)
	}
}

// body appends to the body section.
func (w *segmentWriter) body(b []byte) {
	w.raw(b)
	w.off += uint64(len(b))
	w.crc = crc32.Update(w.crc, castagnoli, b)
}

// add appends a row whose body has just been written.
func (w *segmentWriter) add(t Type, r rowRecord) uint32 {
	w.rows[t] = append(w.rows[t], r)
	return uint32(len(w.rows[t]) - 1)
}

// manage notes whose report a user's row is.
func (w *segmentWriter) manage(row uint32, manager uint64) {
	if manager == 0 {
		return
	}
	if missing := int(row) + 1 - len(w.managers); missing > 0 {
		w.managers = append(w.managers, make([]uint64, missing)...)
	}
	w.managers[row] = manager
}

// addChunk appends a chunk, and a reference to it as the next of a row.
func (w *segmentWriter) addChunk(c chunkRecord) {
	w.chunkRefs = append(w.chunkRefs, chunkRef{w.id, uint32(len(w.chunks))})
	w.chunks = append(w.chunks, c)
}

// finish writes the remaining sections and the header, makes the file durable
// and gives it its name.
func (w *segmentWriter) finish() (*segment, error) {
	header := headerRecord{magic: segmentMagic, format: formatVersion, segment: w.id}
	header.sections[secBody] = sectionRecord{off: headerSize, size: w.off, crc: w.crc}
	pos := headerSize + w.off
	pad := func() {
		w.raw(make([]byte, -pos&7))
		pos += -pos & 7
	}
	var packs [NumTypes][]packRecord
	if w.base && w.err == nil {
		pad()
		packed := sectionRecord{off: pos}
		packs, packed.size, packed.crc, w.err = w.pack()
		header.sections[secPacked] = packed
		pos += packed.size
	}
	section := func(i int, b []byte) {
		pad()
		header.sections[i] = sectionRecord{off: pos, size: uint64(len(b)), crc: crc32.Checksum(b, castagnoli)}
		w.raw(b)
		pos += uint64(len(b))
	}
	section(secLinks, asBytes(w.links))
	section(secChunks, asBytes(w.chunks))
	section(secChunkRefs, asBytes(w.chunkRefs))
	section(secMembers, asBytes(w.members))
	for t := range NumTypes {
		section(secRows+t, asBytes(w.rows[t]))
		section(secPacks+t, asBytes(packs[t]))
		section(secDetached+t, asBytes(detachedRows(w.rows[t])))
		section(secModified+t, asBytes(byModified(w.rows[t])))
		for k := range numKeys {
			hashes, rows := splitKeys(w.keys[t][k])
			w.keys[t][k] = nil
			section(secHashes+t*numKeys+k, asBytes(hashes))
			section(secKeyRows+t*numKeys+k, asBytes(rows))
		}
	}
	w.writeManagers(section)
	if w.err == nil {
		w.err = w.w.Flush()
	}
	header.crc = headerCRC(&header)
	if w.err == nil {
		w.err = w.disk.do("write header of segment", func() error {
			_, err := w.f.WriteAt(unsafe.Slice((*byte)(unsafe.Pointer(&header)), unsafe.Sizeof(header)), 0)
			return err
		})
	}
	if w.err != nil {
		w.discard()
		return nil, fmt.Errorf("writing %s: %w", w.path, w.err)
	}
	if err := w.disk.settle("segment", w.f, w.path); err != nil {
		return nil, fmt.Errorf("writing %s: %w", w.path, err)
	}
	return openSegment(w.path, w.id)
}

// detach notes since when the user of a row has been detached.
func (w *segmentWriter) detach(row uint32, since int64) {
	if w.since == nil {
		w.since = make(map[uint32]int64)
	}
	w.since[row] = since
}

// writeManagers writes what only users have.
func (w *segmentWriter) writeManagers(section func(int, []byte)) {
	var order []uint32
	for row, manager := range w.managers {
		if manager != 0 {
			order = append(order, uint32(row))
		}
	}
	fair.SortFunc(order, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(w.managers[a], w.managers[b]), cmp.Compare(a, b))
	})
	section(secManagers, asBytes(w.managers))
	section(secByManager, asBytes(order))
	var since []int64
	for _, row := range detachedRows(w.rows[User]) {
		since = append(since, w.since[row])
	}
	section(secSince, asBytes(since))
}

// discard drops the unfinished file.
func (w *segmentWriter) discard() {
	w.f.Close()
	os.Remove(w.path + tempSuffix)
}

func detachedRows(rows []rowRecord) []uint32 {
	var detached []uint32
	for i := range rows {
		if rows[i].flags&flagDetached != 0 {
			detached = append(detached, uint32(i))
		}
	}
	return detached
}

// byModified gives the live rows in the order of their last change.
func byModified(rows []rowRecord) []uint32 {
	order := make([]uint32, 0, len(rows))
	for i := range rows {
		if rows[i].flags&flagTombstone == 0 {
			order = append(order, uint32(i))
		}
	}
	fair.SortFunc(order, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(rows[a].modified, rows[b].modified), cmp.Compare(a, b))
	})
	return order
}

func splitKeys(keys []keyEntry) (hashes []uint64, rows []uint32) {
	fair.SortFunc(keys, func(a, b keyEntry) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.row, b.row))
	})
	hashes, rows = make([]uint64, len(keys)), make([]uint32, len(keys))
	for i, k := range keys {
		hashes[i], rows[i] = k.hash, k.row
	}
	return hashes, rows
}
