package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lockDirectory takes the state directory for this process, for as long as the
// returned file is open. The kernel drops the lock with the process, however
// that ends, so that a lock file left behind means nothing.
func lockDirectory(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the state directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, lockHolder(path)
		}
		return nil, fmt.Errorf("locking the state directory: %s: %w", path, err)
	}
	// The number is for people. On a full disk it is missing, and the lock
	// holds all the same.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}

func lockHolder(path string) error {
	held := &LockedError{Path: path}
	text, err := os.ReadFile(path)
	if err != nil {
		return held
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		held.PID = pid
		if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil {
			held.Name = strings.TrimSpace(string(name))
		}
	}
	return held
}
