package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A Change is a setting in which two configurations differ.
type Change struct {
	// Path is the setting. Entries of lists that have names go by these:
	// sources[contoso].interval.
	Path string

	// Old and New are the values, empty where the setting or its entry is not
	// there, and where only the content of a file or a value that is not shown
	// (a secret, a list of assertions) differs.
	Old, New string

	// NeedsRestart says that a running daemon can't take the change.
	NeedsRestart bool
}

// String gives the change for people: "path: old -> new", "path: added",
// "path: removed", or "path: changed".
func (c Change) String() string {
	switch {
	case c.Old == "" && c.New == "":
		return c.Path + ": changed"
	case c.Old == "":
		return c.Path + ": added" + detail(c.New)
	case c.New == "":
		return c.Path + ": removed" + detail(c.Old)
	}
	return c.Path + ": " + c.Old + " -> " + c.New
}

// present is the value of an entry or section that has no value of its own.
const present = "…"

func detail(value string) string {
	if value == present {
		return ""
	}
	return " " + value
}

// Equal reports whether a daemon does the same with both configurations.
func Equal(old, new *Config) bool { return len(Diff(old, new)) == 0 }

// Diff lists the settings in which two configurations differ, defaults
// included, in the order of the documentation. The content of secrets and
// certificates is compared, and never shown.
func Diff(old, new *Config) []Change {
	var d differ
	d.value("", reflect.ValueOf(*old), reflect.ValueOf(*new))
	for i := range d {
		switch d[i].Path {
		case "scim.listen", "admin.listen", "state.directory":
			d[i].NeedsRestart = true
		}
	}
	return d
}

// NeedRestart picks the changes that a running daemon can't take.
func NeedRestart(changes []Change) []Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c Change) bool { return !c.NeedsRestart })
}

// A differ collects changes.
type differ []Change

func (d *differ) add(path, old, new string) {
	*d = append(*d, Change{Path: path, Old: old, New: new})
}

// value compares two values of one type.
func (d *differ) value(path string, a, b reflect.Value) {
	if a.Kind() == reflect.Pointer {
		if a.IsNil() || b.IsNil() {
			if a.IsNil() != b.IsNil() {
				d.add(path, shown(a), shown(b))
			}
			return
		}
		a, b = a.Elem(), b.Elem()
	}
	switch {
	case isScalar(reflect.New(a.Type()).Interface()):
		d.scalar(path, a, b)
	case a.Kind() == reflect.Struct:
		for _, f := range reflect.VisibleFields(a.Type()) {
			if key, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); key != "" && key != "-" {
				d.value(strings.TrimPrefix(path+"."+key, "."), a.FieldByIndex(f.Index), b.FieldByIndex(f.Index))
			}
		}
		if old, ok := pointerTo(a).(ruled); ok {
			d.ruleChanges(path, old.rules(), pointerTo(b).(ruled).rules())
		}
	case a.Kind() == reflect.Map:
		d.tables(path, a, b)
	default:
		d.list(path, a, b)
	}
}

// pointerTo gives a pointer to a copy of a value.
func pointerTo(v reflect.Value) any {
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return p.Interface()
}

// tables compares lookup tables by their names.
func (d *differ) tables(path string, a, b reflect.Value) {
	old, new := a.Interface().(Tables), b.Interface().(Tables)
	for _, name := range slices.Sorted(maps.Keys(new)) {
		at := path + "." + keyName(name)
		if before, ok := old[name]; !ok {
			d.add(at, "", present)
		} else if !maps.Equal(before, new[name]) {
			d.add(at, "", "")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if _, ok := new[name]; !ok {
			d.add(path+"."+keyName(name), present, "")
		}
	}
}

func (d *differ) scalar(path string, a, b reflect.Value) {
	switch old, new := shown(a), shown(b); {
	case old != new:
		d.add(path, old, new)
	case !reflect.DeepEqual(a.Interface(), b.Interface()):
		d.add(path, "", "")
	}
}

// list compares lists: by the names of the entries where they have names, and
// as a whole elsewhere.
func (d *differ) list(path string, a, b reflect.Value) {
	if a.Type().Elem().Kind() == reflect.Struct {
		if _, named := a.Type().Elem().FieldByName("Name"); named {
			d.entries(path, a, b)
			return
		}
	}
	switch old, new := listed(a), listed(b); {
	case old != new:
		d.add(path, old, new)
	case !sameEntries(a, b):
		d.add(path, "", "")
	}
}

// entries compares lists whose entries have names, whatever their order: it
// changes nothing.
func (d *differ) entries(path string, a, b reflect.Value) {
	byName := func(list reflect.Value) (names []string, entries map[string]reflect.Value) {
		entries = map[string]reflect.Value{}
		for i := range list.Len() {
			name := list.Index(i).FieldByName("Name").String()
			names, entries[name] = append(names, name), list.Index(i)
		}
		return names, entries
	}
	oldNames, olds := byName(a)
	newNames, news := byName(b)
	for _, name := range newNames {
		at := path + "[" + name + "]"
		if old, ok := olds[name]; ok {
			d.value(at, old, news[name])
		} else {
			d.add(at, "", present)
		}
	}
	for _, name := range oldNames {
		if _, ok := news[name]; !ok {
			d.add(path+"["+name+"]", present, "")
		}
	}
}

// sameEntries compares lists of sections without names, by every setting in
// them.
func sameEntries(a, b reflect.Value) bool {
	if a.Len() != b.Len() {
		return false
	}
	var d differ
	for i := range a.Len() {
		d.value("", a.Index(i), b.Index(i))
	}
	return len(d) == 0
}

// listed shows a list of scalars; of any other list only whether it is there.
func listed(list reflect.Value) string {
	if list.Len() == 0 {
		return ""
	}
	items := make([]string, list.Len())
	for i := range items {
		item := list.Index(i)
		if !isScalar(reflect.New(item.Type()).Interface()) {
			return present
		}
		items[i] = shown(item)
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// shown gives a value as the file would have it, "" for none.
func shown(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		return shown(v.Elem())
	}
	switch v := v.Interface().(type) {
	case interface{ IsZero() bool }:
		if v.IsZero() {
			return ""
		}
	case time.Duration:
		return brief(v)
	case float64:
		if v == 0 {
			return "" // no limit
		}
	}
	if !isScalar(reflect.New(v.Type()).Interface()) {
		return present
	}
	return fmt.Sprint(v.Interface())
}
