package scim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"scimbridge/scim/directory"
)

// benchUser is a person as the default mapping renders her, about 1.5 KB.
const benchUser = `"externalId":"20451","userName":"alexandra.whitfield-moreau@contoso.example","name":{"familyName":"Whitfield-Moreau","givenName":"Alexandra"},"displayName":"Alexandra Whitfield-Moreau","title":"Senior Engineer","userType":"Employee","preferredLanguage":"en-GB","active":true,"emails":[{"value":"alexandra.whitfield-moreau@contoso.example","type":"work","primary":true},{"value":"alex@home.example","type":"other"},{"value":"a.whitfield@contoso.example","type":"work"}],"phoneNumbers":[{"value":"+44 20 7946 0018","type":"work"},{"value":"+44 7700 900123","type":"mobile"}],"ims":[{"value":"sip:alexandra.whitfield-moreau@contoso.example","type":"work"}],"addresses":[{"streetAddress":"12 Example Street","locality":"London","region":"Greater London","postalCode":"EC1A 1BB","country":"GB","type":"work"}],"` +
	enterprise + `":{"employeeNumber":"20451","costCenter":"4711","organization":"Contoso Ltd","division":"Cloud","department":"Research","manager":{"value":"0f3c7b1e-7d2e-4c60-9a55-0d6a6ad5c001","$ref":"https://scim.example.com/scim/v2/Users/0f3c7b1e-7d2e-4c60-9a55-0d6a6ad5c001"}},"` +
	entraUser + `":{"mailNickname":"alexandra.whitfield","officeLocation":"3/214","onPremisesSyncEnabled":true,"usageLocation":"GB","userType":"Member","proxyAddresses":["SMTP:alexandra.whitfield-moreau@contoso.example","smtp:a.whitfield@contoso.example"]}`

// benchView holds one such person, in one group.
func benchView(b *testing.B) *directory.View {
	b.Helper()
	p, err := directory.Open(directory.Options{Dir: b.TempDir(), Source: "bench", BaseURL: "https://scim.example.com/scim/v2", Keep: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Close() })
	d := p.Draft()
	put(b, d, directory.User, "u-1", benchUser)
	put(b, d, directory.Group, "g-1", `"displayName":"Group"`)
	d.Join("g-1", "u-1")
	publish(b, p, d, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	return directory.NewView(p.Current())
}

func BenchmarkMatch(b *testing.B) {
	v, attrs := benchView(b), newAttributes(servedSchemas(b), nil)
	r := v.At(directory.User, 0)
	for _, bm := range []struct{ name, filter string }{
		{"userName", `userName eq "somebody.else@contoso.example"`},
		{"title", `title co "manager"`},
		{"absent", `creationType pr`},
		{"emails", `emails[type eq "work" and value ew "@fabrikam.example"]`},
		{"extension", `department eq "Sales"`},
		{"meta", `meta.created gt "2026-11-22T00:00:00Z"`},
		{"active", `active eq true`},
		{"groups", `groups.value eq "g-2"`},
		{"lastModified", `meta.lastModified lt "2026-01-01T00:00:00Z" and active eq true`},
		{"ten terms", strings.TrimSuffix(strings.Repeat(`title eq "x" or userType eq "y" or department eq "z" or displayName sw "q" or emails co "w" or `, 2), " or ")},
	} {
		b.Run(bm.name, func(b *testing.B) {
			f, err := attrs.compileFilter(onUsers, bm.filter)
			if err != nil {
				b.Fatal(err.detail)
			}
			s := f.subject()
			b.SetBytes(int64(len(r.AppendJSON(nil))))
			b.ReportAllocs()
			for b.Loop() {
				f.matches(s, r)
			}
		})
	}
}

func BenchmarkProjection(b *testing.B) {
	v, attrs := benchView(b), newAttributes(servedSchemas(b), nil)
	r := v.At(directory.User, 0)
	for _, bm := range []struct{ name, attributes, excluded string }{
		{"excluding groups", "", "groups"},
		{"userName and emails", "userName,emails", ""},
		{"sub-attributes", "userName,name.givenName,emails.value,department", ""},
	} {
		b.Run(bm.name, func(b *testing.B) {
			p, err := attrs.compileProjection(onUsers, []string{bm.attributes}, []string{bm.excluded})
			if err != nil {
				b.Fatal(err.detail)
			}
			var pieces [][]byte
			var scratch []byte
			b.ReportAllocs()
			for b.Loop() {
				pieces, scratch = p.pieces(pieces[:0], scratch[:0], &r)
			}
		})
	}
}

func BenchmarkCompileFilter(b *testing.B) {
	attrs := newAttributes(servedSchemas(b), nil)
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf(`userName eq "user%d@example.com"`, i)
	}
	for name, text := range map[string]string{"one term": many[0], "a hundred terms": strings.Join(many, " or ")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := attrs.compileFilter(onUsers, text); err != nil {
					b.Fatal(err.detail)
				}
			}
		})
	}
}
