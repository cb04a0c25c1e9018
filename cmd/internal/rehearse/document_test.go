package rehearse_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"scimbridge/cmd/internal/rehearse"
	"scimbridge/scim/mapping/expr"
)

var update = flag.Bool("update", false, "rewrite the tables of docs/rehearse.md")

const document = "../../../docs/rehearse.md"

var block = regexp.MustCompile(`(?s)<!-- rules: (\w+) -->\n(.*?)<!-- end -->`)

// The document shows every rule of every platform.
func TestDocumentShowsTheRules(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	want := block.ReplaceAllStringFunc(string(text), func(b string) string {
		name := block.FindStringSubmatch(b)[1]
		p, err := rehearse.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		shown++
		var out strings.Builder
		fmt.Fprintf(&out, "<!-- rules: %s -->\n| rule | effect | attribute | who | why |\n|---|---|---|---|---|\n", name)
		for _, r := range p.Rules() {
			fmt.Fprintf(&out, "| %s | %s | `%s` | %s | %s |\n", r.Name, r.Effect, r.Attribute, r.What, r.Why)
		}
		return out.String() + "<!-- end -->"
	})
	if shown != len(rehearse.Platforms()) {
		t.Errorf("%d of %d platforms are shown", shown, len(rehearse.Platforms()))
	}
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s is stale: run with -update", document)
	}
	if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Every line that is suggested for a mapping is an expression that the
// configuration takes, and gives text.
func TestSuggestionsCompile(t *testing.T) {
	env, err := expr.NewEnv(expr.Config{Object: expr.User})
	if err != nil {
		t.Fatal(err)
	}
	text, err := env.Compile(`user.displayName`)
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, p := range rehearse.Platforms() {
		for _, r := range p.Rules() {
			for _, m := range r.Mapping {
				lines++
				program, err := env.Compile(m.Expression)
				if err != nil {
					t.Errorf("%s %s: %v: %s", p.Name, r.Name, err, m)
				} else if program.Type() != text.Type() {
					t.Errorf("%s %s: %s is of type %v", p.Name, r.Name, m, program.Type())
				}
			}
		}
	}
	if lines < 10 {
		t.Errorf("only %d lines", lines)
	}
}

// A suggested name is there for everybody who has a display name, or none.
func TestSuggestedNames(t *testing.T) {
	env, err := expr.NewEnv(expr.Config{Object: expr.User})
	if err != nil {
		t.Fatal(err)
	}
	okta, _ := rehearse.Find("okta")
	suggested := make(map[string]string)
	for _, r := range okta.Rules() {
		for _, m := range r.Mapping {
			if strings.HasPrefix(r.Name, "no-") {
				suggested[m.Path] = m.Expression
			}
		}
	}
	for _, tt := range []struct{ object, given, family, email string }{
		{`{"displayName":"Ada Lovelace","userPrincipalName":"ada@x.example"}`, "Ada", "Lovelace", "ada@x.example"},
		{`{"displayName":"Scanner","userPrincipalName":"scan@x.onmicrosoft.com","otherMails":["a@b.example"]}`, "Scanner", "Scanner", "a@b.example"},
		{`{"userPrincipalName":"svc@x.example"}`, "svc", "svc", "svc@x.example"},
		{`{"displayName":"A B","givenName":"G","surname":"S","mail":"m@x.example","userPrincipalName":"u@x.example"}`, "G", "S", "m@x.example"},
	} {
		for path, want := range map[string]string{
			"name.givenName": tt.given, "name.familyName": tt.family, `emails[type eq "work" and primary eq true].value`: tt.email,
		} {
			program, err := env.Compile(suggested[path])
			if err != nil {
				t.Fatal(err)
			}
			obj, err := env.Object([]byte(tt.object), time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := program.Eval(obj); err != nil || got != want {
				t.Errorf("%s of %s is %v (%v), want %q", path, tt.object, got, err, want)
			}
		}
	}
}
