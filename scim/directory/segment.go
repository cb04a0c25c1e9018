package directory

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"runtime"
	"slices"
	"syscall"
	"unsafe"
)

// A segment is an open segment file. Its memory is unmapped when nothing
// refers to the segment any longer.
type segment struct {
	id      uint32
	path    string
	size    int64
	bodyCRC uint32
	packCRC uint32

	body      []byte
	packed    []byte
	packs     [NumTypes][]packRecord
	rows      [NumTypes][]rowRecord
	links     []ref
	chunks    []chunkRecord
	chunkRefs []chunkRef
	runs      []chunkRun
	members   []ref
	modified  [NumTypes][]uint32
	detached  [NumTypes][]uint32
	managers  []uint64 // of users, by row; empty: nobody has one, or it is not known
	byManager []uint32
	since     []int64 // of detached[User]; empty: since they were modified
	hashes    [NumTypes][numKeys][]uint64
	keyRows   [NumTypes][numKeys][]uint32

	shares shares
}

// errDamaged is wrapped by the errors of files that are not what was written.
var errDamaged = errors.New("segment file is damaged")

// openSegment maps a file and checks everything in it but the bodies, which are
// checked by verify.
func openSegment(path string, id uint32) (*segment, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if size < headerSize {
		return nil, fmt.Errorf("opening %s: %w: %d bytes are too few", path, errDamaged, size)
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping %s: %w", path, err)
	}
	s := &segment{id: id, path: path, size: size}
	runtime.AddCleanup(s, unmap, data)
	if err := s.read(data); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	return s, nil
}

func unmap(data []byte) {
	// Only a wrong argument can make this fail.
	_ = syscall.Munmap(data)
}

// read finds the sections in the file's bytes.
func (s *segment) read(data []byte) error {
	header := *(*headerRecord)(unsafe.Pointer(unsafe.SliceData(data)))
	want := header.crc
	header.crc = 0
	switch {
	case header.magic != segmentMagic:
		return fmt.Errorf("%w: not a segment file", errDamaged)
	case header.format < oldestFormat || header.format > formatVersion:
		return fmt.Errorf("%w: format %d, this program reads %d to %d", errDamaged, header.format, oldestFormat, formatVersion)
	case headerCRC(&header) != want:
		return fmt.Errorf("%w: checksum of the header", errDamaged)
	case header.segment != s.id:
		return fmt.Errorf("%w: it is segment %d, not %d", errDamaged, header.segment, s.id)
	}
	var sections [numSections][]byte
	for i, sec := range header.sections[:header.numSections()] {
		if sec.off%8 != 0 || sec.off > uint64(len(data)) || sec.size > uint64(len(data))-sec.off {
			return fmt.Errorf("%w: section %d lies outside the file", errDamaged, i)
		}
		sections[i] = data[sec.off : sec.off+sec.size : sec.off+sec.size]
		if i != secBody && i != secPacked && crc32.Checksum(sections[i], castagnoli) != sec.crc {
			return fmt.Errorf("%w: checksum of section %d", errDamaged, i)
		}
	}
	s.bodyCRC = header.sections[secBody].crc
	s.body = sections[secBody]
	s.packCRC = header.sections[secPacked].crc
	s.packed = sections[secPacked]
	s.links = asRecords[ref](sections[secLinks])
	s.chunks = asRecords[chunkRecord](sections[secChunks])
	s.chunkRefs = asRecords[chunkRef](sections[secChunkRefs])
	s.members = asRecords[ref](sections[secMembers])
	for t := range NumTypes {
		s.rows[t] = asRecords[rowRecord](sections[secRows+t])
		s.packs[t] = asRecords[packRecord](sections[secPacks+t])
		s.detached[t] = asRecords[uint32](sections[secDetached+t])
		s.modified[t] = asRecords[uint32](sections[secModified+t])
		for k := range numKeys {
			s.hashes[t][k] = asRecords[uint64](sections[secHashes+t*numKeys+k])
			s.keyRows[t][k] = asRecords[uint32](sections[secKeyRows+t*numKeys+k])
		}
	}
	s.managers = asRecords[uint64](sections[secManagers])
	s.byManager = asRecords[uint32](sections[secByManager])
	s.since = asRecords[int64](sections[secSince])
	s.runs = asRecords[chunkRun](sections[secRuns])
	return nil
}

// verify checks the bodies, which may take a second for a gigabyte.
func (s *segment) verify() error {
	defer runtime.KeepAlive(s)
	if crc32.Checksum(s.body, castagnoli) != s.bodyCRC || crc32.Checksum(s.packed, castagnoli) != s.packCRC {
		return fmt.Errorf("checking %s: %w: checksum of the bodies", s.path, errDamaged)
	}
	return nil
}

// numSections is how many sections a file of the header's format has.
func (h *headerRecord) numSections() int {
	switch h.format {
	case oldestFormat:
		return oldSections
	case 3:
		return secRuns
	}
	return numSections
}

// headerCRC goes as far as the header of that format went.
func headerCRC(h *headerRecord) uint32 {
	size := unsafe.Sizeof(*h) - uintptr(numSections-h.numSections())*unsafe.Sizeof(h.sections[0])
	return crc32.Checksum(unsafe.Slice((*byte)(unsafe.Pointer(h)), size), castagnoli)
}

// find gives the rows whose key has the hash.
func (s *segment) find(t Type, key int, hash uint64) []uint32 {
	hashes := s.hashes[t][key]
	i := firstOf(hashes, hash)
	if i == len(hashes) || hashes[i] != hash {
		return nil
	}
	j := i + 1
	for j < len(hashes) && hashes[j] == hash {
		j++
	}
	return s.keyRows[t][key][i:j]
}

// rowOf finds the row with a sequence number.
func (s *segment) rowOf(t Type, seq uint32) (int, bool) {
	rows := s.rows[t]
	if len(rows) == 0 || seq < rows[0].seq {
		return 0, false
	}
	// Sequence numbers mostly follow one another, so that the distance to the
	// first is the row; it is never too small a guess.
	if i := int(seq - rows[0].seq); i < len(rows) && rows[i].seq == seq {
		return i, true
	} else if i < len(rows) {
		rows = rows[:i]
	}
	return slices.BinarySearchFunc(rows, seq, func(r rowRecord, seq uint32) int {
		return int(int64(r.seq) - int64(seq))
	})
}
