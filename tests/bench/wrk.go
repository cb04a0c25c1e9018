package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed wrk.lua
var wrkScript string

// A load is what is asked of a server, over and over.
type load struct {
	url         string // scheme, host and what comes before each path
	paths       []string
	gzip        bool
	connections int
}

// A rate is what a load came to.
type rate struct {
	Requests, Micros, Bytes int64
	Failed                  int
	P50, P99                int64 // microseconds
}

// perSecond is the number of requests in a second.
func (r rate) perSecond() float64 { return float64(r.Requests) / float64(r.Micros) * 1e6 }

// hit lets wrk loose on a server for a while.
func (b *bench) hit(ctx context.Context, l load, length time.Duration) (r rate, err error) {
	base, prefix := l.url, ""
	if at := strings.Index(strings.TrimPrefix(base, "http://"), "/"); at >= 0 {
		base, prefix = base[:len("http://")+at], base[len("http://")+at:]
	}
	script, paths := filepath.Join(b.dir, "wrk.lua"), filepath.Join(b.dir, "paths")
	if err := os.WriteFile(script, []byte(wrkScript), 0o644); err != nil {
		return r, err
	}
	var text strings.Builder
	for _, p := range l.paths {
		text.WriteString(prefix + p + "\n")
	}
	if err := os.WriteFile(paths, []byte(text.String()), 0o644); err != nil {
		return r, err
	}
	coding := "plain"
	if l.gzip {
		coding = "gzip"
	}
	// wrk knows whole seconds only, and counts for as long as it was told: where
	// that is too coarse it is ended by a signal, after which it reports, too.
	cmd := exec.CommandContext(ctx, b.wrk, "-t1", fmt.Sprint("-c", l.connections), "-d60s", "--timeout", "30s", "-s", script,
		base, "--", paths, clientToken, coding)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_, client := processors()
	if err := startOn(cmd, client); err != nil {
		return r, err
	}
	timer := time.AfterFunc(length, func() { _ = cmd.Process.Signal(os.Interrupt) })
	defer timer.Stop()
	if err := cmd.Wait(); err != nil {
		return r, fmt.Errorf("wrk: %w\n%s", err, &out)
	}
	_, result, _ := strings.Cut(out.String(), "RESULT ")
	if err := json.Unmarshal([]byte(strings.TrimSpace(result)), &r); err != nil {
		return r, fmt.Errorf("wrk: %w\n%s", err, &out)
	}
	if r.Failed == 0 && r.Requests == 0 && length < 20*time.Second {
		return b.hit(ctx, l, 3*length) // an answer takes longer than that
	}
	if r.Failed > 0 || r.Requests == 0 {
		return r, fmt.Errorf("wrk at %s%s: %d of %d requests failed", l.url, l.paths[0], r.Failed, r.Requests)
	}
	return r, nil
}
