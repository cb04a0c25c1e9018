package expr

import (
	"errors"
	"regexp"
	"slices"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// A Type is the type of a value, as far as the mapping has to tell them apart.
type Type uint8

// The types.
const (
	Any  Type = iota // known only when evaluated
	Text             // string
	Bool
	Int
	Double
	Date
	Texts // list of strings
	List  // any other list
	Map   // map, or an object of Graph
	Null
	Other // duration, bytes and the like: no attribute can have it
)

// String names the type to people.
func (t Type) String() string {
	return [...]string{"anything", "a text", "true or false", "a whole number", "a number", "a date",
		"a list of texts", "a list", "a map", "null", "something that no attribute can have"}[t]
}

// typeOf sorts a type of CEL.
func typeOf(t *cel.Type) Type {
	switch t.Kind() {
	case types.DynKind, types.AnyKind, types.TypeParamKind:
		return Any
	case types.StringKind:
		return Text
	case types.BoolKind:
		return Bool
	case types.IntKind, types.UintKind:
		return Int
	case types.DoubleKind:
		return Double
	case types.TimestampKind:
		return Date
	case types.NullTypeKind:
		return Null
	case types.ListKind:
		if p := t.Parameters(); len(p) == 1 && p[0].Kind() == types.StringKind {
			return Texts
		}
		return List
	case types.MapKind, types.StructKind:
		return Map
	}
	return Other
}

// An objectType is a type of objects with known properties.
type objectType struct {
	cel      *cel.Type
	variable string // user or group for an object of Graph, "" for one in it
	path     string // for messages
	fields   map[string]*propertyType
	// open gives the type of properties that no documentation lists, nil for
	// a name that can't be one.
	open func(name string) *propertyType
}

// field gives the type of a property, or nil.
func (t *objectType) field(name string) *propertyType {
	if f := t.fields[name]; f != nil {
		return f
	}
	if t.open != nil {
		return t.open(name)
	}
	return nil
}

// names lists the properties, sorted.
func (t *objectType) names() []string {
	var names []string
	for name := range t.fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// A propertyType is the type of a property.
type propertyType struct {
	cel    *cel.Type
	kind   Type
	object *objectType // for an object, or the elements of a list of objects
}

// celType gives the type as CEL has it.
func newPropertyType(kind Type, object *objectType) *propertyType {
	p := &propertyType{kind: kind, object: object}
	switch kind {
	case Text:
		p.cel = cel.StringType
	case Bool:
		p.cel = cel.BoolType
	case Int:
		p.cel = cel.IntType
	case Date:
		p.cel = cel.TimestampType
	case Texts:
		p.cel = cel.ListType(cel.StringType)
	case List:
		p.cel = cel.ListType(object.cel)
	case Map:
		p.cel = object.cel
	default:
		p.cel = cel.DynType
	}
	return p
}

// empty gives the value of a property that says nothing.
func (p *propertyType) empty() any {
	switch p.kind {
	case Bool:
		return types.False
	case Int:
		return types.Int(0)
	case Date:
		return types.Timestamp{}
	case Texts, List:
		return noElements
	case Map:
		return &record{typ: p.object}
	}
	return types.String("")
}

// noElements is the empty list.
var noElements = types.NewRefValList(types.DefaultTypeAdapter, nil)

// value reads the JSON of a property that says something.
func (p *propertyType) value(raw []byte) (any, error) {
	switch p.kind {
	case Text:
		s, err := text(raw)
		return types.String(s), err
	case Bool:
		switch string(raw) {
		case "true":
			return types.True, nil
		case "false":
			return types.False, nil
		}
		return nil, errKind(raw, "a boolean")
	case Int:
		return number(raw)
	case Date:
		s, err := text(raw)
		if err != nil {
			return nil, err
		}
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return nil, errors.New("is not a date and time in the form of RFC 3339")
		}
		return types.Timestamp{Time: t.UTC()}, nil
	case Map:
		return p.record(raw)
	case Texts, List:
		return p.list(raw)
	}
	v, err := dynamic(raw)
	return types.DefaultTypeAdapter.NativeToValue(v), err
}

// record reads an object within the object.
func (p *propertyType) record(raw []byte) (*record, error) {
	if raw[0] != '{' {
		return nil, errKind(raw, "an object")
	}
	members, err := split(nil, raw)
	if err != nil {
		return nil, errors.New("is no valid JSON")
	}
	return &record{p.object, members}, nil
}

// list reads an array. Elements that say nothing are left out.
func (p *propertyType) list(raw []byte) (any, error) {
	all, err := elements(raw)
	if err != nil {
		return nil, err
	}
	values := make([]ref.Val, 0, len(all))
	for _, e := range all {
		var v ref.Val
		if p.kind == List {
			v, err = p.record(e)
		} else {
			var s string
			s, err = text(e)
			v = types.String(s)
		}
		if err != nil {
			return nil, errors.New("has an element that " + err.Error())
		}
		values = append(values, v)
	}
	return types.NewRefValList(types.DefaultTypeAdapter, values), nil
}

// A typeTable gives CEL the types of the properties.
type typeTable struct {
	types.Provider
	root  *objectType
	named map[string]*objectType
}

// FindStructType implements types.Provider.
func (t *typeTable) FindStructType(name string) (*types.Type, bool) {
	if o := t.named[name]; o != nil {
		return types.NewTypeTypeWithParam(o.cel), true
	}
	return t.Provider.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (t *typeTable) FindStructFieldNames(name string) ([]string, bool) {
	if o := t.named[name]; o != nil {
		return o.names(), true
	}
	return t.Provider.FindStructFieldNames(name)
}

// FindStructFieldType implements types.Provider.
func (t *typeTable) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	o := t.named[name]
	if o == nil {
		return t.Provider.FindStructFieldType(name, field)
	}
	f := o.field(field)
	if f == nil {
		return nil, false
	}
	return &types.FieldType{
		Type: f.cel,
		IsSet: func(target any) bool {
			r, ok := target.(*record)
			return ok && r.raw(field) != nil
		},
		GetFrom: func(target any) (any, error) {
			r, ok := target.(*record)
			if !ok {
				return nil, errors.New("no object has the property " + field)
			}
			return r.get(field, f)
		},
	}, true
}

// NewValue implements types.Provider: nothing of Graph can be made up.
func (t *typeTable) NewValue(name string, fields map[string]ref.Val) ref.Val {
	if t.named[name] != nil {
		return failing("an object of Graph can't be made in an expression")
	}
	return t.Provider.NewValue(name, fields)
}

// The spellings of properties that tenants add to Graph.
var (
	directoryExtension = regexp.MustCompile(`^extension_[0-9a-fA-F]{32}_[A-Za-z0-9_]+$`)
	schemaExtension    = regexp.MustCompile(`^(ext[a-z0-9]{8}|[a-z][a-z0-9]*)_[A-Za-z0-9_]+$`)
)
