package expr

import (
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
)

// A walk goes over the parsed expression before CEL checks its types: it notes
// which properties are read, and finds what CEL would put in worse words or let
// pass.
type walk struct {
	env        *Env
	info       *ast.SourceInfo
	faults     Errors
	properties map[string]bool
	loops      bool
	today      bool
	selected   map[int64]bool // operands of a selection
}

// walk goes over an expression.
func (e *Env) walk(parsed *cel.Ast) *walk {
	rep := parsed.NativeRep()
	w := &walk{env: e, info: rep.SourceInfo(), properties: map[string]bool{}, selected: map[int64]bool{}}
	ast.PreOrderVisit(rep.Expr(), ast.NewExprVisitor(w.visit))
	return w
}

// fault notes a fault of the part with an id.
func (w *walk) fault(id int64, shift int, message, mend string) {
	at := w.info.GetStartLocation(id)
	w.faults = append(w.faults, Error{at.Line(), at.Column() + 1 + shift, message, mend})
}

func (w *walk) visit(e ast.Expr) {
	switch e.Kind() {
	case ast.SelectKind:
		w.selection(e)
	case ast.IdentKind:
		w.ident(e)
	case ast.CallKind:
		w.call(e)
	case ast.StructKind:
		w.fault(e.ID(), 0, "an object can't be made in an expression", "write a map such as {'value': x}")
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		w.loops = true
		if v := c.IterVar(); v == User.String() || v == Group.String() || v == "today" {
			w.fault(e.ID(), 0, "the variable of a loop can't be called "+v, "call it x")
		}
	}
}

// ident checks a name that stands alone.
func (w *walk) ident(e ast.Expr) {
	switch name := e.AsIdent(); name {
	case "today":
		w.today = true
	case w.env.kind.String():
		if !w.selected[e.ID()] {
			w.fault(e.ID(), 0, name+" alone is no value", "name a property, such as "+name+".displayName")
		}
	}
}

// selection checks x.name.
func (w *walk) selection(e ast.Expr) {
	sel := e.AsSelect()
	w.selected[sel.Operand().ID()] = true
	owner := w.ownerOf(sel.Operand())
	if owner == nil {
		return
	}
	name := sel.FieldName()
	if owner.variable != "" {
		w.properties[name] = true
	}
	if owner.field(name) != nil {
		return
	}
	message := fmt.Sprintf("there is no property %s of %s", name, owner.path)
	mend := "see docs/mapping.md for what an expression can read"
	switch near := Nearest(name, owner.names()); {
	case owner.variable != "" && within(relations, name):
		message = fmt.Sprintf("%s.%s is no property but a relationship, which expressions can't read", owner.path, name)
		mend = "for membership in groups use member_of of the scope"
	case owner.variable != "" && within(outside, name):
		message = fmt.Sprintf("%s.%s is kept outside of the directory, and Graph refuses to read it along with the others", owner.path, name)
		mend = "use another property"
	case near != "":
		mend = "did you mean " + near + "?"
	case w.env.types.root.field(name) != nil && owner.variable == "":
		mend = fmt.Sprintf("did you mean %s.%s?", w.env.kind, name)
	}
	shift := 0
	if w.info.GetStartLocation(e.ID()).Line() > 0 {
		shift = 1 // the place is that of the dot
	}
	w.fault(e.ID(), shift, message, mend)
}

// ownerOf gives the type of an operand that is an object of Graph or within
// one, nil for any other.
func (w *walk) ownerOf(e ast.Expr) *objectType {
	switch e.Kind() {
	case ast.IdentKind:
		if e.AsIdent() == w.env.kind.String() {
			return w.env.types.root
		}
	case ast.SelectKind:
		sel := e.AsSelect()
		if owner := w.ownerOf(sel.Operand()); owner != nil {
			if f := owner.field(sel.FieldName()); f != nil && f.kind == Map {
				return f.object
			}
		}
	}
	return nil
}

// call checks the arguments that have to be literals.
func (w *walk) call(e ast.Expr) {
	c := e.AsCall()
	args := c.Args()
	if c.IsMemberFunction() {
		args = append([]ast.Expr{c.Target()}, args...)
	}
	check := literalArguments[c.FunctionName()]
	if check == nil || len(args) <= check.at {
		return
	}
	arg := args[check.at]
	s, ok := types.String(""), false
	if arg.Kind() == ast.LiteralKind {
		s, ok = arg.AsLiteral().(types.String)
	}
	if !ok && check.free {
		return
	}
	if !ok {
		w.fault(arg.ID(), 0, fmt.Sprintf("the %s of %s has to be a text in quotes", check.what, c.FunctionName()), "write it out")
		return
	}
	if what, mend := check.check(w.env, string(s)); what != "" {
		w.fault(arg.ID(), 0, what, mend)
	}
}

// A literalArgument is an argument that is checked when the file is.
type literalArgument struct {
	at    int // with a receiver counted as the first
	what  string
	check func(*Env, string) (fault, mend string)
	free  bool // it need not be a literal
}

// literalArguments are those, by function.
var literalArguments = map[string]*literalArgument{
	"matches":      {1, "pattern", checkPattern, false},
	"regexReplace": {1, "pattern", checkPattern, false},
	"regexExtract": {1, "pattern", checkPattern, false},
	"split":        {1, "separator", checkSeparator, true},
	"lookup":       {0, "table", checkTable, false},
	"formatDate":   {1, "layout", checkLayout, false},
}

// A Part is a part of a value as an expression names it, in a map such as
// {'value': x}, with its place in the source.
type Part struct {
	Name         string
	Line, Column int
}

// parts gives those of the maps that an expression gives, as its value or in a list.
func parts(info *ast.SourceInfo, e ast.Expr) (all []Part) {
	follow := func(exprs ...ast.Expr) {
		for _, e := range exprs {
			all = append(all, parts(info, e)...)
		}
	}
	switch e.Kind() {
	case ast.ListKind:
		follow(e.AsList().Elements()...)
	case ast.ComprehensionKind:
		follow(e.AsComprehension().LoopStep())
	case ast.CallKind:
		c := e.AsCall()
		switch c.FunctionName() {
		case "_?_:_":
			follow(c.Args()[1:]...)
		case "_+_", "default":
			follow(c.Args()...)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			k := entry.AsMapEntry().Key()
			if k.Kind() != ast.LiteralKind {
				continue
			}
			if name, ok := k.AsLiteral().(types.String); ok {
				at := info.GetStartLocation(k.ID())
				all = append(all, Part{string(name), at.Line(), at.Column() + 1})
			}
		}
	}
	return all
}
