package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scimbridge/cmd/internal/config"
)

// FuzzLoad holds Load to its word for any text: a configuration that compares
// equal to itself, or faults that each name the file and have a message.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, example) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(minimal))
	f.Add([]byte("a: &a [*a]\nsources: &b\n  - <<: [*b, {users: *b}]\n"))
	f.Add([]byte(strings.Repeat("[", 20000)))
	lookup := func(name string) (string, bool) { return "x", strings.HasPrefix(name, "X") }
	path := filepath.Join(f.TempDir(), "config.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if strings.Contains(string(data), "proc") || strings.Contains(string(data), "sys") {
			t.Skip("no file of the machine is to be read")
		}
		cfg, err := config.LoadBytes(path, data, lookup)
		if err == nil {
			if _, err := cfg.YAML(); err != nil {
				t.Error(err)
			}
			if !config.Equal(cfg, cfg) {
				t.Error("differs from itself")
			}
			return
		}
		faults, ok := errors.AsType[config.Faults](err)
		if !ok || len(faults) == 0 || cfg != nil {
			t.Fatalf("got %v, %T", cfg, err)
		}
		for _, fault := range faults {
			if fault.File != path || fault.Message == "" || fault.Line < 0 || strings.Contains(fault.Error(), "\n") {
				t.Errorf("got %q", fault.Error())
			}
		}
	})
}
