package scim

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestMembersAndElements(t *testing.T) {
	for _, object := range []string{
		`{}`,
		`{"a":1}`,
		`{"a":"x","b":true,"c":null,"d":-1.5e3,"e":{},"f":[],"g":""}`,
		`{"a":"\"","b":"\\","c":"\\\"","d":"\\\\","e":"}]{[,:"}`,
		`{"a":{"b":{"c":[{"d":"}"},["]"]]}},"e":[[],[{}],"\"]"],"f":0}`,
		`{"$ref":"https://x/y","urn:a:b:2.0:User":{"x":[1,2,3]}}`,
	} {
		var want map[string]json.RawMessage
		if err := json.Unmarshal([]byte(object), &want); err != nil {
			t.Fatal(err)
		}
		got := map[string]json.RawMessage{}
		members := inside([]byte(object))
		for m, ok := nextMember(members, 0); ok; m, ok = nextMember(members, m.end) {
			got[string(m.name)] = json.RawMessage(m.value)
			if !bytes.Equal(members[m.start:m.end], []byte(`"`+string(m.name)+`":`+string(m.value))) {
				t.Errorf("%s: member %s lies elsewhere", object, m.name)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", object, diff)
		}
		for name, value := range want {
			if found := lookup(members, name); !bytes.Equal(found, value) {
				t.Errorf("%s: lookup(%s) = %s", object, name, found)
			}
			var elements []json.RawMessage
			if json.Unmarshal(value, &elements) != nil || elements == nil {
				continue
			}
			i := 0
			for _, e := range elements {
				var found []byte
				if found, i = nextElement(inside(value), i); !bytes.Equal(found, e) {
					t.Errorf("%s: element %s, want %s", value, found, e)
				}
			}
			if rest, _ := nextElement(inside(value), i); rest != nil {
				t.Errorf("%s: and then %s", value, rest)
			}
		}
		if lookup(members, "absent") != nil {
			t.Errorf("%s has what it has not", object)
		}
	}
}

// Texts compare as decoded strings do, whatever the escapes.
func FuzzText(f *testing.F) {
	for _, pair := range [][2]string{
		{`abc`, "B"}, {`\u00fc\n\"\\\/`, "Ü"}, {`\ud83d\ude80`, "🚀"}, {`\ud83d`, "\ufffd"}, {`\ude80\ud83d\ude80`, "🚀"},
		{`\ud83dx`, "x"}, {`\u212aelvin`, "KELVIN"}, {`\u0130`, "i"}, {``, ""}, {`a\u0041`, "aa"}, {`東京`, "京"}, {`\ud83d\u0041`, "a"},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, raw, literal string) {
		var value string
		if !utf8.ValidString(raw) || !utf8.ValidString(literal) || json.Unmarshal([]byte(`"`+raw+`"`), &value) != nil {
			t.Skip()
		}
		for _, exact := range []bool{true, false} {
			have, want := value, literal
			if !exact {
				have, want = strings.ToLower(have), strings.ToLower(want)
			}
			x := newText(literal, exact)
			b := []byte(raw)
			if x.equals(b) != (have == want) || x.begins(b) != strings.HasPrefix(have, want) ||
				x.ends(b) != strings.HasSuffix(have, want) || x.contains(b) != strings.Contains(have, want) ||
				x.compare(b) != strings.Compare(have, want) {
				t.Errorf("%q and %q, case-exact %v: equals %v, begins %v, ends %v, contains %v, compare %d", value, literal, exact,
					x.equals(b), x.begins(b), x.ends(b), x.contains(b), x.compare(b))
			}
		}
	})
}
