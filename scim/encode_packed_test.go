package scim_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strconv"
	"testing"
)

// Whatever has come over the blocks that lie ready, a compressed list is the
// plain one, in one gzip stream of the length that was told.
func TestPackedPages(t *testing.T) {
	w := newTenant(t, 2030, 3)
	check := func(when string) {
		t.Helper()
		for _, path := range []string{
			"/Users", "/Users?count=100", "/Users?count=1000", "/Users?startIndex=101&count=100", "/Users?startIndex=3&count=77",
			"/Users?startIndex=26&count=25", "/Users?startIndex=25&count=25", "/Users?startIndex=1990&count=100", "/Users?startIndex=2001&count=100",
			"/Users?count=24", "/Users?cursor&count=500", "/Groups", "?count=2500", "?startIndex=2000&count=100",
			"/Users?filter=active%20eq%20true&count=300", "/Users?sortBy=userName&count=100", "/Users?attributes=userName&count=200",
		} {
			plain := w.get(path, "Accept-Encoding", "identity")
			packed := w.get(path, "Accept-Encoding", "gzip")
			if told := packed.Header().Get("Content-Length"); told != "" && told != strconv.Itoa(packed.Body.Len()) {
				t.Errorf("%s: %s: Content-Length is %s, the body %d bytes", when, path, told, packed.Body.Len())
			}
			got, want := gunzip(t, packed.Body.Bytes()), plain.Body.Bytes()
			if i := bytes.Index(want, []byte(`,"nextCursor":`)); i >= 0 { // sealed anew each time
				j := bytes.Index(want, []byte(`,"Resources":`))
				got, want = append(got[:i], got[j:]...), append(want[:i], want[j:]...)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%s: %s: compressed it is another list:\n%.300s\nwant\n%.300s", when, path, got, want)
			}
		}
	}
	check("as first written")
	for _, i := range []int{0, 24, 25, 99, 100, 777, 2029} {
		w.putUser(i, "changed")
	}
	w.publish()
	check("with some changed")
	for _, i := range []int{1, 25, 26, 50, 51, 52, 1500} {
		w.draft.Remove(fmt.Sprintf("u%d", i))
	}
	for i := range 60 {
		w.putUser(3000+i, "new")
	}
	w.publish()
	check("with some gone and some new")
	if err := w.picture.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("after merging")
}

// gunzip reads one gzip stream, after which there must be nothing.
func gunzip(t *testing.T, b []byte) []byte {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(b))
	if head, _ := r.Peek(2); string(head) != "\x1f\x8b" {
		return b // too short to be worth it
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	z.Multistream(false)
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
		t.Fatalf("%d bytes after the stream, %v", len(rest), err)
	}
	return plain
}

// HEAD tells the length of what GET would give.
func TestPackedHead(t *testing.T) {
	w := newTenant(t, 500, 0)
	get := w.get("/Users?count=200", "Accept-Encoding", "gzip")
	head := w.request("HEAD", "/scim/v2/Users?count=200", "", "Accept-Encoding", "gzip")
	if got, want := head.Header().Get("Content-Length"), strconv.Itoa(get.Body.Len()); got != want || head.Body.Len() > 0 {
		t.Errorf("HEAD tells %s bytes and sends %d, GET gives %s", got, head.Body.Len(), want)
	}
}
