package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// paceCommand is the argument with which this program asks for things at a
// steady pace, in a process of its own: it has nothing else to do there, and no
// garbage.
const paceCommand = "-pace"

// A pace is what is to be asked for.
type pace struct {
	URLs      []string
	PerSecond int
	Length    time.Duration
}

// latencies are seconds from the time at which a request was due to the end of
// its answer.
type latencies struct{ P50, P99, Most float64 }

// pace asks for things at a steady pace in a process of its own.
func (b *bench) pace(ctx context.Context, p pace) (l latencies, err error) {
	order, err := json.Marshal(p)
	if err != nil {
		return l, err
	}
	file := filepath.Join(b.dir, "pace.json")
	if err := os.WriteFile(file, order, 0o600); err != nil {
		return l, err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", paceCommand, file)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return l, fmt.Errorf("asking at a steady pace: %w", err)
	}
	return l, json.Unmarshal(out, &l)
}

// servePace is the other process.
func servePace(file string, out io.Writer) error {
	order, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var p pace
	if err := json.Unmarshal(order, &p); err != nil {
		return err
	}
	client := newClient()
	var took series
	gap := time.Second / time.Duration(p.PerSecond)
	begun := time.Now()
	for due := begun; due.Sub(begun) < p.Length; due = due.Add(gap) {
		from := due
		if early := time.Until(due); early > 0 {
			time.Sleep(early)
			from = time.Now() // that it slept too long is nobody's fault
		}
		if err := fetchOnce(client, p.URLs[len(took)%len(p.URLs)]); err != nil {
			return err
		}
		took = append(took, time.Since(from).Seconds())
	}
	return json.NewEncoder(out).Encode(latencies{took.at(0.5), took.at(0.99), took.at(1)})
}

func fetchOnce(client *http.Client, url string) error {
	res, err := get(context.Background(), client, url, false)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// latency measures how long a look-up takes when nothing else is done, while
// rounds publish, while the whole list is searched, and while it is imported. Where
// there is a second program, its rounds tell what of that is the machine's: the
// processors are shared with it, with the simulated Graph, and with the client.
func (b *bench) latency(ctx context.Context) error {
	w := b.largest()
	people, err := w.people1000(ctx)
	if err != nil {
		return err
	}
	p := pace{PerSecond: 500, Length: time.Duration(b.seconds * 2 * float64(time.Second))}
	for _, one := range people {
		p.URLs = append(p.URLs, w.scim+one.byID(), w.scim+one.byName())
	}
	t := b.report.table("latency", "meanwhile, with "+thousands(w.people)+" people", "p50", "p99", "p99 ÷ idle", "longest")
	var idle series
	rounds := func(w *world) func(context.Context) error {
		return func(ctx context.Context) error {
			w.change()
			return w.round(ctx)
		}
	}
	type meanwhile struct {
		name string
		work func(context.Context) error // again and again
	}
	all := []meanwhile{
		{"nothing", nil},
		{fmt.Sprintf("rounds of %d changes, one after the other", deltaChanges), rounds(w)},
		{"filters that look at everybody, one after the other", func(ctx context.Context) error { _, err := w.read(ctx, scanPath, false); return err }},
		{"a whole import, again and again", func(ctx context.Context) error { _, err := importAll(ctx, w.client, w.scim, false); return err }},
	}
	if other := b.worlds[0]; other != w {
		all = slices.Insert(all, 2, meanwhile{"such rounds of another scim-bridge, this one idle", rounds(other)})
	}
	for _, busy := range all {
		var p50, p99, most series
		for range b.repeat {
			l, err := b.beside(ctx, busy.work, p)
			if err != nil {
				return fmt.Errorf("%s: %w", busy.name, err)
			}
			p50, p99, most = append(p50, l.P50), append(p99, l.P99), append(most, l.Most)
		}
		if busy.work == nil {
			idle = p99
		}
		t.row(busy.name, p50.show(duration), p99.show(duration), times(p99.median()/idle.median()), most.show(duration))
	}
	return nil
}

// beside measures latencies while work is done again and again.
func (b *bench) beside(ctx context.Context, work func(context.Context) error, p pace) (latencies, error) {
	if work == nil {
		return b.pace(ctx, p)
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		for working.Err() == nil {
			// Work that has begun is done, or the next would meet its end.
			if err := work(ctx); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	l, err := b.pace(ctx, p)
	stop()
	if fault := <-ended; fault != nil {
		return l, fault
	}
	return l, err
}
