package expr

import "fmt"

// Condition compiles a condition of the scope: it is true or false, and reads
// nothing but what delta queries bring, since by these it is decided who is
// served. Its errors are as those of [Env.Compile].
func (e *Env) Condition(source string) (*Program, error) {
	p, err := e.Compile(source)
	if err != nil {
		return nil, err
	}
	if p.Type() != Bool {
		return nil, Errors{{Line: 1, Column: 1, Message: fmt.Sprintf("the condition is %s, and not true or false", p.Type()),
			Mend: "compare it with something, or ask has(" + e.kind.String() + ".NAME)"}}
	}
	for _, name := range p.Properties() {
		if property, ok := Lookup(e.kind, name); ok && property.Aside {
			return nil, Errors{{Line: 1, Column: 1, Message: name + " is not brought by delta queries, and can't decide who is served",
				Mend: "use another property, or a group and member_of"}}
		}
	}
	return p, nil
}
