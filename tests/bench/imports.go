package main

import (
	"context"
	"io"
	"net/http"
	"time"
)

// importAll reads the whole list as importers do, a page after the other over
// one connection, and gives the seconds it took.
func importAll(ctx context.Context, client *http.Client, base string, gzip bool) (float64, error) {
	begun, buffer := time.Now(), make([]byte, 256<<10)
	for i := 0; ; i++ {
		res, err := get(ctx, client, base+pagePath(i, importCount), gzip)
		if err != nil {
			return 0, err
		}
		last, err := drain(res, buffer)
		if err != nil || last {
			return time.Since(begun).Seconds(), err
		}
	}
}

// drain reads an answer to its end, and says whether it was a page with nobody
// in it.
func drain(res *http.Response, buffer []byte) (empty bool, err error) {
	defer res.Body.Close()
	n, err := io.CopyBuffer(onlyWriter{io.Discard}, res.Body, buffer)
	return n < 300, err
}

// onlyWriter hides that a writer can read by itself, with a small buffer.
type onlyWriter struct{ io.Writer }

// importFiles reads the same pages from nginx.
func (w *world) importFiles(ctx context.Context, s *site, gzip bool) (float64, error) {
	begun, buffer := time.Now(), make([]byte, 256<<10)
	for i := range w.pageCount(importCount) {
		res, err := get(ctx, w.client, s.url+w.pageFile(i, importCount), gzip)
		if err != nil {
			return 0, err
		}
		if _, err := drain(res, buffer); err != nil {
			return 0, err
		}
	}
	return time.Since(begun).Seconds(), nil
}

// imports measures whole imports.
func (b *bench) imports(ctx context.Context) error {
	t := b.report.table("imports", "people", "scim-bridge", "nginx", "÷ nginx", "scim-bridge, gzip", "nginx, gzip", "÷ nginx", "plain server", "÷ plain server")
	for _, w := range b.worlds {
		var bridge, bridgeGzip, nginx, nginxGzip, plain series
		for range b.repeat {
			for _, m := range []struct {
				into    *series
				can     bool
				measure func() (float64, error)
			}{
				{&bridge, true, func() (float64, error) { return importAll(ctx, w.client, w.scim, false) }},
				{&nginx, b.site.process != nil, func() (float64, error) { return w.importFiles(ctx, b.site, false) }},
				{&bridgeGzip, true, func() (float64, error) { return importAll(ctx, w.client, w.scim, true) }},
				{&nginxGzip, b.site.process != nil, func() (float64, error) { return w.importFiles(ctx, b.site, true) }},
				{&plain, b.plain != nil && w == b.serve() && len(plain) < 2, func() (float64, error) { return importAll(ctx, w.client, b.plain.url, false) }},
			} {
				if !m.can {
					continue
				}
				took, err := m.measure()
				if err != nil {
					return err
				}
				*m.into = append(*m.into, took)
			}
		}
		// Of times, the less the better: the ratio is of speeds.
		t.row(thousands(w.people), bridge.show(duration), nginx.show(duration), nginx.over(bridge).show(times), bridgeGzip.show(duration),
			nginxGzip.show(duration), nginxGzip.over(bridgeGzip).show(times), plain.show(duration), plain.over(bridge).show(times))
		b.report.curve("whole import", "s", w.people, bridge.median())
	}
	return nil
}
