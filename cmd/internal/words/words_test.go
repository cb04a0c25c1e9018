package words_test

import (
	"testing"

	"scimbridge/cmd/internal/words"
)

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", -999: "-999"} {
		if got := words.Thousands(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 rounds", 1: "1 round", 2: "2 rounds", 2300: "2,300 rounds"} {
		if got := words.Count(n, "round"); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
	if got := words.CountOf(1, "person", "people") + ", " + words.CountOf(1000, "person", "people"); got != "1 person, 1,000 people" {
		t.Error(got)
	}
}
