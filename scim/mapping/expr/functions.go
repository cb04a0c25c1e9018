package expr

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
	"github.com/google/cel-go/parser"
)

// A Function is one that expressions can call beside those that CEL has.
type Function struct {
	// Name is its name.
	Name string
	// Usage shows a call.
	Usage string
	// Doc says what it gives.
	Doc string
	// Example is an expression without properties, and Gives what it gives,
	// written as an expression.
	Example, Gives string
}

// Functions lists the functions of ours in the order of the document. All but
// default and coalesce may be written behind their first argument, too:
// user.mail.lower().
func Functions() []Function { return slices.Clone(documented) }

var documented = []Function{
	{"default", "default(x, y)", "x, or y where x says nothing", `default("", "none")`, `"none"`},
	{"coalesce", "coalesce(x, y, …)", "the first of them that says something; else an empty value", `coalesce("", "b", "c")`, `"b"`},
	{"lower", "lower(text)", "the text in small letters", `lower("Ada@EXAMPLE.org")`, `"ada@example.org"`},
	{"upper", "upper(text)", "the text in capitals", `upper("de")`, `"DE"`},
	{"title", "title(text)", "the text with a capital at the beginning of each word, and small letters behind", `title("ADA DE LOVELACE-KING")`, `"Ada De Lovelace-King"`},
	{"trim", "trim(text)", "the text without white space around it", `trim("  x ")`, `"x"`},
	{"ascii", "ascii(text)", "the text without accents, and with letters of other kinds spelt in ASCII (ß, æ, ø, ł …); what can't be is left out", `ascii("Zoë Müßig Łukasz")`, `"Zoe Mussig Lukasz"`},
	{"localPart", "localPart(text)", "what stands before the last @; all of a text without @", `localPart("ada@example.org")`, `"ada"`},
	{"domain", "domain(text)", "what stands behind the last @; nothing of a text without @", `domain("ada@example.org")`, `"example.org"`},
	{"routable", "routable(text)", "whether the text can be an e-mail address: one @, no #EXT#, and no domain that Microsoft gives every tenant", `routable("ada@contoso.onmicrosoft.com")`, `false`},
	{"smtp", "smtp(list)", "the e-mail addresses in a list such as proxyAddresses, the primary one (SMTP: in capitals) first, without their scheme", `smtp(["smtp:a@x.org", "SIP:b@x.org", "SMTP:c@x.org"])`, `["c@x.org", "a@x.org"]`},
	{"join", "join(list, separator)", "the texts of a list, one after the other; empty ones are left out", `join(["Ada", "", "Lovelace"], " ")`, `"Ada Lovelace"`},
	{"split", "split(text, separator)", "the parts of a text; none of an empty one", `split("a;b;;c", ";")`, `["a", "b", "", "c"]`},
	{"first", "first(list)", "the first text of a list; nothing of an empty one", `first(["a", "b"])`, `"a"`},
	{"unique", "unique(list)", "the texts of a list, each once; capitals make no difference", `unique(["a", "A", "b"])`, `["a", "b"]`},
	{"replace", "replace(text, old, new)", "the text with new in place of each old", `replace("a-b-c", "-", ".")`, `"a.b.c"`},
	{"regexReplace", "regexReplace(text, pattern, new)", "the text with new in place of each match; $1 is what the first group matched", `regexReplace("Lovelace, Ada", "^(\\w+), (\\w+)$", "$2 $1")`, `"Ada Lovelace"`},
	{"regexExtract", "regexExtract(text, pattern)", "what the first group of the pattern matched, or all of the match; nothing where it matches nowhere", `regexExtract("CN=Ada,OU=Math,DC=x", "OU=([^,]+)")`, `"Math"`},
	{"substring", "substring(text, from) or substring(text, from, to)", "the characters from one place, counted from 0, to before another; what is not there is left out", `substring("abcdef", 2, 4)`, `"cd"`},
	{"padLeft", "padLeft(text, length, with)", "the text, filled up at its beginning to a length (at most 1,000)", `padLeft("42", 6, "0")`, `"000042"`},
	{"lookup", "lookup(table, key) or lookup(table, key, other)", "what the table of the file has for a key; else nothing, or the other", ``, ``},
	{"date", "date(text)", "the date in a text: 2026-11-26, or in the form of RFC 3339; no date of an empty text", `date("2026-11-26") < date("2026-11-27T08:00:00Z")`, `true`},
	{"formatDate", "formatDate(date, layout)", "the date (UTC) as text, with yyyy, yy, MM, M, dd, d, HH, mm, ss in the layout; nothing of no date", `formatDate(date("2026-11-06"), "dd.MM.yyyy")`, `"06.11.2026"`},
}

