package mapping_test

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random objects; 0 takes the clock")

// A maker makes objects that Graph could send and objects that it never would.
type maker struct {
	*rand.Rand
	names []string // of properties, top and within, and of none
}

// newMaker makes the maker for a resource type.
func newMaker(typ directory.Type, seed uint64) *maker {
	mk := &maker{Rand: rand.New(rand.NewPCG(seed, uint64(typ))), names: []string{"x", "@odata.type", "userPrincipalname"}}
	for _, row := range mapping.Rows() {
		if row.Type == typ {
			mk.names = append(mk.names, strings.Split(row.Property, ".")...)
		}
	}
	return mk
}

// object gives the JSON of an object of about n members.
func (mk *maker) object(n int) string {
	var b strings.Builder
	b.WriteString(`{`)
	for i := range mk.IntN(n) {
		if i > 0 {
			b.WriteString(`,` + mk.blank())
		}
		name := `"` + mk.names[mk.IntN(len(mk.names))] + `"`
		if mk.IntN(30) == 0 {
			name = strings.Replace(name, "i", `\u0069`, 1)
		}
		b.WriteString(name + mk.blank() + `:` + mk.blank() + mk.value(3))
	}
	return b.String() + `}`
}

// blank gives white space, seldom.
func (mk *maker) blank() string {
	if mk.IntN(20) == 0 {
		return " \n"
	}
	return ""
}

// value gives the JSON of a value.
func (mk *maker) value(depth int) string {
	switch n := mk.IntN(20); {
	case n < 9:
		return mk.text()
	case n < 13 && depth > 0:
		var parts []string
		for range mk.IntN(5) {
			parts = append(parts, mk.value(depth-1))
		}
		return `[` + mk.blank() + strings.Join(parts, `,`) + `]`
	case n < 15 && depth > 0:
		return mk.object(6)
	}
	return mk.pick(`null`, `true`, `false`, `""`, `[]`, `{}`, `0`, `-1.5e+30`, `12345678901234567890`)
}

// text gives the JSON of a string.
func (mk *maker) text() string {
	address := mk.pick("a", "A", "b", "é", "É", "K", `\u212a`, "a_b#EXT#") + mk.pick("@", "", "@@") +
		mk.pick("x.org", "X.org", "x", "x.", ".x", "contoso.onmicrosoft.com", "onmicrosoft.us", "a onmschina.cn", "ß.de")
	return `"` + mk.pick(
		mk.pick("smtp:", "SMTP:", "Smtp:", "smtp: ", "SIP:", "", "", "", "")+address,
		mk.pick("2020-02-29T12:00:00", "2021-02-29T12:00:00", "0000-01-01T00:00:00", "2020-1-01T00:00:00")+
			mk.pick("", ".1", ",1", ".123456789")+mk.pick("Z", "z", "+05:30", "-23:59", "+24:00", "", `\u005a`),
		mk.pick("plain", "with space", `\"\\\/`, `\b\f\n\r\t`, "\x7f", "日本", "🌍", `\ud83c\udf0d`, `\ud83c`, `\udf0d\ud83c`, "\xff\xfe", `\u0000`, "0123456789abcdef é"),
		"",
	) + `"`
}

// pick gives one of its arguments.
func (mk *maker) pick(values ...string) string { return values[mk.IntN(len(values))] }

// TestRandomObjectsAgreeWithTheTable compares what is rendered of objects of
// all sorts with the naive reading of the table.
func TestRandomObjectsAgreeWithTheTable(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("run with -seed %d to have the same objects", seed)
	m := newMapper(t)
	for _, typ := range []directory.Type{directory.User, directory.Group} {
		mk, mapped := newMaker(typ, seed), 0
		for range 2000 {
			object := []byte(mk.object(60))
			if mk.IntN(10) > 0 {
				object = append(object[:len(object)-1], `,"id":`+mk.text()+`}`...)
				object = bytes.Replace(object, []byte("{,"), []byte("{"), 1)
			}
			inactive := typ == directory.User && mk.IntN(4) == 0
			if checkObject(t, m, typ, object, inactive) {
				mapped++
			}
			if t.Failed() {
				return
			}
		}
		if mapped < 1000 {
			t.Errorf("only %d objects of type %v had an id", mapped, typ)
		}
	}
}
