// Package fair has work that takes long give way to requests that do not.
//
// Go's scheduler looks at the network when a processor has nothing else to do,
// or else every ten milliseconds. Where each processor has a goroutine that only
// computes, a request of some microseconds waits for that long, twice or more.
// runtime.Gosched is of no help: it runs what is ready, and who has been written
// to is not ready before somebody looks. So work that takes long waits now and
// then for something that comes by way of the network poller and is there at once.
package fair

import (
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// Slice is how long a [Pace] lets work go on: what a request may have to wait for,
// and hundreds of times what giving way costs.
const Slice = 400 * time.Microsecond

// A Pace has one goroutine's work give way. The zero Pace is ready.
type Pace struct{ until time.Time }

// Keep gives way if the work has gone on for long enough, and says whether it did.
// It may be called often: mostly it reads the clock and returns.
func (p *Pace) Keep() bool {
	now := time.Now()
	if p.until.IsZero() {
		p.until = now.Add(Slice)
	}
	if now.Before(p.until) {
		return false
	}
	Yield()
	p.until = time.Now().Add(Slice)
	return true
}

// SortFunc is slices.SortFunc at a pace: long lists take a second.
func SortFunc[S ~[]E, E any](s S, compare func(a, b E) int) {
	var pace Pace
	n := 0
	slices.SortFunc(s, func(a, b E) int {
		if n++; n%1024 == 0 {
			pace.Keep()
		}
		return compare(a, b)
	})
}

// pipes are kept for the next who gives way; they are few.
var pipes = make(chan *pipe, 8)

// Yield lets all run that have something to do, those among them whom the
// network has brought something for.
func Yield() {
	poll()
	// Another thread may have looked in between, and then nobody has run yet.
	runtime.Gosched()
}

// poll has the network looked at.
func poll() {
	var p *pipe
	select {
	case p = <-pipes:
	default:
		var err error
		if p, err = newPipe(); err != nil {
			return // no descriptors are left; it is looked at now and then anyway
		}
	}
	if p.turn() {
		select {
		case pipes <- p:
			return
		default:
		}
	}
	p.close()
}

// A pipe is what comes by way of the poller. One goroutine at a time has it.
type pipe struct {
	reader, writer *os.File
	in             syscall.RawConn
	out            int                   // the writer's descriptor
	step           func(in uintptr) bool // p.pass, made once

	sent, received bool
	one            [1]byte
}

func newPipe() (*pipe, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p := &pipe{reader: r, writer: w}
	p.step = p.pass
	p.in, err = r.SyscallConn()
	if err == nil {
		var out syscall.RawConn
		if out, err = w.SyscallConn(); err == nil {
			err = out.Control(func(fd uintptr) { p.out = int(fd) })
		}
	}
	if err != nil {
		p.close()
	}
	return p, err
}

func (p *pipe) close() {
	p.reader.Close()
	p.writer.Close()
}

// turn sends a byte through the pipe and waits for it as the network is waited
// for. It is false if that can't be done.
func (p *pipe) turn() bool {
	p.sent, p.received = false, false
	err := p.in.Read(p.step)
	return err == nil && p.received
}

// pass sends the byte when it is asked first, and takes it when it is there. Until
// it is done it is called each time that there is something to read.
func (p *pipe) pass(in uintptr) (done bool) {
	if !p.sent {
		p.sent = true
		n, err := syscall.Write(p.out, p.one[:])
		return n != 1 || err != nil
	}
	n, err := syscall.Read(int(in), p.one[:])
	p.received = n == 1 && err == nil
	return err != syscall.EAGAIN && err != syscall.EINTR
}
