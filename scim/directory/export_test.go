package directory

import (
	"hash/crc32"
	"os"
	"slices"
	"unsafe"
)

// SetFailpoint sets what is asked before and after each step that writes.
func (p *Picture) SetFailpoint(fail func(step string, done bool) error) { p.disk.failpoint = fail }

// SetListsOnHeap sets from how many bytes on lists lie in files.
func (p *Picture) SetListsOnHeap(bytes int) { p.lists.OnHeap = bytes }

// SetLeastOverlay sets how many rows lie over the base at least before all are
// written anew.
func (p *Picture) SetLeastOverlay(rows int) { p.leastOverlay = rows }

// SetFanOut sets how many segments of a size are merged.
func (p *Picture) SetFanOut(segments int) { p.fanOut = segments }

// SetCut sets how many members a chunk, how many chunks a run has, and up to how
// many members a group is written anew.
func (p *Picture) SetCut(chunk, run, rebuild int) { p.cut = cutting{chunk, run, rebuild} }

// AsFormat2 makes of a segment file, none of whose users has a manager, what the
// program of that format wrote.
func AsFormat2(path string) error {
	return rewrite(path, func(data []byte, header *headerRecord) []byte {
		header.format = oldestFormat
		clear(header.sections[oldSections:])
		return data
	})
}

// AsFormat3 makes of the files of a snapshot what the program of that format wrote,
// where a row has a reference to each of its chunks, and says how many rows of others'
// chunks there are.
func AsFormat3(s *Snapshot) (scattered int, err error) {
	for _, seg := range s.segments {
		err := rewrite(seg.path, func(data []byte, header *headerRecord) []byte {
			refs, rows := &header.sections[secChunkRefs], &header.sections[secRows+int(Group)]
			all := slices.Clone(seg.chunkRefs)
			records := asRecords[rowRecord](data[rows.off : rows.off+rows.size])
			for i := range records {
				row := &records[i]
				if row.flags&flagRuns == 0 {
					continue
				}
				scattered++
				r := s.resource(Group, uint32(slices.Index(s.segments, seg)), uint32(i), -1)
				first := len(all)
				for k := range r.runs() {
					all = append(all, r.chunksOf(r.run(k))...)
				}
				row.flags &^= flagRuns
				row.chunk, row.chunks = uint32(first), uint32(len(all)-first)
			}
			rows.crc = crc32.Checksum(asBytes(records), castagnoli)
			data = append(data, make([]byte, -len(data)&7)...)
			*refs = sectionRecord{off: uint64(len(data)), size: uint64(len(asBytes(all))), crc: crc32.Checksum(asBytes(all), castagnoli)}
			header.format = 3
			clear(header.sections[secRuns:])
			return append(data, asBytes(all)...)
		})
		if err != nil {
			return 0, err
		}
	}
	return scattered, nil
}

// rewrite changes a segment file and its header.
func rewrite(path string, change func(data []byte, header *headerRecord) []byte) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	header := *(*headerRecord)(unsafe.Pointer(unsafe.SliceData(data)))
	data = change(data, &header)
	header.crc = 0
	header.crc = headerCRC(&header)
	copy(data, asBytes([]headerRecord{header}))
	return os.WriteFile(path, data, 0o600)
}
