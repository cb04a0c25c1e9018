package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSeries(t *testing.T) {
	s := series{4, 1, 3, 2}
	for share, want := range map[float64]float64{0: 1, 0.5: 2.5, 1: 4} {
		if got := s.at(share); got != want {
			t.Errorf("at(%g) = %g, want %g", share, got, want)
		}
	}
	if got := (series{2, 9}).over(series{4, 3, 1}); got[0] != 0.5 || got[1] != 3 || len(got) != 2 {
		t.Errorf("ratios are %v", got)
	}
	if got := s.show(number); got != "2.50 (1.00–4.00)" {
		t.Errorf("shown as %s", got)
	}
	for v, want := range map[float64]string{12345.6: "12,346 s", 1.234: "1.23 s", 0.0456: "45.6 ms", 0.00000789: "7.89 µs"} {
		if got := duration(v); got != want {
			t.Errorf("%g is shown as %s, want %s", v, got, want)
		}
	}
}

// The document has a place for each table, and what is around them stays.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "performance.md"))
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{"machine": "| a machine |"}
	for _, p := range parts {
		sections[p] = "| what " + p + " gave |"
	}
	once, err := fill(string(text), sections)
	if err != nil {
		t.Fatal(err)
	}
	for name, section := range sections {
		if !strings.Contains(once, "<!-- bench:"+name+" -->\n\n"+section+"\n\n<!-- /bench -->") {
			t.Errorf("%s is not where it belongs", name)
		}
	}
	if twice, err := fill(once, sections); err != nil || twice != once {
		t.Errorf("a second time it is not the same: %v", err)
	}
	if _, err := fill("nothing", sections); err == nil {
		t.Error("a document without places is taken")
	}
}

func TestColumnsThatStayEmptyAreLeftOut(t *testing.T) {
	tab := &table{headings: []string{"a", "b", "c"}, rows: [][]string{{"1", "–", "x|y"}, {"2"}}}
	if got, want := tab.markdown(), "| a | c |\n|---|---:|\n| 1 | x\\|y |\n| 2 | – |\n"; got != want {
		t.Errorf("got\n%s", got)
	}
}
