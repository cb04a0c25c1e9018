package mirror

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
)

// What is scanned is what encoding/json reads, of whatever valid object.
func TestTraits(t *testing.T) {
	values := []string{`"Guest"`, `"Member"`, `true`, `false`, `null`, `1.5e3`, `""`, `"a\"b"`, `"\\"`, `"\\\""`, `"é"`, `"\u00e9"`, `[]`, `{}`,
		`[{"skuId":"x","disabledPlans":["}","]"]}]`, `{"a":{"userType":"Guest"},"b":[1,{"id":"no"}]}`, `"{\"userType\":\"Guest\"}"`, `[true,null]`, ` "spaced" `}
	names := []string{"id", "userPrincipalName", "accountEnabled", "userType", "assignedLicenses", "displayName", "extension_x_y", "né", `a\"b`, "usertype2"}
	r := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		object := `{`
		for i := range r.IntN(8) {
			if i > 0 {
				object += `,`
			}
			object += `"` + names[r.IntN(len(names))] + `":` + values[r.IntN(len(values))]
		}
		object += `}`
		var want userTraits
		fault := json.Unmarshal([]byte(object), &want)
		got, err := traitsOf([]byte(object))
		if (err == nil) != (fault == nil) || err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\ngot  %+v, %v\nwant %+v, %v", object, got, err, want, fault)
		}
	}
	for _, object := range []string{``, `{`, `}`, `null x`, `{"id"`, `{"id":`, `{"id":"`, `{"id":"a"`, `{"id":"a",`, `{"id":"a"}}`, `{"id":"a"]`, `["id"]`, `{"x":"\\`, `{"x":["a"}`} {
		if _, err := traitsOf([]byte(object)); err == nil {
			t.Errorf("%s is taken", object)
		}
	}
}

func BenchmarkTraits(b *testing.B) {
	object := []byte(`{"id":"9f982dd2-6eef-4d9b-8587-ca96d5e01d4e","accountEnabled":true,"businessPhones":["+49 30 0000 1234"],"city":"Berlin","companyName":"Fernwood Instruments","country":"Germany","createdDateTime":"2022-01-14T00:00:00Z","department":"Engineering","displayName":"Bruno D'Angelo","employeeId":"E001234","givenName":"Bruno","jobTitle":"Senior Engineer","mail":"bruno.dangelo@fernwood.example","mailNickname":"bruno.dangelo","officeLocation":"DE-1/204","postalCode":"10115","proxyAddresses":["SMTP:bruno.dangelo@fernwood.example"],"streetAddress":"Invalidenstr. 1","surname":"D'Angelo","usageLocation":"DE","userPrincipalName":"bruno.dangelo@fernwood.example","userType":"Member"}`)
	b.SetBytes(int64(len(object)))
	b.ReportAllocs()
	for b.Loop() {
		if t, err := traitsOf(object); err != nil || t.UserType != "Member" {
			b.Fatal(err)
		}
	}
}
