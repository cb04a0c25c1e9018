package scim_test

import (
	"net/http"
	"testing"
)

// BenchmarkGet is what a request costs beside the network.
func BenchmarkGet(b *testing.B) {
	w := newTenant(b, 3000, 3)
	for _, bm := range []struct{ name, path, encoding string }{
		{"100 of a list", "/Users?startIndex=1&count=100", ""},
		{"1000 of a list", "/Users?startIndex=1&count=1000", ""},
		{"1000 of a list, gzip", "/Users?startIndex=1&count=1000", "gzip"},
		{"1000 of a list, zstd", "/Users?startIndex=1&count=1000", "zstd"},
		{"1000 projected", "/Users?count=1000&attributes=userName", ""},
		{"one by id", "/Users/u1234", ""},
		{"one by userName", "/Users?filter=userName%20eq%20%22u1234@contoso.com%22", ""},
		{"a page by cursor", "/Users?cursor&count=100", ""},
	} {
		b.Run(bm.name, func(b *testing.B) {
			r, err := http.NewRequest("GET", "https://scim.example.com/scim/v2"+bm.path, nil)
			if err != nil {
				b.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer secret")
			if bm.encoding != "" {
				r.Header.Set("Accept-Encoding", bm.encoding)
			}
			s := &sink{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				s.bytes = 0
				w.handler.ServeHTTP(s, r)
			}
			b.SetBytes(int64(s.bytes))
		})
	}
}
