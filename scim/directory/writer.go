package directory

import (
	"bufio"
	"cmp"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"unsafe"

	"scimbridge/scim/bulk"
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

	rows      [NumTypes]bulk.List[rowRecord]
	links     bulk.List[ref]
	chunks    bulk.List[chunkRecord]
	chunkRefs bulk.List[chunkRef]
	runs      bulk.List[chunkRun]
	members   bulk.List[ref]
	keys      [NumTypes][numKeys]bulk.List[keyEntry]
	managers  bulk.List[uint64] // of users, by row, as far as there were any
	since     map[uint32]int64  // row of a detached user -> since when
}

type keyEntry struct {
	hash uint64
	row  uint32
}

// newSegmentWriter starts a file beside its final name.
func newSegmentWriter(d *disk, lists bulk.Place, path string, id uint32) (*segmentWriter, error) {
	f, err := d.create("segment", path+tempSuffix)
	if err != nil {
		return nil, err
	}
	w := &segmentWriter{id: id, path: path, disk: d, f: f, w: bufio.NewWriterSize(d.writer("segment", f), 64<<10)}
	w.links.Place, w.chunks.Place, w.chunkRefs.Place, w.runs.Place, w.members.Place, w.managers.Place = lists, lists, lists, lists, lists, lists
	for t := range NumTypes {
		w.rows[t].Place = lists
		for k := range numKeys {
			w.keys[t][k].Place = lists
		}
	}
	w.raw(make([]byte, headerSize))
	return w, nil
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
	w.rows[t].Add(r)
	return uint32(w.rows[t].Len() - 1)
}

// manage notes whose report a user's row is.
func (w *segmentWriter) manage(row uint32, manager uint64) {
	if manager == 0 {
		return
	}
	if int(row) >= w.managers.Len() {
		w.managers.Resize(int(row) + 1)
	}
	w.managers.All()[row] = manager
}

// addChunk appends a chunk, and a reference to it as the next of a row.
func (w *segmentWriter) addChunk(c chunkRecord) {
	w.chunkRefs.Add(chunkRef{w.id, uint32(w.chunks.Len())})
	w.chunks.Add(c)
}

// runFrom adds, as the next of a row, the run of the chunk references that were added
// from one on.
func (w *segmentWriter) runFrom(first int) {
	w.runs.Add(chunkRun{w.id, uint32(first), uint32(w.chunkRefs.Len() - first)})
}