// A pure is a function of text and lists.
type pure struct {
	args   []*cel.Type
	result *cel.Type
	call   func(args []ref.Val) ref.Val
}

var (
	aText  = cel.StringType
	aList  = cel.ListType(cel.StringType)
	aDate  = cel.TimestampType
	aTruth = cel.BoolType
	anInt  = cel.IntType
)

// functions gives the options that declare them.
func (e *Env) functions() []cel.EnvOption {
	overloads := map[string][]pure{
		"lower":     {textFunction(strings.ToLower)},
		"upper":     {textFunction(strings.ToUpper)},
		"title":     {textFunction(title)},
		"trim":      {textFunction(strings.TrimSpace)},
		"ascii":     {textFunction(ascii)},
		"localPart": {textFunction(localPart)},
		"domain":    {textFunction(domain)},
		"routable": {{[]*cel.Type{aText}, aTruth, func(a []ref.Val) ref.Val {
			return types.Bool(Routable(str(a[0])))
		}}},
		"smtp":   {{[]*cel.Type{aList}, aList, overTexts(func(l []string) ref.Val { return textList(smtp(l)) })}},
		"first":  {{[]*cel.Type{aList}, aText, overTexts(func(l []string) ref.Val { return types.String(firstOf(l)) })}},
		"unique": {{[]*cel.Type{aList}, aList, overTexts(func(l []string) ref.Val { return textList(unique(l)) })}},
		"join": {{[]*cel.Type{aList, aText}, aText, func(a []ref.Val) ref.Val {
			return overTexts(func(l []string) ref.Val { return join(l, str(a[1])) })(a)
		}}},
		"split": {{[]*cel.Type{aText, aText}, aList, func(a []ref.Val) ref.Val { return split2(str(a[0]), str(a[1])) }}},
		"replace": {{[]*cel.Type{aText, aText, aText}, aText, func(a []ref.Val) ref.Val {
			return replace(str(a[0]), str(a[1]), str(a[2]))
		}}},
		"regexReplace": {{[]*cel.Type{aText, aText, aText}, aText, func(a []ref.Val) ref.Val {
			return e.regexReplace(str(a[0]), str(a[1]), str(a[2]))
		}}},
		"regexExtract": {{[]*cel.Type{aText, aText}, aText, func(a []ref.Val) ref.Val {
			return e.regexExtract(str(a[0]), str(a[1]))
		}}},
		"substring": {
			{[]*cel.Type{aText, anInt}, aText, func(a []ref.Val) ref.Val { return substring(str(a[0]), integer(a[1]), MaxText) }},
			{[]*cel.Type{aText, anInt, anInt}, aText, func(a []ref.Val) ref.Val {
				return substring(str(a[0]), integer(a[1]), integer(a[2]))
			}},
		},
		"padLeft": {{[]*cel.Type{aText, anInt, aText}, aText, func(a []ref.Val) ref.Val {
			return padLeft(str(a[0]), integer(a[1]), str(a[2]))
		}}},
		"lookup": {
			{[]*cel.Type{aText, aText}, aText, func(a []ref.Val) ref.Val { return types.String(e.tables[str(a[0])][str(a[1])]) }},
			{[]*cel.Type{aText, aText, aText}, aText, func(a []ref.Val) ref.Val {
				if v, ok := e.tables[str(a[0])][str(a[1])]; ok {
					return types.String(v)
				}
				return a[2]
			}},
		},
		"date":       {{[]*cel.Type{aText}, aDate, func(a []ref.Val) ref.Val { return parseDate(str(a[0])) }}},
		"formatDate": {{[]*cel.Type{aDate, aText}, aText, func(a []ref.Val) ref.Val { return formatDate(a[0], str(a[1])) }}},
	}
	t := cel.TypeParamType("T")
	options := []cel.EnvOption{
		cel.Macros(cel.GlobalMacro("default", 2, defaultMacro), cel.GlobalVarArgMacro("coalesce", coalesceMacro)),
		// CEL's own would give the first day of the year 1 for somebody without a date.
		cel.Function("string", cel.Overload("timestamp_to_string", []*cel.Type{aDate}, aText, cel.UnaryBinding(dateText))),
		cel.Function("default", cel.Overload("default_any", []*cel.Type{t, t}, t, cel.BinaryBinding(orElse))),
	}
	for _, name := range slices.Sorted(maps.Keys(overloads)) {
		var declared []cel.FunctionOpt
		for _, f := range overloads[name] {
			id := fmt.Sprintf("%s_%d", name, len(f.args))
			declared = append(declared,
				cel.Overload(id, f.args, f.result, bind(f)...),
				cel.MemberOverload(id+"_of", f.args, f.result, bind(f)...))
		}
		options = append(options, cel.Function(name, declared...))
	}
	return options
}

