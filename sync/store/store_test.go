package store_test

import (
	"path/filepath"
	"testing"

	"scimbridge/sync/store"
	"scimbridge/sync/store/storetest"
)

// openAt opens the state in dir with a stage of the given size.
func openAt(t *testing.T, dir string, stage int) *store.DB {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Path: filepath.Join(dir, "scim-bridge.db"), Program: "scim-bridge test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if stage > 0 {
		s.SetStageLimit(stage)
	}
	return s
}

func TestContract(t *testing.T) {
	for name, stage := range map[string]int{
		"rounds that stay in memory":                    0,
		"rounds written away with every change":         1,
		"rounds written away after a number of changes": 6000,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) storetest.Opener {
				dir := t.TempDir()
				return func(t *testing.T) store.Store { return openAt(t, dir, stage) }
			})
		})
	}
}