// finish writes the remaining sections and the header, makes the file durable
// and gives it its name.
func (w *segmentWriter) finish() (*segment, error) {
	defer w.release()
	header := headerRecord{magic: segmentMagic, format: formatVersion, segment: w.id}
	header.sections[secBody] = sectionRecord{off: headerSize, size: w.off, crc: w.crc}
	pos := headerSize + w.off
	pad := func() {
		w.raw(make([]byte, -pos&7))
		pos += -pos & 7
	}
	var rows [NumTypes][]rowRecord
	for t := range NumTypes {
		rows[t] = w.rows[t].All()
	}
	var packs [NumTypes][]packRecord
	if w.base && w.err == nil {
		pad()
		packed := sectionRecord{off: pos}
		packs, packed.size, packed.crc, w.err = w.pack(&rows)
		header.sections[secPacked] = packed
		pos += packed.size
	}
	begin := func(i int) { pad(); header.sections[i].off = pos }
	part := func(i int, b []byte) {
		s := &header.sections[i]
		s.size += uint64(len(b))
		s.crc = crc32.Update(s.crc, castagnoli, b)
		w.raw(b)
		pos += uint64(len(b))
	}
	section := func(i int, b []byte) { begin(i); part(i, b) }
	section(secLinks, asBytes(w.links.All()))
	section(secChunks, asBytes(w.chunks.All()))
	section(secChunkRefs, asBytes(w.chunkRefs.All()))
	section(secMembers, asBytes(w.members.All()))
	for t := range NumTypes {
		section(secRows+t, asBytes(rows[t]))
		section(secPacks+t, asBytes(packs[t]))
		section(secDetached+t, asBytes(detachedRows(rows[t])))
		order := w.byModified(rows[t])
		section(secModified+t, asBytes(order.All()))
		order.Close()
		for k := range numKeys {
			sorted := sortKeys(w.keys[t][k].All())
			hashes, keyRows := secHashes+t*numKeys+k, secKeyRows+t*numKeys+k
			begin(hashes)
			inParts(sorted, func(e keyEntry) uint64 { return e.hash }, func(b []byte) { part(hashes, b) })
			begin(keyRows)
			inParts(sorted, func(e keyEntry) uint32 { return e.row }, func(b []byte) { part(keyRows, b) })
			w.keys[t][k].Close()
		}
	}
	w.writeManagers(rows[User], section)
	section(secRuns, asBytes(w.runs.All()))
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
func (w *segmentWriter) writeManagers(users []rowRecord, section func(int, []byte)) {
	managers := w.managers.All()
	order := bulk.List[uint32]{Place: w.managers.Place}
	defer order.Close()
	for row, manager := range managers {
		if manager != 0 {
			order.Add(uint32(row))
		}
	}
	fair.SortFunc(order.All(), func(a, b uint32) int {
		return cmp.Or(cmp.Compare(managers[a], managers[b]), cmp.Compare(a, b))
	})
	section(secManagers, asBytes(managers))
	section(secByManager, asBytes(order.All()))
	var since []int64
	for _, row := range detachedRows(users) {
		since = append(since, w.since[row])
	}
	section(secSince, asBytes(since))
}

// release drops what is not in the segment file.
func (w *segmentWriter) release() {
	w.links.Close()
	w.chunks.Close()
	w.chunkRefs.Close()
	w.runs.Close()
	w.members.Close()
	w.managers.Close()
	for t := range NumTypes {
		w.rows[t].Close()
		for k := range numKeys {
			w.keys[t][k].Close()
		}
	}
}

// discard drops the unfinished file.
func (w *segmentWriter) discard() {
	w.release()
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
func (w *segmentWriter) byModified(rows []rowRecord) bulk.List[uint32] {
	order := bulk.List[uint32]{Place: w.links.Place}
	for i := range rows {
		if rows[i].flags&flagTombstone == 0 {
			order.Add(uint32(i))
		}
	}
	fair.SortFunc(order.All(), func(a, b uint32) int {
		return cmp.Or(cmp.Compare(rows[a].modified, rows[b].modified), cmp.Compare(a, b))
	})
	return order
}

// sortKeys sorts by hash, then by row. Hashes are spread evenly, so that a byte of
// them after the other says where an entry belongs, until it is among few.
func sortKeys(keys []keyEntry) []keyEntry {
	var pace fair.Pace
	sortFrom(keys, 56, &pace)
	return keys
}

// sortFrom sorts entries whose hashes have the same bits above those eight from
// shift on.
func sortFrom(keys []keyEntry, shift int, pace *fair.Pace) {
	if len(keys) <= 32 || shift < 0 {
		sortFew(keys)
		return
	}
	digit := func(e *keyEntry) byte { return byte(e.hash >> shift) }
	var ends, next [256]uint32 // of those with each digit; where the next one goes
	for i := range keys {
		ends[digit(&keys[i])]++
	}
	for d := 1; d < len(ends); d++ {
		next[d] = ends[d-1]
		ends[d] += ends[d-1]
	}
	for d, end := range ends {
		for next[d] < end {
			e := &keys[next[d]]
			home := &next[digit(e)]
			*e, keys[*home] = keys[*home], *e
			*home++
		}
	}
	first := uint32(0)
	for _, end := range ends {
		sortFrom(keys[first:end], shift-8, pace)
		first = end
	}
	pace.Keep()
}

// sortFew sorts few entries, or some of one hash.
func sortFew(keys []keyEntry) {
	if len(keys) > 32 {
		slices.SortFunc(keys, func(a, b keyEntry) int { return cmp.Compare(a.row, b.row) })
		return
	}
	for i, e := range keys {
		j := i
		for ; j > 0 && (keys[j-1].hash > e.hash || keys[j-1].hash == e.hash && keys[j-1].row > e.row); j-- {
			keys[j] = keys[j-1]
		}
		keys[j] = e
	}
}

// inParts gives a field of each entry, as bytes, some thousand at a time.
func inParts[T any](entries []keyEntry, field func(keyEntry) T, give func([]byte)) {
	buf := make([]T, 0, min(len(entries), 4096))
	for part := range slices.Chunk(entries, 4096) {
		buf = buf[:0]
		for _, e := range part {
			buf = append(buf, field(e))
		}
		give(asBytes(buf))
	}
}
