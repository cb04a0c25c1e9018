package main

import (
	"strings"
	"testing"
)

func TestTableKeepsItsColumnsUnderColours(t *testing.T) {
	rows := [][]cell{{{"contoso", plain}, {"up to date", good}, {"12,304", plain}}, {{"zürich", plain}, {"held", bad}, {"7", plain}}}
	headings := []string{"SOURCE", "STATE", "USERS"}
	var bare, painted strings.Builder
	if err := printTable(&bare, false, headings, rows); err != nil {
		t.Fatal(err)
	}
	if err := printTable(&painted, true, headings, rows); err != nil {
		t.Fatal(err)
	}
	const want = "SOURCE   STATE       USERS\ncontoso  up to date  12,304\nzürich   held        7\n"
	if bare.String() != want {
		t.Errorf("got\n%s", bare.String())
	}
	text := painted.String()
	if !strings.Contains(text, "\x1b[31mheld\x1b[0m") || !strings.Contains(text, "\x1b[1mSOURCE\x1b[0m") {
		t.Errorf("got %q", text)
	}
	for _, code := range []string{"\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m"} {
		text = strings.ReplaceAll(text, code, "")
	}
	if text != want {
		t.Errorf("without its colours it is\n%s", text)
	}
}

func TestColoursAreForTerminals(t *testing.T) {
	if paletteFor(new(strings.Builder)) {
		t.Error("a buffer was taken for a terminal")
	}
}
