package config

import (
	"cmp"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// fieldsOf gives the fields of a section by key.
func fieldsOf(t reflect.Type) map[string]reflect.StructField {
	fields := map[string]reflect.StructField{}
	for _, f := range reflect.VisibleFields(t) {
		if key, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); key != "" && key != "-" {
			fields[key] = f
		}
	}
	return fields
}

// keyPaths lists the paths of all settings below a type, with [] for "each".
func keyPaths(t reflect.Type, path string) []string {
	if isScalar(reflect.New(t).Interface()) {
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return keyPaths(t.Elem(), path)
	case reflect.Slice:
		return keyPaths(t.Elem(), path+"[]")
	case reflect.Map:
		return nil // its keys are the file's own
	}
	var paths []string
	for key, f := range fieldsOf(t) {
		at := strings.TrimPrefix(path+"."+key, ".")
		paths = append(append(paths, at), keyPaths(f.Type, at)...)
	}
	slices.Sort(paths)
	return paths
}

// manyFaults is after how many faults a file is no slip of the pen any more, and
// unknown keys are no longer compared with the known ones.
const manyFaults = 100

// mostKey is up to which length a key is shown whole.
const mostKey = 250

var plainKey = regexp.MustCompile(`^[\w-]{1,60}$`)

// keyName gives a key as it stands in a path: as it is where it looks like a
// key, and quoted where it would garble the message.
func keyName(key string) string {
	if plainKey.MatchString(key) {
		return key
	}
	if len(key) <= mostKey {
		return strconv.Quote(key) // attribute paths begin alike and must not be cut
	}
	return quote(key)
}

// unknownKey notes the fault of a key that a section does not have, with the
// likeliest thing that was meant.
func (l *loader) unknownKey(at, key string, section reflect.Type) {
	if len(l.faults) > manyFaults {
		l.fault(at, "the key is unknown", "remove it")
		return
	}
	var here []string
	for k := range fieldsOf(section) {
		here = append(here, k)
	}
	slices.Sort(here)
	near := similar(key, here)
	switch {
	case slices.Contains(here, key+"_file"):
		l.fault(at, "the key is unknown", "did you mean "+key+"_file, with the path of a file?")
		l.meant(at, key+"_file")
	case near != "":
		l.fault(at, "the key is unknown", "did you mean "+near+"?")
		l.meant(at, near)
	case len(elsewhere(key)) > 0:
		l.fault(at, "the key is not known here", "it belongs to "+strings.Join(elsewhere(key), " or "))
	default:
		l.fault(at, "the key is unknown", "remove it; known here: "+strings.Join(here, ", "))
	}
}

// meant takes a key for given that another was most likely meant to be, so that
// it is not missed as well.
func (l *loader) meant(at, key string) {
	to := strings.TrimPrefix(at[:strings.LastIndex(at, ".")+1]+key, ".")
	if !l.given(to) {
		l.places[to] = l.places[at]
		l.broken[to] = true
	}
}

// elsewhere lists the sections that have the key, the shortest paths first, at
// most three.
func elsewhere(key string) []string {
	var sections []string
	for _, path := range keyPaths(reflect.TypeFor[Config](), "") {
		if section, ok := strings.CutSuffix(path, "."+key); ok {
			sections = append(sections, section)
		} else if path == key {
			sections = append(sections, "the top of the file")
		}
	}
	slices.SortStableFunc(sections, func(a, b string) int { return cmp.Compare(len(a), len(b)) })
	return sections[:min(len(sections), 3)]
}

// similar gives the key that one may have been meant by another, or "".
func similar(key string, keys []string) string {
	key = strings.ToLower(strings.ReplaceAll(key, "-", "_"))
	best, bestEdits := "", max(1, min(len(key), 30)/4)+1
	for _, k := range keys {
		if strings.ReplaceAll(k, "_", "") == strings.ReplaceAll(key, "_", "") {
			return k
		}
		if n := edits(key, k); n < bestEdits {
			best, bestEdits = k, n
		}
	}
	return best
}

// edits counts the letters to insert, remove, replace or swap with their
// neighbour to get from a to b (the optimal string alignment distance).
func edits(a, b string) int {
	if len(a) > 2*len(b)+3 {
		return len(a) // far off, and perhaps very long
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			swap := 1
			if a[i-1] == b[j-1] {
				swap = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+swap)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
