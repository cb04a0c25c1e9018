package graph_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scimbridge/sync/graph"
)

// examples has the payloads that Microsoft's documentation prints, which are
// not part of the project.
const examples = "../../../shared/graph-examples"

// TestPublishedPayloads decodes every published answer to users/delta and
// groups/delta, and compares it with what encoding/json finds in it.
func TestPublishedPayloads(t *testing.T) {
	files := payloads(t, `^(delta-query-(users|groups)|(user|group)-delta)-\d+-response\.json$`)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			body := payload(t, file)
			page, next, err := graph.DecodePage(body, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(reference(t, body), page.Changes); diff != "" {
				t.Errorf("changes (-encoding/json +ours):\n%s", diff)
			}
			if (next == "") == (page.DeltaLink == "") {
				t.Errorf("links %q and %q", next, page.DeltaLink)
			}
			link := next + page.DeltaLink
			if err := graph.CheckLink("https://graph.microsoft.com", link); err != nil {
				t.Errorf("%q: %v", link, err)
			}
			checkAgainst(t, body, page)
		})
	}
}

// TestPublishedErrors reads every published error body.
func TestPublishedErrors(t *testing.T) {
	n := 0
	for _, file := range payloads(t, `-response\.json$`) {
		body := payload(t, file)
		var envelope struct {
			Error *struct {
				Code, Message string
				InnerError    map[string]any
			} `json:"error"`
		}
		if json.Unmarshal(body, &envelope) != nil || envelope.Error == nil {
			continue
		}
		n++
		e := graph.ParseError(body)
		id, _ := envelope.Error.InnerError["request-id"].(string)
		if e.Code != envelope.Error.Code || e.Message != envelope.Error.Message || e.RequestID != id {
			t.Errorf("%s: %+v", filepath.Base(file), e)
		}
	}
	if n < 3 {
		t.Errorf("only %d errors among the payloads", n)
	}
}

// payloads lists the published payloads whose name matches.
func payloads(t *testing.T, pattern string) (files []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(examples, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Skipf("SKIPPED: no published payloads in %s; the decoder was not checked against them", examples)
	}
	match := regexp.MustCompile(pattern)
	for _, file := range all {
		if match.MatchString(filepath.Base(file)) {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		t.Errorf("no payload in %s matches %s", examples, pattern)
	}
	return files
}

func payload(t *testing.T, file string) []byte {
	t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
