package mirror

import (
	"encoding/json"
	"testing"
)

// What is written directly is what encoding/json writes.
func TestAppendName(t *testing.T) {
	for _, s := range []string{"", "displayName", `a"b`, `a\b`, "<&>", "é", "\x00\x1f", "\x7f", "\xff", "extension_0f3c_x.y-z~", "a b"} {
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := appendName([]byte("x"), s); err != nil || string(got) != "x"+string(want) {
			t.Errorf("%q: %s, want %s: %v", s, got, want, err)
		}
	}
}
