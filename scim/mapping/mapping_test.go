package mapping_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"

	"github.com/google/go-cmp/cmp"
)

func TestNewRefusesBaseURLs(t *testing.T) {
	for _, base := range []string{"", "scim.example.com", "ftp://x/scim", "https:///scim", "https://x/scim/",
		"https://x/scim?a=1", "https://x/scim#a", "https://x/%zz"} {
		if _, err := mapping.New(mapping.Config{BaseURL: base}); err == nil {
			t.Errorf("%q is taken", base)
		}
	}
}

func TestSelectListsWhatTheRowsRead(t *testing.T) {
	users, groups := newMapper(t).Select()
	for typ, got := range map[directory.Type][]string{directory.User: users, directory.Group: groups} {
		var want []string
		for _, row := range mapping.Rows() {
			name, _, _ := strings.Cut(row.Property, ".")
			if row.Type == typ && name != "id" && name != "manager" {
				want = append(want, name)
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(slices.Compact(want), got); diff != "" {
			t.Errorf("%v: %s", typ, diff)
		}
	}
}

func TestObjectsThatAreNone(t *testing.T) {
	m := newMapper(t)
	for name, object := range map[string]string{
		"nothing": ``, "null": `null`, "an array": `[]`, "a string": `"x"`, "cut short": `{"id":"1"`,
		"cut in a string": `{"id":"1`, "text behind": `{"id":"1"} x`, "a comma too many": `{"id":"1",}`,
		"no colon": `{"id" "1"}`, "a bare word": `{"id":yes}`, "a control character": "{\"id\":\"\n\"}",
		"a bad escape": `{"id":"\x"}`, "a bad number": `{"id":"1","a":01}`, "no id": `{"userPrincipalName":"u"}`,
		"an empty id": `{"id":""}`, "an id of another kind": `{"id":1}`, "a null id": `{"id":null}`,
		"too deep": `{"id":"1","a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, typ := range []directory.Type{directory.User, directory.Group} {
				rec, problems, err := render(t, m, typ, []byte(object), false)
				if err == nil || len(problems) > 0 || rec.Body != nil {
					t.Errorf("%v: %s, %v, %v", typ, rec.Body, problems, err)
				}
			}
		})
	}
}

func TestRequiredAttributesFallBack(t *testing.T) {
	m := newMapper(t)
	for name, tt := range map[string]struct {
		typ      directory.Type
		object   string
		want     string
		problems int
	}{
		"a user has userName and active":         {directory.User, `{"id":"1"}`, `"schemas":["` + mapping.UserSchema + `"],"id":"1","userName":"1","active":true`, 1},
		"an empty userPrincipalName is none":     {directory.User, `{"id":"1","userPrincipalName":""}`, `"schemas":["` + mapping.UserSchema + `"],"id":"1","userName":"1","active":true`, 1},
		"a group is named by its mailNickname":   {directory.Group, `{"id":"1","displayName":null,"mailNickname":"n"}`, `"schemas":["` + mapping.GroupSchema + `","` + entraGroup + `"],"id":"1","displayName":"n","` + entraGroup + `":{"mailNickname":"n"}`, 0},
		"a group is named by its id":             {directory.Group, `{"id":"1"}`, `"schemas":["` + mapping.GroupSchema + `"],"id":"1","displayName":"1"`, 1},
		"an account of unknown state stays on":   {directory.User, `{"id":"1","userPrincipalName":"u","accountEnabled":null}`, `"schemas":["` + mapping.UserSchema + `"],"id":"1","userName":"u","active":true`, 0},
		"a state of another kind stays on, too":  {directory.User, `{"id":"1","userPrincipalName":"u","accountEnabled":"false"}`, `"schemas":["` + mapping.UserSchema + `"],"id":"1","userName":"u","active":true`, 1},
		"the last of two equal names counts":     {directory.User, `{"id":"1","userPrincipalName":"u","id":"2"}`, `"schemas":["` + mapping.UserSchema + `"],"id":"2","userName":"u","active":true`, 0},
		"so it does for properties within":       {directory.User, `{"id":"1","userPrincipalName":"u","manager":{"id":"3"},"manager":null}`, `"schemas":["` + mapping.UserSchema + `"],"id":"1","userName":"u","active":true`, 0},
		"names are read without their escapes":   {directory.User, `{"\u0069d":"1","userPrincipalNam\u0065":"u"}`, `"schemas":["` + mapping.UserSchema + `"],"id":"1","userName":"u","active":true`, 0},
		"white space and unknown members are ok": {directory.User, ` { "id" : "1" , "x" : [ 1 , { "y" : -0.5e+3 } ] , "userPrincipalName" : "u" } `, `"schemas":["` + mapping.UserSchema + `"],"id":"1","userName":"u","active":true`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			rec, problems, err := render(t, m, tt.typ, []byte(tt.object), false)
			if err != nil || len(problems) != tt.problems {
				t.Error(problems, err)
			}
			if string(rec.Body) != tt.want {
				t.Errorf("\n got %s\nwant %s", rec.Body, tt.want)
			}
		})
	}
}

func TestTheRemovedAreInactive(t *testing.T) {
	m := newMapper(t)
	for _, state := range []string{`true`, `false`, `null`} {
		object := []byte(`{"id":"1","userPrincipalName":"u","accountEnabled":` + state + `}`)
		rec, problems, err := m.User(object, true)
		if err != nil || rec.Active || !strings.HasSuffix(string(rec.Body), `,"active":false`) {
			t.Errorf("accountEnabled %s: %v, %v, %s", state, err, rec.Active, rec.Body)
		}
		checkRecord(t, directory.User, object, true, rec, problems)
	}
}

func TestCreated(t *testing.T) {
	m := newMapper(t)
	for value, want := range map[string]time.Time{
		`"2021-02-03T04:05:06Z"`:         time.Date(2021, 2, 3, 4, 5, 6, 0, time.UTC),
		`"2021-02-03T04:05:06.1234567Z"`: time.Date(2021, 2, 3, 4, 5, 6, 123456700, time.UTC),
		`"2021-02-03T04:05:06+02:00"`:    time.Date(2021, 2, 3, 2, 5, 6, 0, time.UTC),
		`"2021-02-03T04:05:06\u005a"`:    time.Date(2021, 2, 3, 4, 5, 6, 0, time.UTC),
		`null`:                           {}, `"String (timestamp)"`: {},
	} {
		for _, typ := range []directory.Type{directory.User, directory.Group} {
			rec, _, err := render(t, m, typ, bare(typ, "createdDateTime", value), false)
			if err != nil || !rec.Created.Equal(want) {
				t.Errorf("%v %s: %v, %v", typ, value, rec.Created, err)
			}
		}
	}
}

func TestOneAddressIsPrimary(t *testing.T) {
	m := newMapper(t)
	for name, tt := range map[string]struct {
		properties string
		want       string // value, type; the primary is the first
	}{
		"mail, and others once":                {`"mail":"a@x.org","userPrincipalName":"u@x.org","otherMails":["A@X.ORG","b@x.org"],"proxyAddresses":["SMTP:a@x.org","smtp:c@x.org","smtp:B@x.org"]`, "a@x.org work, b@x.org other, c@x.org work"},
		"mail before the SMTP: address":        {`"mail":"a@x.org","userPrincipalName":"u","proxyAddresses":["SMTP:b@x.org"]`, "a@x.org work, b@x.org work"},
		"the UPN in place of mail":             {`"mail":null,"userPrincipalName":"u@x.org","proxyAddresses":["SMTP:b@x.org"]`, "u@x.org work, b@x.org work"},
		"a guest's UPN is no address":          {`"userPrincipalName":"u_x.org#EXT#@contoso.com","otherMails":["u@x.org"]`, "u@x.org other"},
		"in small letters neither":             {`"userPrincipalName":"u_x.org#ext#@contoso.com"`, ""},
		"nor one of Microsoft's own domains":   {`"userPrincipalName":"u@contoso.onmicrosoft.com"`, ""},
		"whatever its case":                    {`"userPrincipalName":"u@Contoso.OnMicrosoft.COM"`, ""},
		"in other clouds":                      {`"userPrincipalName":"u@contoso.partner.onmschina.cn"`, ""},
		"but mail there is":                    {`"mail":"u@contoso.onmicrosoft.com","userPrincipalName":"u@contoso.onmicrosoft.com"`, "u@contoso.onmicrosoft.com work"},
		"a domain that only ends alike is one": {`"userPrincipalName":"u@notonmicrosoft.com"`, "u@notonmicrosoft.com work"},
		"a UPN without a domain is none":       {`"userPrincipalName":"u@localhost"`, ""},
		"nor with two":                         {`"userPrincipalName":"u@v@x.org"`, ""},
		"nor with a blank":                     {`"userPrincipalName":"u v@x.org"`, ""},
		"the SMTP: address before other ones":  {`"userPrincipalName":"u","otherMails":["o@x.org"],"proxyAddresses":["smtp:b@x.org","SMTP:c@x.org","SMTP:d@x.org"]`, "c@x.org work, o@x.org other, b@x.org work, d@x.org work"},
		"it keeps the type it had":             {`"userPrincipalName":"u","otherMails":["o@x.org","c@x.org"],"proxyAddresses":["SMTP:C@x.org"]`, "c@x.org other, o@x.org other"},
		"else the first":                       {`"userPrincipalName":"u","otherMails":["","o@x.org","p@x.org"]`, "o@x.org other, p@x.org other"},
		"SIP, X500, EUM and SPO are no mail":   {`"userPrincipalName":"u","proxyAddresses":["SIP:a@x.org","X500:/o=x","EUM:1","SPO:SPO_1@SPO_2","a@x.org","smtp:","SMTP: "]`, ""},
		"a blank behind the prefix is ignored": {`"userPrincipalName":"u","proxyAddresses":["SMTP: a@x.org"]`, "a@x.org work"},
		"letters outside ASCII":                {`"mail":"ÅSA@x.org","userPrincipalName":"u","otherMails":["åsa@x.org"]`, "ÅSA@x.org work"},
	} {
		t.Run(name, func(t *testing.T) {
			object := []byte(`{"id":"1",` + tt.properties + `}`)
			rec, problems, err := m.User(object, false)
			if err != nil || len(problems) > 0 {
				t.Fatal(problems, err)
			}
			body, err := decode([]byte("{" + string(rec.Body) + "}"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			list, _ := body["emails"].([]any)
			for i, e := range list {
				e := e.(map[string]any)
				got = append(got, fmt.Sprint(e["value"], " ", e["type"]))
				if _, has := e["primary"]; has != (i == 0) {
					t.Errorf("primary of element %d: %v", i, e)
				}
			}
			if got := strings.Join(got, ", "); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
			checkRecord(t, directory.User, object, false, rec, problems)
		})
	}
}

func TestValuesOfOneTypeComeOnce(t *testing.T) {
	object := []byte(`{"id":"1","userPrincipalName":"u","businessPhones":["1","2","1"],"mobilePhone":"1","imAddresses":["sip:A","sip:a"]}`)
	rec, problems, err := newMapper(t).User(object, false)
	if err != nil {
		t.Fatal(err)
	}
	members := topLevel(t, rec.Body)
	if got, want := string(members["phoneNumbers"]), `[{"value":"1","type":"work"},{"value":"2","type":"work"},{"value":"1","type":"mobile"}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := string(members["ims"]), `[{"value":"sip:A","type":"work"}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	checkRecord(t, directory.User, object, false, rec, problems)
}

func TestTextIsWrittenInOneWay(t *testing.T) {
	m := newMapper(t)
	for in, want := range map[string]string{
		`"\u0041\/\u007f"`:               "\"A/\x7f\"",
		`"\b\f\n\r\t\u0008\u000a\u000b"`: `"\b\f\n\r\t\b\n\u000b"`,
		`"\u00E9é"`:                      `"\u00e9\u00e9"`,
		`"\uD83C\uDF0D🌍"`:                `"\ud83c\udf0d\ud83c\udf0d"`,
		`"\ud83cx\udf0d"`:                `"\ufffdx\ufffd"`,
		`"\ud83c\u0041"`:                 `"\ufffdA"`,
		"\"\xff\xc3\"":                   `"\ufffd\ufffd"`,
		`"<&>'\"\\"`:                     `"<&>'\"\\"`,
		`"  "`:                           `"  "`,
	} {
		rec, _, err := m.User([]byte(`{"id":"1","userPrincipalName":"u","jobTitle":`+in+`}`), false)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(topLevel(t, rec.Body)["title"]); got != want {
			t.Errorf("%s is written %s, want %s", in, got, want)
		}
	}
}

func TestOrderOfPropertiesDoesNotMatter(t *testing.T) {
	m := newMapper(t)
	a, _, _ := m.User([]byte(`{"accountEnabled":true,"id":"1","jobTitle":"x","manager":{"id":"2"},"surname":"s","userPrincipalName":"u"}`), false)
	b, _, _ := m.User([]byte(`{"userPrincipalName":"u","surname":"s","manager":{"id":"2"},"jobTitle":"x","id":"1","accountEnabled":true}`), false)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
}

func TestOneMapperServesManyGoroutines(t *testing.T) {
	m := newMapper(t)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				id := fmt.Sprintf("%d-%d", g, i)
				rec, _, err := m.User([]byte(`{"id":"`+id+`","userPrincipalName":"u@x.org","surname":"é`+id+`"}`), false)
				want := `"name":{"familyName":"\u00e9` + id + `"}`
				if err != nil || rec.ID != id || !strings.Contains(string(rec.Body), want) {
					t.Errorf("%v: %s", err, rec.Body)
				}
			}
		})
	}
	wg.Wait()
}

func TestFingerprintDependsOnTheConfig(t *testing.T) {
	a := newMapper(t)
	b, err := mapping.New(mapping.Config{BaseURL: baseURL + "x"})
	if err != nil {
		t.Fatal(err)
	}
	if a.Fingerprint() == b.Fingerprint() || a.Fingerprint() != newMapper(t).Fingerprint() || a.Fingerprint() == "" {
		t.Error(a.Fingerprint(), b.Fingerprint())
	}
}
