package mapping_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
)

// TestAnyRulesKeepTheShape lays rules of any paths over any preset, in any order,
// and maps a person twice, the second time after what the first one gave. Whatever
// is not refused gives JSON without a name twice in an object, at most one
// primary value (exactly one of emails), and one address for each type.
func TestAnyRulesKeepTheShape(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	var paths []string
	for _, a := range []string{"emails", "phoneNumbers", "ims"} {
		paths = append(paths, a)
		for _, typ := range []string{"work", "home", "other"} {
			paths = append(paths, a+`[type eq "`+typ+`"].value`, a+`[type eq "`+typ+`" and primary eq true].value`)
		}
	}
	for _, typ := range []string{"work", "home"} {
		for _, part := range []string{"formatted", "country", "locality"} {
			paths = append(paths, `addresses[type eq "`+typ+`"].`+part)
		}
	}
	texts := []string{"user.mail", "first(user.otherMails)", "user.mobilePhone", `""`, `"x"`, "string(int(user.city))"}
	lists := append(texts, "user.otherMails", "user.proxyAddresses", `[user.mail] + user.otherMails`)
	taken := 0
	for range 120 {
		var rules mapping.Rules
		for _, i := range rng.Perm(len(paths))[:rng.IntN(5)] {
			values := texts
			if !strings.HasPrefix(paths[i], "addresses") {
				values = lists
			}
			rules.Set = append(rules.Set, mapping.Rule{Path: paths[i], Expression: values[rng.IntN(len(values))], Setting: paths[i]})
		}
		m, err := mapping.New(mapping.Config{BaseURL: baseURL, Users: rules, Preset: []string{"", "okta", "sailpoint"}[rng.IntN(3)]})
		if err != nil {
			if !strings.Contains(err.Error(), "shut each other out") {
				t.Fatalf("seed %d: %v: %v", seed, rules.Set, err)
			}
			continue
		}
		taken++
		var previous []byte
		for range 2 {
			object := fmt.Sprintf(`{"id":"a","userPrincipalName":"a@x.org","mail":%s,"otherMails":%s,"proxyAddresses":%s,"mobilePhone":%s,"businessPhones":["1"],"city":%s,"country":"DE"}`,
				oneOf(rng, `"a@x.org"`, `null`, `5`), oneOf(rng, `["o@x.org","a@x.org"]`, `[]`, `7`), oneOf(rng, `["SMTP:p@x.org","smtp:o@x.org"]`, `[]`),
				oneOf(rng, `"1"`, `"2"`, `{}`), oneOf(rng, `"12"`, `"Bonn"`, `""`))
			rec, _, err := m.Map(directory.User, mapping.Input{Object: []byte(object), Previous: previous, Now: day})
			if err != nil {
				t.Fatal(err)
			}
			if fault := misshapen(rec.Body); fault != "" {
				t.Fatalf("seed %d: %s\nrules %v\nobject %s\nafter %s\ngives %s", seed, fault, rules.Set, object, previous, rec.Body)
			}
			previous = rec.Body
		}
	}
	if taken < 30 {
		t.Errorf("only %d sets of rules were taken", taken)
	}
}

func oneOf(rng *rand.Rand, all ...string) string { return all[rng.IntN(len(all))] }

// misshapen says what is wrong with the form of a body.
func misshapen(body []byte) string {
	whole := "{" + string(body) + "}"
	if name := nameTwice(json.NewDecoder(strings.NewReader(whole))); name != "" {
		return name + " is there twice in an object"
	}
	var user map[string]json.RawMessage
	if err := json.Unmarshal([]byte(whole), &user); err != nil {
		return err.Error()
	}
	for name, raw := range user {
		var values []struct {
			Type    string
			Primary bool
		}
		if json.Unmarshal(raw, &values) != nil {
			continue
		}
		primary, types := 0, map[string]bool{}
		for _, v := range values {
			if v.Primary {
				primary++
			}
			if name == "addresses" && types[v.Type] {
				return "two addresses of type " + v.Type
			}
			types[v.Type] = true
		}
		if primary > 1 || name == "emails" && primary != 1 {
			return fmt.Sprintf("%d values of %s are primary", primary, name)
		}
	}
	return ""
}

// nameTwice gives a name that is there twice in an object, or what is no JSON.
func nameTwice(dec *json.Decoder) string {
	token, err := dec.Token()
	if err != nil {
		return err.Error()
	}
	open, _ := token.(json.Delim)
	seen := map[string]bool{}
	for open != 0 && dec.More() {
		if open == '{' {
			name, err := dec.Token()
			if err != nil {
				return err.Error()
			}
			text := fmt.Sprint(name)
			if seen[text] {
				return text
			}
			seen[text] = true
		}
		if name := nameTwice(dec); name != "" {
			return name
		}
	}
	if open != 0 {
		if _, err := dec.Token(); err != nil {
			return err.Error()
		}
	}
	return ""
}
