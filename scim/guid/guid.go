// Package guid packs ids. Entra's are GUIDs in their canonical lower-case form,
// nearly all of them, and 16 bytes each instead of 36 and a pointer.
package guid

import "encoding/hex"

// A GUID is one, packed.
type GUID [16]byte

// Parse packs a GUID in its canonical lower-case form. Any other text is another
// id, and none.
func Parse(s string) (g GUID, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return g, false
	}
	for i, at := range positions {
		hi, lo := unhex[s[at]], unhex[s[at+1]]
		if hi|lo > 15 {
			return g, false
		}
		g[i] = hi<<4 | lo
	}
	return g, true
}

// String gives the canonical form.
func (g GUID) String() string {
	var out [36]byte
	hex.Encode(out[0:8], g[0:4])
	hex.Encode(out[9:13], g[4:6])
	hex.Encode(out[14:18], g[6:8])
	hex.Encode(out[19:23], g[8:10])
	hex.Encode(out[24:36], g[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

// positions are where the sixteen pairs of digits begin.
var positions = [16]int{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

// unhex has the value of each lower-case hexadecimal digit, and 0xff for any
// other byte: upper-case ids are other ids.
var unhex = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range 10 {
		t['0'+i] = byte(i)
	}
	for i := range 6 {
		t['a'+i] = byte(10 + i)
	}
	return t
}()
