package directory_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"testing"

	"scimbridge/scim/directory"
)

// A group that is larger than what is compressed in memory comes out of its block as
// it went in, between others that are small.
func TestPackedPiecesOfALargeGroup(t *testing.T) {
	const members = 12_000 // a hundred bytes each and more
	p := benchPictureOf(t, 10, 1)
	publish(t, p, func(d *directory.Draft) {
		for _, id := range []string{"before", "large", "after"} {
			putNamed(t, d, directory.Group, id)
		}
		for i := range members {
			id := fmt.Sprintf("member-%08d", i)
			putNamed(t, d, directory.User, id)
			d.Join("large", id)
			if i < 3 {
				d.Join("before", id)
				d.Join("after", id)
			}
		}
	})
	v := directory.NewView(p.Current())
	n := v.Len(directory.Group)
	plain := bytes.Join(v.Pieces(nil, directory.Group, 0, n), nil)
	if len(plain) < 1<<20 {
		t.Fatalf("the groups have %d bytes, too few for the test", len(plain))
	}
	var got []byte
	packed := 0
	for _, piece := range v.PackedPieces(nil, directory.Group, 0, n) {
		if piece.Deflated == nil {
			got = append(got, piece.Plain...)
			continue
		}
		packed++
		inflated := make([]byte, piece.Size)
		if _, err := io.ReadFull(flate.NewReader(bytes.NewReader(piece.Deflated)), inflated); err != nil {
			t.Fatalf("reading a block: %v", err)
		}
		if sum := crc32.ChecksumIEEE(inflated); sum != piece.CRC {
			t.Errorf("a block's checksum is %08x, want %08x", piece.CRC, sum)
		}
		got = append(got, inflated...)
	}
	if packed == 0 || !bytes.Equal(got, plain) {
		t.Errorf("%d blocks, %d bytes, want what is served plain, %d bytes", packed, len(got), len(plain))
	}
	runtime.KeepAlive(v) // the pieces lie in its files
}

func putNamed(t *testing.T, d *directory.Draft, typ directory.Type, id string) {
	t.Helper()
	rec := directory.Record{Type: typ, ID: id, Active: true, UserName: id, Body: fmt.Appendf(nil, `"schemas":[],"id":%q,"displayName":"Name of %s"`, id, id)}
	if err := d.Put(rec); err != nil {
		t.Fatal(err)
	}
}
