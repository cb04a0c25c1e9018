package tests

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
	"scimbridge/sync/graph"
	"scimbridge/sync/graph/graphtest"
	"scimbridge/sync/mirror"
	"scimbridge/sync/store"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// A payload is what Graph would answer: the objects of both collections, as
// they stand in the answers.
type payload struct {
	Users, Groups []json.RawMessage
}

// RoundTrip implements http.RoundTripper: login and Graph in one, each
// collection on a page of its own.
func (p *payload) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := func(v any) (*http.Response, error) {
		body, err := json.Marshal(v)
		return &http.Response{
			StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
			Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
		}, err
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/token"):
		return answer(map[string]any{"token_type": "Bearer", "expires_in": 3599, "access_token": "token"})
	case r.URL.Path == "/v1.0/users/delta":
		return answer(map[string]any{"value": p.Users, "@odata.deltaLink": "https://graph.microsoft.com/v1.0/users/delta?$deltatoken=1"})
	case r.URL.Path == "/v1.0/groups/delta":
		return answer(map[string]any{"value": p.Groups, "@odata.deltaLink": "https://graph.microsoft.com/v1.0/groups/delta?$deltatoken=1"})
	}
	return nil, fmt.Errorf("nobody serves %s", r.URL)
}

// serve sends a payload the whole way: client, store, mapping, directory.
func (p *payload) serve(t *testing.T) *directory.Snapshot {
	t.Helper()
	mapper, err := mapping.New(mapping.Config{BaseURL: "https://scim.example.com/scim/v2"})
	if err != nil {
		t.Fatal(err)
	}
	users, groups := mapper.Select()
	client, err := graph.New(graph.Config{
		GraphURL: "https://graph.microsoft.com", LoginURL: "https://login.microsoftonline.com",
		TenantID: "contoso.example", ClientID: "client", Credential: graph.ClientSecret("secret"),
		Select: map[graph.Kind][]string{graph.Users: users, graph.Groups: groups}, HTTPClient: &http.Client{Transport: p},
	})
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "state.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	picture, err := directory.Open(directory.Options{Dir: t.TempDir(), Source: "contoso", BaseURL: "https://scim.example.com/scim/v2"})
	if err != nil {
		t.Fatal(err)
	}
	m := mirror.New(mirror.Config{
		Name: "contoso", Tenant: "contoso.example", Graph: client, Store: db, Picture: picture, Mapper: mapper, Interval: time.Hour,
		Scope: mirror.Scope{Groups: true, Guests: true, Disabled: true},
	})
	if report, err := m.Refresh(t.Context(), mirror.Options{}); err != nil || report.Outcome != mirror.Published {
		t.Fatalf("round: %+v, %v", report, err)
	}
	return picture.Current()
}

// Every user and group that Microsoft's documentation prints arrives in the
// endpoint with the attributes that the mapping table gives it.
func TestPublishedPayloads(t *testing.T) {
	dir := filepath.Join("..", "..", "shared", "graph-examples")
	files, err := filepath.Glob(filepath.Join(dir, "*-response.json"))
	if err != nil || len(files) == 0 {
		t.Skipf("SKIPPED: the published payloads are not here (%s); the path from decoder to renderer is tried with payloads of our own only", dir)
	}
	var p payload
	objects := make(map[string]map[string]json.RawMessage)
	kinds := make(map[string]string)
	for _, file := range files {
		for kind, found := range publishedObjects(t, file) {
			for _, object := range found {
				var id string
				if json.Unmarshal(object["id"], &id) != nil || id == "" {
					// The page left it out; Graph never does.
					id = fmt.Sprintf("00000000-0000-4000-8000-%012d", len(objects))
					object["id"], _ = json.Marshal(id)
				}
				if known := kinds[id]; known != "" && known != kind {
					continue // two pages use one id for a user and a group
				}
				raw, err := json.Marshal(object)
				if err != nil {
					t.Fatal(err)
				}
				if kind == "user" {
					p.Users = append(p.Users, raw)
				} else {
					p.Groups = append(p.Groups, raw)
				}
				if objects[id] == nil {
					objects[id], kinds[id] = make(map[string]json.RawMessage), kind
				}
				maps.Copy(objects[id], object)
			}
		}
	}
	t.Logf("%d users and %d groups on the published pages", len(p.Users), len(p.Groups))
	if len(p.Users) < 20 || len(p.Groups) < 20 {
		t.Error("so few can't be all")
	}
	snapshot := p.serve(t)
	for id, properties := range objects {
		r, ok := snapshot.ByID(id)
		if !ok {
			if properties["@removed"] == nil {
				t.Errorf("%s %s is not served", kinds[id], id)
			}
			continue
		}
		got := decode(t, r.AppendJSON(nil))
		checkFrame(t, r.Type().String(), id, got)
		o := graphtest.Object{ID: id, Type: kinds[id], Properties: plausible(properties)}
		if kinds[id] == "group" {
			if diff := cmp.Diff(extension(o, groupExtension), got[entra+":Group"]); diff != "" {
				t.Errorf("group %s (-page +served):\n%s", id, diff)
			}
			continue
		}
		if diff := cmp.Diff(expectUser(managerOf(properties), o), stripUser(got)); diff != "" {
			t.Errorf("user %s (-page +served):\n%s", id, diff)
		}
		if diff := cmp.Diff(expectEmails(o), emails(got["emails"])); diff != "" {
			t.Errorf("e-mails of user %s (-page +served):\n%s", id, diff)
		}
	}
}

