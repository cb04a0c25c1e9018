package mirror

import (
	"encoding/json"
	"fmt"
	"testing"

	"scimbridge/sync/graph"
)

// A new object is put together in one piece, and what the rules go by is read out
// of it without the rest.
func TestAllocations(t *testing.T) {
	var properties []graph.Property
	for i := range 25 {
		properties = append(properties, graph.Property{Name: fmt.Sprint("property", i), Value: json.RawMessage(`"value"`)})
	}
	object := []byte(`{"id":"9f982dd2-6eef-4d9b-8587-ca96d5e01d4e","accountEnabled":true,"displayName":"Ann","userPrincipalName":"ann@contoso.com","userType":"Member"}`)
	for _, tt := range []struct {
		name   string
		budget float64
		work   func() error
	}{
		{"merging a new object", 1, func() error { _, err := merge(nil, "9f982dd2-6eef-4d9b-8587-ca96d5e01d4e", properties); return err }},
		{"a user's traits", 6, func() error { _, err := traitsOf(object); return err }},
	} {
		got := testing.AllocsPerRun(100, func() {
			if err := tt.work(); err != nil {
				t.Fatal(err)
			}
		})
		t.Logf("%-25s %4.0f of %4.0f", tt.name, got, tt.budget)
		if got > tt.budget {
			t.Errorf("%s: %.0f allocations, the budget is %.0f", tt.name, got, tt.budget)
		}
	}
}

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
