package directory

import (
	"runtime"
	"testing"
	"time"
	"weak"
)

// A snapshot that is no longer current goes, although the one after it knows what it
// changed: rounds without changes, of which there may be years, would all stay.
func TestOldSnapshotsGo(t *testing.T) {
	p, err := Open(Options{Dir: t.TempDir(), Source: "a", BaseURL: "https://scim.example/v2"})
	if err != nil {
		t.Fatal(err)
	}
	var old []weak.Pointer[Snapshot]
	for range 10 {
		s, err := p.Draft().Seal(t.Context(), time.UnixMilli(1), Tag{})
		if err == nil {
			err = p.Publish(s)
		}
		if err != nil {
			t.Fatal(err)
		}
		old = append(old, weak.Make(s))
	}
	runtime.GC()
	kept := 0
	for _, s := range old {
		if s.Value() != nil {
			kept++
		}
	}
	if kept > 2 {
		t.Errorf("%d of %d snapshots are kept, want the current one and the one before", kept, len(old))
	}
	runtime.KeepAlive(p)
}
