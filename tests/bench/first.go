package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// firstRound is what the first round of a world took.
type firstRound struct {
	wall, cpu time.Duration
	requests  int
	pages     int // that there are to read, of users and groups
	peak      resident
	written   int64
}

// first starts the program and waits for its first picture.
func (w *world) first(ctx context.Context) error {
	began := time.Now()
	if err := w.start(nil); err != nil {
		return err
	}
	peak := w.proc.peak()
	err := w.await(ctx)
	w.firstRound = firstRound{
		wall: time.Since(began), cpu: w.proc.cpu(), peak: peak(), written: w.proc.written(),
		requests: len(w.tenant.Journal()), pages: w.tenant.Pages("users") + w.tenant.Pages("groups"),
	}
	return err
}

// firsts writes what the first rounds took, beside the time that decoding the
// same answers takes with encoding/json.
func (b *bench) firsts(ctx context.Context) error {
	t := b.report.table("first", "people", "wall", "CPU", "CPU ÷ decoding once", "people/s", "own memory at most", "requests", "written")
	for _, w := range b.worlds {
		f := w.firstRound
		decode, err := w.decodeOnce(ctx)
		if err != nil {
			return fmt.Errorf("decoding the answers of %d people: %w", w.people, err)
		}
		t.row(thousands(w.people), seconds(f.wall), seconds(f.cpu), times(f.cpu.Seconds()/decode.Seconds()),
			thousands(int(float64(w.people)/f.wall.Seconds())), megabytes(f.peak.anon),
			fmt.Sprintf("%s = %s pages + %d", thousands(f.requests), thousands(f.pages), f.requests-f.pages), megabytes(f.written))
		b.report.curve("first round", "s", w.people, f.wall.Seconds())
	}
	return nil
}

// decodeSample is how many pages of a collection are decoded to know what all
// of them take.
const decodeSample = 250

// decodeOnce is the processor time that encoding/json takes to decode the
// answers of a first round.
func (w *world) decodeOnce(ctx context.Context) (time.Duration, error) {
	token, err := w.token(ctx)
	if err != nil {
		return 0, err
	}
	var sum float64
	for _, collection := range []string{"users", "groups"} {
		query, err := w.query(collection)
		if err != nil {
			return 0, err
		}
		bodies, err := w.pages(ctx, token, query)
		if err != nil {
			return 0, err
		}
		// Without the collector, which would have this program's tenants to look
		// through: what is compared is the decoding alone.
		old := debug.SetGCPercent(-1)
		before := ownCPU()
		for _, body := range bodies {
			var page any
			if err := json.Unmarshal(body, &page); err != nil {
				return 0, err
			}
		}
		used := ownCPU() - before
		debug.SetGCPercent(old)
		sum += used.Seconds() * float64(w.tenant.Pages(collection)) / float64(len(bodies))
	}
	return time.Duration(sum * float64(time.Second)), nil
}

// query is the program's own first request for a collection.
func (w *world) query(collection string) (string, error) {
	for _, r := range w.tenant.Journal() {
		if strings.HasPrefix(r.Path, "/v1.0/"+collection+"/delta") && !strings.Contains(r.Query, "token=") {
			return w.server.GraphURL() + r.Path + "?" + r.Query, nil
		}
	}
	return "", fmt.Errorf("nobody has asked for %s", collection)
}

func (w *world) token(ctx context.Context) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {w.app}, "client_secret": {clientSecret},
		"scope": {w.server.GraphURL() + "/.default"}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.server.LoginURL()+"/"+w.tenant.ID()+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var answer struct {
		Token string `json:"access_token"`
	}
	body, err := w.body(r)
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	return answer.Token, err
}

// pages reads the first pages of a round.
func (w *world) pages(ctx context.Context, token, next string) (bodies [][]byte, err error) {
	for next != "" && len(bodies) < decodeSample {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, next, nil)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		body, err := w.body(r)
		if err != nil {
			return nil, err
		}
		var links struct {
			Next string `json:"@odata.nextLink"`
		}
		if err := json.Unmarshal(body, &links); err != nil {
			return nil, err
		}
		bodies, next = append(bodies, body), links.Next
	}
	return bodies, nil
}

func (w *world) body(r *http.Request) ([]byte, error) {
	res, err := w.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", r.URL, res.Status, body)
	}
	return body, err
}

// ownCPU is the processor time that this program has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // there is no way for it to fail
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
