package mapping_test

import (
	"bytes"
	"encoding/json"
	"testing"
)

// compactObject gives the object of a golden as the store holds it.
func compactObject(b *testing.B, g golden) []byte {
	b.Helper()
	var object bytes.Buffer
	if err := json.Compact(&object, g.file("object.json")); err != nil {
		b.Fatal(err)
	}
	return object.Bytes()
}

func BenchmarkRender(b *testing.B) {
	m := newMapper(b)
	for _, name := range []string{"user-ada", "user-typical", "user-guest", "user-scripts", "group-m365"} {
		b.Run(name, func(b *testing.B) {
			g := readGolden(b, "testdata/"+name+".txtar")
			object := compactObject(b, g)
			b.SetBytes(int64(len(object)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := render(b, m, g.typ, object, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
