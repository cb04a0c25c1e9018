package directory

import (
	"bufio"
	"fmt"
	"os"
	"syscall"

	"scimbridge/scim/bulk"
)

// A spool keeps byte strings until they are read back: in memory while they
// are few, in a temporary file that has no name once they are many.
type spool struct {
	dir  string
	mem  []byte
	f    *os.File
	w    *bufio.Writer
	size int64 // of the file
	data []byte
}

// spoolLimit is how much is kept in memory.
const spoolLimit = 4 << 20

// add keeps b and gives the offset to read it back from.
func (s *spool) add(b []byte) (int64, error) {
	if s.f == nil && len(s.mem)+len(b) <= spoolLimit {
		s.mem = append(s.mem, b...)
		return int64(len(s.mem) - len(b)), nil
	}
	if s.f == nil {
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	off := s.size
	_, err := s.w.Write(b)
	s.size += int64(len(b))
	return off, err
}

func (s *spool) spill() error {
	f, err := bulk.Unnamed(s.dir)
	if err != nil {
		return err
	}
	s.f, s.w = f, bufio.NewWriterSize(f, 256<<10)
	_, err = s.w.Write(s.mem)
	s.size, s.mem = int64(len(s.mem)), nil
	return err
}

// open makes what was added readable; nothing can be added then.
func (s *spool) open() error {
	if s.f == nil {
		s.data = s.mem
		return nil
	}
	if err := s.w.Flush(); err != nil {
		return err
	}
	var err error
	s.data, err = syscall.Mmap(int(s.f.Fd()), 0, int(s.size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mapping a draft: %w", err)
	}
	return nil
}

// get gives what was kept at an offset. It is valid until close.
func (s *spool) get(off int64, size uint32) []byte { return s.data[off : off+int64(size)] }

func (s *spool) close() {
	if s.f != nil {
		if s.data != nil {
			unmap(s.data)
		}
		s.f.Close()
	}
	*s = spool{dir: s.dir}
}
