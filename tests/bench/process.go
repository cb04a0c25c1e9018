package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// command runs a command to its end; the error has what it said.
func command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// A process is a server that was started.
type process struct {
	cmd   *exec.Cmd
	log   *logBuffer
	ended chan struct{} // closed when it has ended
}

// logBuffer keeps the last of what a process says.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text.Len() > 1<<20 {
		l.text.Next(l.text.Len() / 2)
	}
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start runs a command on the given processors, nil for all. It dies with this
// program.
func start(cmd *exec.Cmd, cpus []int) (*process, error) {
	p := &process{cmd: cmd, log: &logBuffer{}, ended: make(chan struct{})}
	cmd.Stderr = p.log
	if err := startOn(cmd, cpus); err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(p.ended)
	}()
	return p, nil
}

// startOn starts a command on the given processors: they are inherited from the
// thread that starts it.
func startOn(cmd *exec.Cmd, cpus []int) error {
	if cpus == nil {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, wanted unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	for _, c := range cpus {
		wanted.Set(c)
	}
	if err := unix.SchedSetaffinity(0, &wanted); err != nil {
		return err
	}
	return errors.Join(cmd.Start(), unix.SchedSetaffinity(0, &before))
}

// stop asks the process to end and waits.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// alive fails when the process has ended.
func (p *process) alive() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s has ended: %s", filepath.Base(p.cmd.Path), p.log)
	default:
		return nil
	}
}

// cpu is the processor time that the process has used.
func (p *process) cpu() time.Duration {
	var sum time.Duration
	tasks, _ := filepath.Glob(p.proc("task/*/schedstat"))
	for _, task := range tasks {
		text, err := os.ReadFile(task) // nanoseconds, waiting, slices
		if err != nil {
			continue // a thread that has just ended
		}
		ns, _, _ := strings.Cut(string(text), " ")
		n, _ := strconv.ParseInt(ns, 10, 64)
		sum += time.Duration(n)
	}
	return sum
}

func (p *process) proc(name string) string {
	return fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name)
}

// field reads a number of a file below /proc/PID with a name and a number on
// each line.
func (p *process) field(file, name string) int64 {
	text, _ := os.ReadFile(p.proc(file))
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && strings.TrimSuffix(fields[0], ":") == name {
			n, _ := strconv.ParseInt(fields[1], 10, 64)
			return n
		}
	}
	return 0
}

// written is how many bytes the process has written: to files, and a little to
// sockets.
func (p *process) written() int64 { return p.field("io", "wchar") }

// Memory of a process: its own, and pages of files, which are the kernel's
// cache and given up when somebody needs the memory.
type resident struct{ anon, file int64 }

// resident is what the process has in memory, in bytes.
func (p *process) resident() resident {
	return resident{anon: p.field("status", "RssAnon") << 10, file: p.field("status", "RssFile") << 10}
}

// peak watches the process's own memory until the returned function is called,
// which gives the most there was.
func (p *process) peak() (stop func() resident) {
	done, result := make(chan struct{}), make(chan resident)
	go func() {
		var most resident
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			now := p.resident()
			most.anon, most.file = max(most.anon, now.anon), max(most.file, now.file)
			select {
			case <-done:
				result <- most
				return
			case <-ticker.C:
			}
		}
	}()
	return func() resident {
		close(done)
		return <-result
	}
}

// freeAddress gives a loopback address that nobody listens on at the moment.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
