package daemon_test

import (
	"testing"

	"scimbridge/cmd/internal/daemon"
)

func TestReadable(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":"\u00e9\u4e2d"}`: `{"a":"é中"}`,
		`"\ud83d\ude00!"`:      `"😀!"`,
		`"\u0022\u001b\u007f"`: `"\u0022\u001b\u007f"`,
		`"C:\\u00e9"`:          `"C:\\u00e9"`,
		`"\\\u00e9"`:           `"\\é"`,
		`plain`:                `plain`,
	} {
		if got := daemon.Readable(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
