package rehearse

import (
	"encoding/json"
	"strings"
	"testing"
)

// Whatever an endpoint answers, reading it ends, and what passes for a list adds
// up.
func FuzzReadList(f *testing.F) {
	for _, seed := range []string{
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":1,"itemsPerPage":1,"startIndex":1,"Resources":[{"id":"u1","userName":"a"}]}`,
		`{"Resources":[],"totalResults":0}`, `{"Resources":null}`, `{"Resources":[{"id":`, `[]`, `{"totalResults":"1"}`, `{"totalResults":1e99}`,
		`{"Resources":[{"id":"u1","emails":[{"value":5}]}]}`, `{"Resources":[{"id":"u1"},{"id":"u1","active":"true"}],"x":{"y":[1]}}`, ``,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		j := newJudge(okta().rules, 3)
		j.source = func(string) string { return "" }
		j.strict = strictly(map[string]any{"Resources": []any{map[string]any{"id": "urn:x", "attributes": []any{map[string]any{"name": "y"}}}}})
		read := 0
		l, err := readList(strings.NewReader(body), func(raw json.RawMessage) error {
			read++
			_, err := j.user(raw)
			return err
		})
		if err == nil && l.check() == nil && (l.resources != read || l.Items >= 0 && l.Items != read || j.users != read) {
			t.Errorf("%d resources, itemsPerPage %d, %d read, %d judged: %q", l.resources, l.Items, read, j.users, body)
		}
		for _, found := range j.findings() {
			if found.Count != len(found.Named)+found.Omitted || len(found.Named) > 3 {
				t.Errorf("%+v", found)
			}
		}
	})
}
