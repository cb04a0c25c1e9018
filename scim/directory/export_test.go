package directory

import (
	"os"
	"unsafe"
)

// SetFailpoint sets what is asked before and after each step that writes.
func (p *Picture) SetFailpoint(fail func(step string, done bool) error) { p.disk.failpoint = fail }

// SetLeastOverlay sets how many rows lie over the base at least before all are
// written anew.
func (p *Picture) SetLeastOverlay(rows int) { p.leastOverlay = rows }

// AsFormat2 makes of a segment file, none of whose users has a manager, what the
// program of that format wrote.
func AsFormat2(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	header := (*headerRecord)(unsafe.Pointer(unsafe.SliceData(data)))
	header.format, header.crc = oldestFormat, 0
	clear(header.sections[oldSections:])
	header.crc = headerCRC(header)
	return os.WriteFile(path, data, 0o600)
}
