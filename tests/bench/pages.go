package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
)

// sample is how many pages, and how many single people, are asked for in turn
// where a rate is measured.
const (
	samplePages  = 50
	samplePeople = 1000
)

// newClient reads over one connection and leaves compressed what is.
func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableCompression: true, MaxConnsPerHost: 4, MaxIdleConnsPerHost: 4, ReadBufferSize: 256 << 10}}
}

// get asks the endpoint for something as an importer does.
func (w *world) get(ctx context.Context, path string, gzip bool) (*http.Response, error) {
	return get(ctx, w.client, w.scim+path, gzip)
}

func get(ctx context.Context, client *http.Client, url string, gzip bool) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+clientToken)
	if gzip {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	res, err := client.Do(r)
	if err == nil && res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		return nil, fmt.Errorf("%s: %s: %.500s", url, res.Status, body)
	}
	return res, err
}

// read asks for something and gives its body.
func (w *world) read(ctx context.Context, path string, gzip bool) ([]byte, error) {
	res, err := w.get(ctx, path, gzip)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(res.Body)
}

// pagePath is the request for the i-th page.
func pagePath(i, count int) string {
	return fmt.Sprintf("/Users?startIndex=%d&count=%d", i*count+1, count)
}

// importCount is how many people a whole import asks for at a time.
const importCount = 1000

// pageFile is the name of the file that nginx serves for a page.
func (w *world) pageFile(i, count int) string {
	return fmt.Sprintf("/%d/%d/%d.json", w.people, count, i)
}

// pageCount is the number of the pages of a whole import.
func (w *world) pageCount(count int) int { return (w.people + count - 1) / count }

// keep writes what the program serves into files: every page of 1000, and where
// serving is measured some of 100, and single people.
func (s *site) keep(ctx context.Context, w *world, all bool) error {
	for i := range w.pageCount(importCount) {
		if err := s.keepOne(ctx, w, pagePath(i, importCount), w.pageFile(i, importCount)); err != nil {
			return err
		}
	}
	if !all {
		return nil
	}
	for i := range min(samplePages, w.pageCount(100)) {
		if err := s.keepOne(ctx, w, pagePath(i, 100), w.pageFile(i, 100)); err != nil {
			return err
		}
	}
	people, err := w.people1000(ctx)
	if err != nil {
		return err
	}
	for i, p := range people {
		for _, file := range []struct{ path, name string }{{p.byID(), "id"}, {p.byName(), "name"}} {
			if err := s.keepOne(ctx, w, file.path, fmt.Sprintf("/%s/%d.json", file.name, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepOne writes one answer into a file, and compressed beside it where the
// program has it so.
func (s *site) keepOne(ctx context.Context, w *world, path, name string) error {
	file := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	for _, gzip := range []bool{false, true} {
		res, err := w.get(ctx, path, gzip)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		target := file
		if gzip {
			target += ".gz"
		}
		if err == nil && gzip == (res.Header.Get("Content-Encoding") == "gzip") {
			err = os.WriteFile(target, body, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A person is one who is looked up.
type person struct{ ID, UserName string }

func (p person) byID() string { return "/Users/" + p.ID }

func (p person) byName() string {
	return "/Users?filter=" + url.QueryEscape(`userName eq "`+p.UserName+`"`)
}

// people1000 are some people from everywhere in the list.
func (w *world) people1000(ctx context.Context) (people []person, err error) {
	n := min(samplePeople, w.people/2)
	for i := range 10 {
		at := 1 + i*(w.people-n/10)/10
		body, err := w.read(ctx, fmt.Sprintf("/Users?startIndex=%d&count=%d&attributes=userName", at, n/10), false)
		if err != nil {
			return nil, err
		}
		var page struct{ Resources []person }
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, err
		}
		people = append(people, page.Resources...)
	}
	return people, nil
}