// bind gives the implementation as CEL wants it for the number of arguments.
func bind(f pure) []cel.OverloadOpt {
	switch len(f.args) {
	case 1:
		return []cel.OverloadOpt{cel.UnaryBinding(func(a ref.Val) ref.Val { return f.call([]ref.Val{a}) })}
	case 2:
		return []cel.OverloadOpt{cel.BinaryBinding(func(a, b ref.Val) ref.Val { return f.call([]ref.Val{a, b}) })}
	}
	return []cel.OverloadOpt{cel.FunctionBinding(func(args ...ref.Val) ref.Val { return f.call(args) })}
}

// defaultMacro turns default(a.b, y) into has(a.b) ? a.b : y, so that it works
// for values of which the empty one says something, such as false.
func defaultMacro(h parser.ExprHelper, _ ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
	return orElseExpr(h, args[0], args[1]), nil
}

// coalesceMacro turns coalesce(a, b, c) into default(a, default(b, c)).
func coalesceMacro(h parser.ExprHelper, target ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
	if len(args) == 0 {
		return nil, h.NewError(0, "coalesce needs at least one value")
	}
	e := args[len(args)-1]
	for i := len(args) - 2; i >= 0; i-- {
		e = orElseExpr(h, args[i], e)
	}
	return e, nil
}

// orElseExpr makes the expression that gives x, or y where x says nothing.
func orElseExpr(h parser.ExprHelper, x, y ast.Expr) ast.Expr {
	if x.Kind() != ast.SelectKind || x.AsSelect().IsTestOnly() {
		return h.NewCall("default", x, y)
	}
	sel := x.AsSelect()
	return h.NewCall("_?_:_", h.NewPresenceTest(h.Copy(sel.Operand()), sel.FieldName()), x, y)
}

// orElse gives x, or y where x says nothing.
func orElse(x, y ref.Val) ref.Val {
	nothing := false
	switch x := x.(type) {
	case types.Null:
		nothing = true
	case types.String:
		nothing = x == ""
	case types.Timestamp:
		nothing = x.Time.IsZero()
	case *record:
		nothing = len(x.members) == 0
	case traits.Sizer:
		nothing = x.Size() == types.Int(0)
	}
	if nothing {
		return y
	}
	return x
}

// dateText gives a date in the form of RFC 3339, and no date as nothing.
func dateText(v ref.Val) ref.Val {
	if t, ok := v.(types.Timestamp); ok && t.Time.IsZero() {
		return types.String("")
	}
	return v.ConvertToType(types.StringType)
}

