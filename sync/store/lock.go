package store

import (
	"errors"
	"fmt"
	"io"
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
	// Number and host are for people. On a full disk they are missing, and the
	// lock holds all the same.
	host, _ := os.Hostname()
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(io.NewOffsetWriter(f, 0), "%d %s\n", os.Getpid(), host)
	}
	return f, nil
}

func lockHolder(path string) error {
	held := &LockedError{Path: path}
	text, err := os.ReadFile(path)
	if err != nil {
		return held
	}
	number, host, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	here, _ := os.Hostname()
	if pid, err := strconv.Atoi(number); err == nil {
		held.PID, held.Host = pid, host
		if host != "" && host != here {
			return held // a volume that machines or containers share: its processes are not ours
		}
		if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil {
			held.Name = strings.TrimSpace(string(name))
		}
	}
	return held
}
