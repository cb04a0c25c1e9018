package mirror

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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
		{"merging onto a stored object", 3, func() error { _, err := merge(object, "9f982dd2-6eef-4d9b-8587-ca96d5e01d4e", properties); return err }},
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

// An object onto which something is merged is what it would be if it were decoded.
func TestMerge(t *testing.T) {
	for _, tt := range []struct{ name, stored, incoming, want string }{
		{"something else", `{"id":"x","a":1,"c":"\u003c"}`, `{"b":[{"a":",}"}]}`, `{"id":"x","a":1,"b":[{"a":",}"}],"c":"\u003c"}`},
		{"something new", `{"id":"x","a":{"b":1},"b":2}`, `{"a":{"c":2}}`, `{"id":"x","a":{"c":2},"b":2}`},
		{"what is no longer set", `{"id":"x","a":"\\","b":2}`, `{"b":null}`, `{"id":"x","a":"\\"}`},
		{"an empty object", `{"id":"x"}`, `{"b":"\""}`, `{"id":"x","b":"\""}`},
		{"nothing", `{"id":"x","a":-1.5e3,"b":[],"c":"é"}`, `{}`, `{"id":"x","a":-1.5e3,"b":[],"c":"é"}`},
		{"a name that is not plain", `{"id":"x","a":1,"\u003c":3,"é":2}`, `{"a":2,"é":true}`, `{"id":"x","\u003c":3,"a":2,"é":true}`},
		{"what came twice", `{"id":"x","a":1}`, `{"a":2,"a":3}`, `{"id":"x","a":3}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var incoming []graph.Property
			d := json.NewDecoder(strings.NewReader(tt.incoming))
			for _, err := d.Token(); d.More(); {
				name, _ := d.Token()
				var value json.RawMessage
				if err = errors.Join(err, d.Decode(&value)); err != nil {
					t.Fatal(err)
				}
				incoming = append(incoming, graph.Property{Name: name.(string), Value: value})
			}
			stored := []byte(tt.stored)
			got, err := merge(stored, "x", incoming)
			if err != nil || string(got) != tt.want || string(stored) != tt.stored {
				t.Errorf("%s, want %s: %v; what was stored is %s", got, tt.want, err, stored)
			}
		})
	}
	if _, err := merge([]byte(`{"id":"x","a":1`), "x", nil); err == nil {
		t.Error("what is no JSON is merged")
	}
}
