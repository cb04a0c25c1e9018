package expr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"
	"unicode/utf8"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// An Object is one object of Graph, ready to be read by expressions of its kind.
// It is for one goroutine, and good for as long as the JSON is not changed.
type Object struct {
	root  record
	today time.Time
}

// Object takes the JSON of an object as it is stored: properties in any order.
// Nothing is decoded before an expression reads it. Expressions that speak of
// today mean the day of the given time.
func (e *Env) Object(raw []byte, now time.Time) (*Object, error) {
	o := &Object{}
	return o, e.Reset(o, raw, now)
}

// Reset makes the object another one and keeps its memory.
func (e *Env) Reset(o *Object, raw []byte, now time.Time) error {
	o.root.typ, o.today = e.types.root, Day(now)
	var err error
	if o.root.members, err = split(o.root.members[:0], raw); err != nil {
		return fmt.Errorf("reading the %s: %w", e.kind, err)
	}
	return nil
}

// A member is one property of a JSON object.
type member struct{ name, value []byte }

// A record is a JSON object with a type. It is a value of CEL.
type record struct {
	typ     *objectType
	members []member
}

// raw gives the JSON of a property, nil where it says nothing.
func (r *record) raw(name string) []byte {
	for i := len(r.members) - 1; i >= 0; i-- { // the last of a name counts, as in encoding/json
		if m := &r.members[i]; string(m.name) == name {
			if silent(m.value) {
				return nil
			}
			return m.value
		}
	}
	return nil
}

// silent says whether a JSON value says nothing.
func silent(v []byte) bool {
	switch {
	case len(v) == 0 || string(v) == "null" || string(v) == `""`:
		return true
	case v[0] == '[' || v[0] == '{':
		return blank(v, 1) == len(v)-1
	}
	return false
}

// get gives a property as a value of CEL.
func (r *record) get(name string, t *propertyType) (any, error) {
	v := r.raw(name)
	if v == nil {
		return t.empty(), nil
	}
	value, err := t.value(v)
	if err != nil {
		return nil, &valueError{fmt.Sprintf("%s.%s %v", r.typ.path, name, err)}
	}
	return value, nil
}

// errKind marks a value of another JSON kind than the property has.
func errKind(raw []byte, want string) error {
	return fmt.Errorf("is %s, not %s", jsonKind(raw), want)
}

// jsonKind names the kind of a JSON value.
func jsonKind(raw []byte) string {
	switch raw[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// text gives the text of a JSON string.
func text(raw []byte) (string, error) {
	if raw[0] != '"' {
		return "", errKind(raw, "a string")
	}
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1]), nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", errors.New("is no valid JSON")
	}
	return s, nil
}

// dynamic decodes a value whose type is not known.
func dynamic(raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, errors.New("is no valid JSON")
	}
	return tidy(v), nil
}

// tidy makes numbers of CEL and drops members that say nothing.
func tidy(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = tidy(v[i])
		}
		return v
	case map[string]any:
		for name, e := range v {
			if v[name] = tidy(e); empty(v[name]) {
				delete(v, name)
			}
		}
		return v
	}
	return v
}

// empty says whether a decoded value says nothing.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// ConvertToNative implements ref.Val.
func (r *record) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("%s can't be used as %v", r.typ.path, t)
}

// ConvertToType implements ref.Val.
func (r *record) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return r.typ.cel
	}
	return failing("%s can't be turned into %s", r.typ.path, t.TypeName())
}

// Equal implements ref.Val: objects are equal if they say the same.
func (r *record) Equal(other ref.Val) ref.Val {
	o, ok := other.(*record)
	if !ok || o.typ != r.typ {
		return types.False
	}
	a, errA := r.native()
	b, errB := o.native()
	return types.Bool(errA == nil && errB == nil && reflect.DeepEqual(a, b))
}

// Type implements ref.Val.
func (r *record) Type() ref.Type { return r.typ.cel }

// Value implements ref.Val.
func (r *record) Value() any { return r }

// native gives the record as a Go value.
func (r *record) native() (any, error) {
	m := make(map[string]any, len(r.members))
	for _, e := range r.members {
		v, err := dynamic(e.value)
		if err != nil {
			return nil, fmt.Errorf("%s %w", r.typ.path, err)
		}
		if !empty(v) {
			m[string(e.name)] = v
		}
	}
	return m, nil
}

