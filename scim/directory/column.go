package directory

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// A column is a list of records of a fixed size, without pointers, that is
// written from front to back and then read: in memory while they are few, in a
// temporary file that has no name once they are many. What is made of all of a
// tenant's people is thus no burden on the heap.
type column[T any] struct {
	dir  string
	mem  []T // the last ones, or all
	n    int // of all
	f    *os.File
	data []byte // the file's, once it is read
	err  error  // the first
}

// columnBuffer is how many bytes a column keeps in memory.
const columnBuffer = 64 << 10

// add appends records. A failure comes with all.
func (c *column[T]) add(records ...T) {
	c.n += len(records)
	c.mem = append(c.mem, records...)
	if len(c.mem)*int(unsafe.Sizeof(*new(T))) >= columnBuffer {
		c.spill()
	}
}

func (c *column[T]) spill() {
	if c.f == nil && c.err == nil {
		c.f, c.err = createUnnamed(c.dir)
	}
	if c.err == nil {
		_, c.err = c.f.Write(asBytes(c.mem))
	}
	c.mem = c.mem[:0]
}

// all gives the records, for reading, until close. Nothing can be added then.
func (c *column[T]) all() ([]T, error) {
	if c.f != nil && c.data == nil {
		if c.spill(); c.err == nil {
			c.data, c.err = mapUnnamed(c.f, int64(c.n)*int64(unsafe.Sizeof(*new(T))))
		}
	}
	switch {
	case c.err != nil:
		return nil, fmt.Errorf("keeping records in a temporary file: %w", c.err)
	case c.f == nil:
		return c.mem, nil
	}
	return asRecords[T](c.data), nil
}

func (c *column[T]) close() {
	if c.data != nil {
		unmap(c.data)
	}
	if c.f != nil {
		c.f.Close()
	}
	*c = column[T]{dir: c.dir}
}

// createUnnamed makes a temporary file and takes away its name, so that nothing
// is left of it however the program ends.
func createUnnamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "draft-*"+tempSuffix)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// mapUnnamed maps what was written to such a file.
func mapUnnamed(f *os.File, size int64) ([]byte, error) {
	data, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping a draft: %w", err)
	}
	return data, nil
}
