package store_test

import (
	"strings"
	"testing"
)

func TestChangesAreFoundByIndex(t *testing.T) {
	s := openAt(t, t.TempDir(), 0)
	plans, err := s.Plans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, plan := range plans {
		if strings.Contains(plan, "SCAN") {
			t.Errorf("%s: reads a whole table:\n%s", name, plan)
		}
		if strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s: sorts whole rows:\n%s", name, plan)
		}
	}
}
