package mapping_test

import (
	"bytes"
	"encoding/json"
	"testing"
)

// compactObject gives the object of a golden as the store holds it.
func compactObject(t testing.TB, g golden) []byte {
	t.Helper()
	var object bytes.Buffer
	if err := json.Compact(&object, g.file("object.json")); err != nil {
		t.Fatal(err)
	}
	return object.Bytes()
}

// BenchmarkRender maps what a store holds. Beside each stands what merely
// checking the same JSON with encoding/json costs, as a measure of the machine.
func BenchmarkRender(b *testing.B) {
	m := newMapper(b)
	for _, name := range []string{"user-typical", "user-ada", "user-guest", "user-scripts", "group-m365"} {
		g := readGolden(b, "testdata/"+name+".txtar")
		object := compactObject(b, g)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(object)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := render(b, m, g.typ, object, false); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/json.Valid", func(b *testing.B) {
			b.SetBytes(int64(len(object)))
			for b.Loop() {
				if !json.Valid(object) {
					b.Fatal("not valid")
				}
			}
		})
	}
}
