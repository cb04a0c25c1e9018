package store

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// A Fault is why a database file can't be used.
type Fault uint8

// The faults.
const (
	Foreign Fault = iota + 1 // not a database of scim-bridge
	Corrupt                  // damaged
	Newer                    // written by a later program
)

// A FileError says that the database file can't be used as it is, and what to
// do about it. Nothing has been changed in the file.
type FileError struct {
	Path  string
	Fault Fault
	// Program is the one that wrote a Newer file.
	Program string
	Detail  string
}

func (e *FileError) Error() string {
	switch e.Fault {
	case Foreign:
		return fmt.Sprintf("%s: file is not a scim-bridge database (%s); name another state directory, or move the file away", e.Path, e.Detail)
	case Newer:
		return fmt.Sprintf("%s: state was written by %s (%s); run that program or a later one, or move the file away and let the sources be read anew", e.Path, e.Program, e.Detail)
	}
	return fmt.Sprintf("%s: state is damaged (%s); move the file and its -wal and -shm away and start again: the sources are then read in full once, and consent is asked for again where it was given in the browser", e.Path, e.Detail)
}

// A LockedError says that another process has the state directory.
type LockedError struct {
	Path string // of the lock file
	PID  int    // who holds it, 0 where that can't be told
	Host string // where that process runs, where that can be told
	Name string // its command, where that can be told
}

func (e *LockedError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	if e.Name != "" {
		who += " (" + e.Name + ")"
	}
	if e.Host != "" {
		who += " on host " + e.Host
	}
	return fmt.Sprintf("%s: the state directory is in use by %s; stop it first, or name another directory", e.Path, who)
}

// explain turns what SQLite says into what an administrator can act on. Other
// errors pass as they are.
func explain(path string, err error) error {
	var fault *sqlite.Error
	if err == nil || !errors.As(err, &fault) {
		return err
	}
	switch fault.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT:
		return &FileError{Path: path, Fault: Corrupt, Detail: fault.Error()}
	case sqlite3.SQLITE_NOTADB:
		return &FileError{Path: path, Fault: Foreign, Detail: fault.Error()}
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%s: the disk is full; the state is as it was before: %w", path, err)
	case sqlite3.SQLITE_READONLY:
		return fmt.Errorf("%s: the state can't be written; look at the file system and at the owner of the file: %w", path, err)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("%s: the disk gave an error; the state is as it was before: %w", path, err)
	case sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%s: the file can't be opened; look at the owner and the modes of the file and its directory: %w", path, err)
	case sqlite3.SQLITE_BUSY:
		return fmt.Errorf("%s: another program keeps the database locked: %w", path, err)
	case sqlite3.SQLITE_INTERRUPT:
		return fmt.Errorf("%w: %w", context.Canceled, err)
	}
	return err
}
