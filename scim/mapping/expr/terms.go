package expr

import (
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	op "github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// A Term is a comparison that an object has to meet for a condition to be true
// of it, and that a plain $filter of Graph can make, too: one that needs no
// advanced query parameters, and so is not answered from an index that lags
// (learn.microsoft.com/graph/aad-advanced-queries). Graph does not tell upper
// from lower case, so it finds all that meet the term, and maybe others.
type Term struct {
	// Property is a property of the object, of type text or bool.
	Property string
	// Values are texts of which the property is one, or begins with the only
	// one where Prefix is set. None: the property is true.
	Values []string
	Prefix bool
}

// What plain filters compare, by Microsoft's table of users' properties.
const (
	filteredEqual = `ageGroup city country creationType department displayName employeeId givenName jobTitle mail
		mailNickname state surname usageLocation userPrincipalName userType`
	filteredPrefix = `city country department displayName employeeId givenName mail mailNickname state surname
		usageLocation userPrincipalName`
	filteredTrue = `accountEnabled isResourceAccount onPremisesSyncEnabled`
)

// maxTermValues is how many comparisons Graph joins by "or".
const maxTermValues = 15

// Terms gives the terms of a condition over users: whoever does not meet one of
// them does not meet the condition. There may be none.
func (p *Program) Terms() []Term { return slices.Clone(p.terms) }

// terms finds them: the parts of the expression that are joined by &&.
func (e *Env) terms(parsed *cel.Ast) (all []Term) {
	if e.kind != User {
		return nil
	}
	var visit func(ast.Expr)
	visit = func(part ast.Expr) {
		if part.Kind() == ast.CallKind && part.AsCall().FunctionName() == op.LogicalAnd {
			for _, arg := range part.AsCall().Args() {
				visit(arg)
			}
			return
		}
		if t, ok := termOf(part); ok {
			all = append(all, t)
		}
	}
	visit(parsed.NativeRep().Expr())
	return all
}

// termOf reads a part as a term, if it is one. A comparison with "" is none:
// absent properties meet it, which Graph keeps apart.
func termOf(part ast.Expr) (t Term, ok bool) {
	if name := propertyOf(part); name != "" {
		return Term{Property: name}, within(filteredTrue, name)
	}
	if part.Kind() != ast.CallKind {
		return t, false
	}
	call, allowed := part.AsCall(), filteredEqual
	args := call.Args()
	switch call.FunctionName() {
	case op.Equals:
		if propertyOf(args[0]) == "" {
			args = []ast.Expr{args[1], args[0]}
		}
		if args[1].Kind() == ast.LiteralKind && args[1].AsLiteral() == types.True {
			return termOf(args[0])
		}
		t.Values = textsOf(args[1])
	case op.In:
		if args[1].Kind() != ast.ListKind {
			return t, false
		}
		t.Values = textsOf(args[1].AsList().Elements()...)
	case "startsWith":
		if !call.IsMemberFunction() || len(args) != 1 {
			return t, false
		}
		t.Values, t.Prefix, allowed = textsOf(args[0]), true, filteredPrefix
		args = []ast.Expr{call.Target()}
	default:
		return t, false
	}
	t.Property = propertyOf(args[0])
	return t, within(allowed, t.Property) && len(t.Values) > 0 && len(t.Values) <= maxTermValues
}

// propertyOf gives NAME of user.NAME, or "".
func propertyOf(e ast.Expr) string {
	if e.Kind() != ast.SelectKind || e.AsSelect().IsTestOnly() {
		return ""
	}
	of := e.AsSelect().Operand()
	if of.Kind() != ast.IdentKind || of.AsIdent() != User.String() {
		return ""
	}
	return e.AsSelect().FieldName()
}

// textsOf gives literal texts; nil unless all are, and none is empty.
func textsOf(list ...ast.Expr) (texts []string) {
	for _, e := range list {
		if e.Kind() != ast.LiteralKind {
			return nil
		}
		s, ok := e.AsLiteral().(types.String)
		if !ok || s == "" {
			return nil
		}
		texts = append(texts, string(s))
	}
	return texts
}