// nativeOf turns lists and maps into values of Go.
func nativeOf(v ref.Val) (any, error) {
	switch v := v.(type) {
	case traits.Mapper:
		m := map[string]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			name, ok := key.(types.String)
			if !ok {
				return nil, errors.New("the value has a map whose keys are no texts")
			}
			e, err := native(v.Get(key))
			if err != nil {
				return nil, err
			}
			m[string(name)] = e
		}
		return m, nil
	case traits.Lister:
		size, _ := v.Size().(types.Int)
		list := make([]any, 0, size)
		for i := range size {
			e, err := native(v.Get(i))
			if err != nil {
				return nil, err
			}
			list = append(list, e)
		}
		return list, nil
	case types.Duration:
		return v.Duration.String(), nil
	}
	return nil, fmt.Errorf("the value is %s, which no attribute can have", v.Type().TypeName())
}

// number gives a whole number.
func number(raw []byte) (types.Int, error) {
	if c := raw[0]; c != '-' && (c < '0' || c > '9') {
		return 0, errKind(raw, "a number")
	}
	v, err := dynamic(raw)
	if err != nil {
		return 0, err
	}
	switch v := v.(type) {
	case int64:
		return types.Int(v), nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return types.Int(v), nil
		}
	}
	return 0, errors.New("is no whole number")
}

// errJSON says that an object can't be read.
var errJSON = errors.New("it is no JSON object")

// split notes the members of a JSON object. It relies on the JSON being valid
// where it does not look, for what is stored is; invalid JSON never makes it
// run on.
func split(members []member, raw []byte) ([]member, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) < 2 || raw[0] != '{' || raw[len(raw)-1] != '}' {
		return members, errJSON
	}
	i := blank(raw, 1)
	if i == len(raw)-1 {
		return members, nil
	}
	for {
		begin := blank(raw, i)
		end := skip(raw, begin)
		colon := blank(raw, end)
		if end < 0 || raw[begin] != '"' || colon >= len(raw) || raw[colon] != ':' {
			return members, errJSON
		}
		from := blank(raw, colon+1)
		to := skip(raw, from)
		i = blank(raw, to)
		if to < 0 || i >= len(raw) || (raw[i] != ',' && i != len(raw)-1) {
			return members, errJSON
		}
		name := raw[begin+1 : end-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			s, err := text(raw[begin:end])
			if err != nil {
				return members, errJSON
			}
			name = []byte(s)
		}
		members = append(members, member{name, raw[from:to]})
		if i == len(raw)-1 {
			return members, nil
		}
		i++
	}
}

// elements gives the elements of a JSON array.
func elements(raw []byte) ([][]byte, error) {
	var list []json.RawMessage
	if raw[0] != '[' {
		return nil, errKind(raw, "an array")
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, errors.New("is no valid JSON")
	}
	all := make([][]byte, 0, len(list))
	for _, e := range list {
		if !silent(e) {
			all = append(all, e)
		}
	}
	return all, nil
}

// blank skips white space.
func blank(raw []byte, i int) int {
	for i >= 0 && i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\t' || raw[i] == '\r') {
		i++
	}
	return i
}

// skip gives the end of the value that begins at i, or -1.
func skip(raw []byte, i int) int {
	if i < 0 || i >= len(raw) {
		return -1
	}
	switch raw[i] {
	case '"':
		return skipText(raw, i)
	case '{', '[':
		return skipComposite(raw, i)
	}
	for start := i; i < len(raw); i++ {
		switch raw[i] {
		case ',', '}', ']', ' ', '\n', '\t', '\r':
			if i == start {
				return -1
			}
			return i
		}
	}
	return -1
}

// skipText gives the end of a string.
func skipText(raw []byte, i int) int {
	for i++; ; i += 2 {
		end := bytes.IndexByte(raw[min(i, len(raw)):], '"')
		if end < 0 {
			return -1
		}
		escape := bytes.IndexByte(raw[i:i+end], '\\')
		if escape < 0 {
			return i + end + 1
		}
		i += escape
	}
}

// skipComposite gives the end of an object or an array.
func skipComposite(raw []byte, i int) int {
	for depth := 0; i < len(raw); {
		switch raw[i] {
		case '"':
			if i = skipText(raw, i); i < 0 {
				return -1
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return -1
}
