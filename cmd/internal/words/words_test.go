package words_test

import (
	"testing"

	"scimbridge/cmd/internal/words"
	"scimbridge/scim/directory"
)

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", -999: "-999"} {
		if got := words.Thousands(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}

func TestChanges(t *testing.T) {
	for want, c := range map[string]directory.Counts{
		"":                                {},
		"1,200 active again":              {Reactivated: 1200},
		"1 added, 2 changed, 3 removed":   {Added: 1, Changed: 2, Removed: 3},
		"4 deactivated, 30 gone for good": {Deactivated: 4, Purged: 30},
	} {
		if got := words.Changes(c); got != want {
			t.Errorf("%+v is worded %q, want %q", c, got, want)
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
