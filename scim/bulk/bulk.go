// Package bulk keeps what there is of everybody in a tenant out of the program's own
// memory.
//
// What is made of a million people while their first picture is drafted would be
// hundreds of megabytes on the heap, and as much again that the collector lets the
// heap grow by. So it lies in temporary files without names that are mapped into
// memory: as long as there is memory it is as fast, and when somebody else needs the
// memory the kernel writes it to the disk and takes the memory away.
package bulk

import (
	"cmp"
	"os"
	"syscall"
	"unsafe"
)

const (
	// defaultOnHeap is up to how many bytes a list is kept on the heap: more than any
	// round needs in which not many changed.
	defaultOnHeap = 64 << 10
	// largestStep is by how many bytes a list's file grows at most; it doubles until
	// then.
	largestStep = 64 << 20
)

// TempSuffix ends the names that the files have for a moment.
const TempSuffix = ".tmp"

// A Place is where lists are kept.
type Place struct {
	Dir    string // of their files; empty: that for temporary files
	OnHeap int    // up to how many bytes of a list are kept on the heap; 0: 64 KiB
}

// A List is a list of records without pointers: on the heap while it is short, in the
// mapping of a file once it is long. Where there can be no file, as on a full disk, it
// stays on the heap. A list is for one goroutine; the zero List is empty.
type List[T any] struct {
	Place

	records []T
	file    *os.File
	data    []byte // the mapping in which records lie
	failed  bool   // there can be no file
}

// Len is the number of records.
func (l *List[T]) Len() int { return len(l.records) }

// All gives the records, to be read and changed. They are good until the next call of
// another method: the memory is not the collector's, and what is kept of it is not
// kept alive.
func (l *List[T]) All() []T { return l.records }

// Add appends records.
func (l *List[T]) Add(records ...T) {
	if len(l.records)+len(records) > cap(l.records) {
		l.Grow(len(records))
	}
	l.records = append(l.records, records...)
}

// Resize cuts the list to n records, or appends zeros.
func (l *List[T]) Resize(n int) {
	if n > cap(l.records) {
		l.Grow(n - len(l.records))
	}
	old := len(l.records)
	l.records = l.records[:n]
	if n > old {
		clear(l.records[old:])
	}
}

// Grow makes room for n more records.
func (l *List[T]) Grow(n int) {
	n += len(l.records)
	if n <= cap(l.records) {
		return
	}
	size := int(unsafe.Sizeof(*new(T)))
	if !l.failed && n*size > cmp.Or(l.OnHeap, defaultOnHeap) {
		room := max(n*size, cap(l.records)*size+min(cap(l.records)*size, largestStep))
		if l.extend(room) == nil {
			return
		}
		l.failed = true
	}
	old := l.records
	l.records = append(make([]T, 0, max(n, 2*cap(old))), old...)
	l.release()
}

// extend gives the list a mapping with room for so many bytes.
func (l *List[T]) extend(room int) error {
	if l.file == nil {
		f, err := Unnamed(l.Dir)
		if err != nil {
			return err
		}
		l.file = f
	}
	if err := zeros(l.file, int64(len(l.data)), int64(room)); err != nil {
		return err
	}
	data, err := syscall.Mmap(int(l.file.Fd()), 0, room, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return err
	}
	records := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(data))), room/int(unsafe.Sizeof(*new(T))))[:len(l.records)]
	if l.data == nil {
		copy(records, l.records)
	} else {
		_ = syscall.Munmap(l.data) // it fails for wrong arguments only
	}
	l.data, l.records = data, records
	return nil
}

var zeroBlock [256 << 10]byte

// zeros writes a file from one offset up to another. A hole would be less work; but
// when the disk is full, writing to the mapping of one ends the program. On a file system
// that copies on write (btrfs, ZFS) it may all the same, for there what is written again
// takes room again: then the service manager starts the program anew, which serves what
// it served.
func zeros(f *os.File, from, to int64) error {
	for from < to {
		n, err := f.WriteAt(zeroBlock[:min(to-from, int64(len(zeroBlock)))], from)
		if err != nil {
			return err
		}
		from += int64(n)
	}
	return nil
}

// Close gives everything back, and leaves the list empty.
func (l *List[T]) Close() {
	l.release()
	l.records, l.failed = nil, false
}

// release drops the file, and the mapping of it.
func (l *List[T]) release() {
	if l.data != nil {
		_ = syscall.Munmap(l.data) // it fails for wrong arguments only
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.data = nil, nil
}

// Unnamed makes a temporary file and takes away its name, so that nothing is left of
// it however the program ends.
func Unnamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "draft-*"+TempSuffix)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