// publishedObjects gives the users and groups that a page prints.
func publishedObjects(t *testing.T, file string) map[string][]map[string]json.RawMessage {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var page map[string]json.RawMessage
	if err := json.Unmarshal(data, &page); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var context string
	_ = json.Unmarshal(page["@odata.context"], &context)
	_, entity, _ := strings.Cut(context, "#")
	kind := map[string]string{"users": "user", "groups": "group"}[regexp.MustCompile(`^\w*`).FindString(entity)]
	if kind == "" || strings.Contains(entity, ")/") || strings.Contains(entity, "/") && !strings.HasSuffix(entity, "/$entity") {
		return nil
	}
	var list []map[string]json.RawMessage
	if page["value"] == nil {
		delete(page, "@odata.context")
		list = append(list, page)
	} else if json.Unmarshal(page["value"], &list) != nil {
		return nil
	}
	return map[string][]map[string]json.RawMessage{kind: list}
}

func managerOf(properties map[string]json.RawMessage) string {
	var links []struct {
		ID      string
		Removed any `json:"@removed"`
	}
	if json.Unmarshal(properties["manager@delta"], &links) != nil || len(links) == 0 || links[len(links)-1].Removed != nil {
		return ""
	}
	return links[len(links)-1].ID
}

// plausible leaves out values that are no values of their property: many pages
// print placeholders.
func plausible(properties map[string]json.RawMessage) map[string]json.RawMessage {
	kept := make(map[string]json.RawMessage)
	for name, raw := range properties {
		var v any
		_ = json.Unmarshal(raw, &v)
		ok := false
		switch name {
		case "accountEnabled", "mailEnabled", "securityEnabled", "onPremisesSyncEnabled":
			_, ok = v.(bool)
		case "businessPhones", "imAddresses", "otherMails", "proxyAddresses", "groupTypes":
			_, ok = v.([]any)
		case "employeeOrgData", "onPremisesExtensionAttributes":
			_, ok = v.(map[string]any)
		case "employeeHireDate", "expirationDateTime":
			s, _ := v.(string)
			_, err := time.Parse(time.RFC3339, s)
			ok = err == nil
		default:
			_, ok = v.(string)
		}
		if ok {
			kept[name] = raw
		}
	}
	return kept
}

// Payloads of our own, in the shape of Graph's, give the resources that are
// written down beside them.
func TestPayloadGoldens(t *testing.T) {
	data, err := os.ReadFile("testdata/payload.json")
	if err != nil {
		t.Fatal(err)
	}
	var p payload
	if err := json.Unmarshal(data, &p); err != nil {
		t.Fatal(err)
	}
	snapshot := p.serve(t)
	var ids []string
	v := directory.NewView(snapshot)
	for kind := range directory.Type(directory.NumTypes) {
		for i := range v.Len(kind) {
			ids = append(ids, v.At(kind, i).ID())
		}
	}
	slices.Sort(ids) // users and groups are read side by side
	var got bytes.Buffer
	stamp := regexp.MustCompile(`("(?:lastModified|created)": "20[2-9])[^"]*`)
	for _, id := range ids {
		r, _ := snapshot.ByID(id)
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, r.AppendJSON(nil), "", "  "); err != nil {
			t.Fatal(err)
		}
		got.WriteString(stamp.ReplaceAllString(pretty.String(), "${1}… the time of publication") + "\n")
	}
	const golden = "testdata/payload.golden"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("served (-golden +got):\n%s", diff)
	}
	if len(ids) < 8 || !slices.Contains(ids, "5b4f1a3c-0000-4000-8000-000000000001") {
		t.Errorf("served are %v", ids)
	}
}