// textFunction makes a function of one text.
func textFunction(f func(string) string) pure {
	return pure{[]*cel.Type{aText}, aText, func(a []ref.Val) ref.Val { return bounded(f(str(a[0]))) }}
}

// overTexts makes a function of a list of texts.
func overTexts(f func([]string) ref.Val) func([]ref.Val) ref.Val {
	return func(a []ref.Val) ref.Val {
		l, ok := a[0].(traits.Lister)
		if !ok {
			return failing("a value is no list")
		}
		size, _ := l.Size().(types.Int)
		texts := make([]string, 0, size)
		for i := range size {
			s, ok := l.Get(i).(types.String)
			if !ok {
				return failing("an element of a list is no text")
			}
			texts = append(texts, string(s))
		}
		return f(texts)
	}
}

// bounded refuses a text that is too long.
func bounded(s string) ref.Val {
	if len(s) > MaxText {
		return errTooLong
	}
	return types.String(s)
}

// A boundedSum is a + that refuses a text that becomes too long.
type boundedSum struct{ interpreter.InterpretableCall }

// Eval implements [interpreter.Interpretable].
func (s boundedSum) Eval(vars interpreter.Activation) ref.Val {
	return s.Exec(interpreter.AsFrame(vars))
}

// Exec implements [interpreter.InterpretableV2].
func (s boundedSum) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	v := s.InterpretableCall.Exec(frame)
	if text, ok := v.(types.String); ok && len(text) > MaxText {
		return errTooLong
	}
	return v
}

// boundSums makes each + a bounded one.
func boundSums(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	if call, ok := i.(interpreter.InterpretableCall); ok && call.Function() == "_+_" {
		return boundedSum{call}, nil
	}
	return i, nil
}

var errTooLong = failing("a text becomes longer than %d bytes", MaxText)

// str gives the text of an argument. CEL checks types before it calls, and for
// what it knows only when evaluating, the guard of the overload does.
func str(v ref.Val) string {
	s, _ := v.(types.String)
	return string(s)
}

// integer gives a whole number as an int.
func integer(v ref.Val) int {
	n, _ := v.(types.Int)
	return int(min(max(n, 0), MaxText))
}

// textList makes a list.
func textList(texts []string) ref.Val { return types.DefaultTypeAdapter.NativeToValue(texts) }

// pattern gives a compiled pattern; those of a checked expression are there.
func (e *Env) pattern(text string) (*regexp.Regexp, error) {
	if re, ok := e.patterns.Load(text); ok {
		return re.(*regexp.Regexp), nil
	}
	re, err := regexp.Compile(text)
	if err == nil {
		e.patterns.Store(text, re)
	}
	return re, err
}

// checkPattern checks a pattern.
func checkPattern(e *Env, text string) (fault, mend string) {
	if len(text) > maxPattern {
		return fmt.Sprintf("the pattern is longer than %d bytes", maxPattern), "write a shorter one"
	}
	if _, err := e.pattern(text); err != nil {
		return "this is no regular expression: " + strings.TrimPrefix(err.Error(), "error parsing regexp: "),
			"see github.com/google/re2/wiki/Syntax; a backslash is written twice, or put r before the quotes"
	}
	return "", ""
}

// checkSeparator checks that there is one.
func checkSeparator(_ *Env, text string) (fault, mend string) {
	if text == "" {
		return "split needs a separator", "write one such as ';'"
	}
	return "", ""
}

// checkTable checks the name of a table.
func checkTable(e *Env, name string) (fault, mend string) {
	if _, ok := e.tables[name]; ok {
		return "", ""
	}
	names := slices.Sorted(maps.Keys(e.tables))
	mend = "add it to tables in the file"
	if near := Nearest(name, names); near != "" {
		mend = "did you mean " + near + "?"
	} else if len(names) > 0 {
		mend += "; there are " + strings.Join(names, ", ")
	}
	return "there is no lookup table " + name, mend
}
