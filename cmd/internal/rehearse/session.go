package rehearse

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"scimbridge/cmd/internal/words"
)

const (
	schemaList  = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	schemaError = "urn:ietf:params:scim:api:messages:2.0:Error"
	contentType = "application/scim+json"

	// patience bounds one request, as the platforms do.
	patience = time.Minute
)

// A session is a rehearsal under way.
type session struct {
	ctx      context.Context
	platform *Platform
	endpoint Endpoint
	http     *http.Client
	judge    *judge
	report   Report

	// unreachable is why nothing can be asked, once that is known: nothing more
	// is asked then.
	unreachable error
}

func newSession(ctx context.Context, opts Options) *session {
	s := &session{
		ctx: ctx, platform: opts.Platform, endpoint: opts.Endpoint,
		http: &http.Client{
			Transport: opts.Endpoint.Transport, Timeout: patience,
			// The token is for the endpoint, and not for whoever it names.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		judge: newJudge(opts.Platform.rules, opts.Limit),
	}
	if s.judge.source = opts.Source; s.judge.source == nil {
		s.judge.source = func(string) string { return "" }
	}
	if opts.Made != nil {
		s.judge.made = func(id string) ([]string, error) { return opts.Made(ctx, id) }
	}
	s.endpoint.URL = strings.TrimSuffix(s.endpoint.URL, "/")
	s.report = Report{
		Platform: opts.Platform.Name, Title: opts.Platform.Title, Endpoint: s.endpoint.URL,
		Started: time.Now(), Requests: []Request{}, Findings: []Finding{},
	}
	return s
}

// note records what became of a request.
func (s *session) note(what, request string, times int, began time.Time, detail string, err error) bool {
	if s.ctx.Err() != nil {
		return false // it is being given up
	}
	r := Request{What: what, Request: request, Times: times, OK: err == nil, Detail: detail, Elapsed: time.Since(began)}
	if err != nil {
		r.Detail = err.Error()
	}
	s.report.Requests = append(s.report.Requests, r)
	return r.OK
}

// A reply is an answer to a request.
type reply struct {
	status int
	body   []byte
}

// maxBody bounds an answer that is read as a whole.
const maxBody = 64 << 20

// get asks for one document.
func (s *session) get(path string) (reply, error) {
	res, err := s.open(path)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return reply{}, fmt.Errorf("the answer broke off: %w", err)
	}
	return reply{res.StatusCode, body}, nil
}

// open makes a request and checks what every answer must have.
func (s *session) open(path string) (*http.Response, error) {
	if s.unreachable != nil {
		return nil, s.unreachable
	}
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.endpoint.URL+path, nil)
	if err != nil {
		s.unreachable = fmt.Errorf("asking %s: %w", s.endpoint.URL, err)
		return nil, s.unreachable
	}
	for name, values := range s.platform.Header {
		req.Header[name] = values
	}
	req.Header.Set("Authorization", s.endpoint.Authorization)
	res, err := s.http.Do(req)
	if err != nil {
		s.unreachable = fmt.Errorf("asking %s: %w", s.endpoint.URL, errors.Unwrap(err)) // without the whole URL again
		return nil, s.unreachable
	}
	switch {
	case res.StatusCode/100 == 3:
		defer res.Body.Close()
		s.unreachable = fmt.Errorf("the endpoint answers %s, which leads to %q: platforms do not follow, and the token is not sent there; use the URL that it means", res.Status, res.Header.Get("Location"))
		return nil, s.unreachable
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden, res.StatusCode == http.StatusServiceUnavailable:
		defer res.Body.Close()
		s.unreachable = fmt.Errorf("the endpoint answers %s: %s", res.Status, detailOf(res.Body))
		return nil, s.unreachable
	case res.Header.Get("Content-Type") != contentType:
		defer res.Body.Close()
		return nil, fmt.Errorf("%s, Content-Type is %q, and %s is expected: does something stand between?", res.Status, res.Header.Get("Content-Type"), contentType)
	}
	return res, nil
}

// detailOf gives the text of a SCIM error.
func detailOf(body io.Reader) string {
	var e struct{ Detail string }
	raw, _ := io.ReadAll(io.LimitReader(body, 64<<10))
	if json.Unmarshal(raw, &e) != nil || e.Detail == "" {
		return strings.TrimSpace(string(raw[:min(len(raw), 200)]))
	}
	return e.Detail
}

// expect makes a request whose answer check judges; it gives the detail to show.
func (s *session) expect(what, path string, check func(reply) (string, error)) bool {
	began := time.Now()
	r, err := s.get(path)
	var detail string
	if err == nil {
		if detail, err = check(r); err != nil && r.status >= 400 {
			err = fmt.Errorf("%w (%d: %s)", err, r.status, detailOf(strings.NewReader(string(r.body))))
		}
	}
	return s.note(what, "GET "+readable(path), 1, began, detail, err)
}

// readable undoes the escapes of a path, for people.
func readable(path string) string {
	if plain, err := url.QueryUnescape(path); err == nil {
		return plain
	}
	return path
}

// A list is an answer to a query, but for its resources.
type list struct {
	Schemas                  []string
	Total, Items, StartIndex int
	resources                int // that were there
}

// list asks for a list and calls f with each resource, as it comes: groups may
// have many members.
func (s *session) list(path string, f func(json.RawMessage) error) (list, error) {
	res, err := s.open(path)
	if err != nil {
		return list{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return list{}, fmt.Errorf("%s: %s", res.Status, detailOf(res.Body))
	}
	l, err := readList(res.Body, f)
	if err == nil {
		err = l.check()
	}
	return l, err
}

// readList reads a ListResponse.
func readList(body io.Reader, f func(json.RawMessage) error) (list, error) {
	l := list{Total: -1, Items: -1, StartIndex: -1}
	dec := json.NewDecoder(body)
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return l, errors.New("the answer is no JSON object")
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return l, fmt.Errorf("reading the answer: %w", err)
		}
		var into any
		switch name {
		case "schemas":
			into = &l.Schemas
		case "totalResults":
			into = &l.Total
		case "itemsPerPage":
			into = &l.Items
		case "startIndex":
			into = &l.StartIndex
		case "Resources":
			if l.resources, err = readResources(dec, f); err != nil {
				return l, err
			}
			continue
		default:
			into = new(json.RawMessage)
		}
		if err := dec.Decode(into); err != nil {
			return l, fmt.Errorf("reading %v of the list: %w", name, err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return l, fmt.Errorf("reading the answer: %w", err)
	}
	return l, nil
}

func readResources(dec *json.Decoder, f func(json.RawMessage) error) (n int, err error) {
	if start, err := dec.Token(); err != nil || start != json.Delim('[') {
		return 0, fmt.Errorf("the member Resources begins with %v, and an array is expected", start)
	}
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return n, fmt.Errorf("reading a resource: %w", err)
		}
		n++
		if f == nil {
			continue
		}
		if err := f(raw); err != nil {
			return n, err
		}
	}
	_, err = dec.Token()
	return n, err
}

// check says what is wrong with a list's envelope.
func (l list) check() error {
	switch {
	case len(l.Schemas) != 1 || l.Schemas[0] != schemaList:
		return fmt.Errorf("schemas is %q, and %s is expected", l.Schemas, schemaList)
	case l.Total < 0:
		return errors.New("totalResults is missing")
	case l.Items >= 0 && l.Items != l.resources:
		return fmt.Errorf("itemsPerPage is %d, and there are %d resources", l.Items, l.resources)
	}
	return nil
}

// A walk is how a platform pages.
type walk struct {
	what     string
	endpoint string // /Users or /Groups
	count    int
	query    string // further parameters, each with & before it
	byItems  bool   // goes on by itemsPerPage, not by count
	take     func(json.RawMessage) (id string, err error)
}

// walk reads a list page by page to its end, and checks that it is whole and
// everybody comes once.
func (s *session) walk(w walk) bool {
	began := time.Now()
	path := func(start int) string {
		return fmt.Sprintf("%s?startIndex=%d&count=%d%s", w.endpoint, start, w.count, w.query)
	}
	seen := make(map[string]bool)
	total, pages, start := 1, 0, 1
	var err error
	for start <= total && err == nil {
		var l list
		l, err = s.list(path(start), func(raw json.RawMessage) error {
			id, err := w.take(raw)
			switch {
			case err != nil:
				return err
			case seen[id]:
				return fmt.Errorf("%s came twice", id)
			}
			seen[id] = true
			return nil
		})
		pages++
		switch {
		case err != nil:
		case l.StartIndex != start:
			err = fmt.Errorf("startIndex is %d, and %d was asked for", l.StartIndex, start)
		case pages > 1 && l.Total != total:
			err = fmt.Errorf("totalResults went from %d to %d between two pages", total, l.Total)
		case l.resources < min(w.count, l.Total-start+1):
			err = fmt.Errorf("the page from %d has %d resources, and %d are to come", start, l.resources, min(w.count, l.Total-start+1))
		}
		total = l.Total
		if w.byItems {
			start += max(l.Items, 0)
		} else {
			start += w.count
		}
	}
	if err == nil && len(seen) != total {
		err = fmt.Errorf("%d came, and totalResults is %d", len(seen), total)
	}
	request := "GET " + readable(path(1))
	if pages > 1 {
		request += " …"
	}
	return s.note(w.what, request, pages, began, words.Thousands(len(seen))+", each once", err)
}

// users walks all users, and has each judged.
func (s *session) users(count int, byItems bool) bool {
	return s.walk(walk{what: "import of users", endpoint: "/Users", count: count, byItems: byItems, take: func(raw json.RawMessage) (string, error) {
		return s.judge.user(raw)
	}})
}

// groups walks all groups, and has each judged.
func (s *session) groups(count int, byItems bool) bool {
	return s.walk(walk{what: "import of groups", endpoint: "/Groups", count: count, byItems: byItems, take: func(raw json.RawMessage) (string, error) {
		return s.judge.group(raw)
	}})
}

// checkURL looks at the base URL.
func (s *session) checkURL() {
	u, err := url.Parse(s.endpoint.URL)
	if err != nil || s.platform.Name != "okta" {
		return
	}
	var fault error
	if strings.Contains(u.Host+u.Path, "_") {
		fault = errors.New("it contains an underscore, which Okta does not take")
	}
	s.note("base URL", s.endpoint.URL, 0, time.Now(), "no underscore", fault)
}

// The requests that platforms have in common.

// first asks for the first users, as tests of credentials do, and gives the
// first one.
func (s *session) first(what, query string) (u user, ok bool) {
	began := time.Now()
	path := "/Users?" + query
	l, err := s.list(path, func(raw json.RawMessage) error {
		if u.ID != "" {
			return nil
		}
		return json.Unmarshal(raw, &u)
	})
	if err == nil && l.resources == 0 && l.Total > 0 {
		err = errors.New("no user came")
	}
	ok = s.note(what, "GET "+readable(path), 1, began, fmt.Sprintf("%d of %s", l.resources, words.Thousands(max(l.Total, 0))), err)
	return u, ok && u.ID != ""
}

// lookUp asks for users by a filter, and wants so many; want < 0 is any number.
func (s *session) lookUp(what, endpoint, filter, more string, want int) {
	path := endpoint + "?filter=" + url.QueryEscape(filter) + more
	began := time.Now()
	l, err := s.list(path, nil)
	if err == nil && want >= 0 && l.Total != want {
		err = fmt.Errorf("%d were found, and %d expected", l.Total, want)
	}
	s.note(what, "GET "+readable(path), 1, began, words.Thousands(max(l.Total, 0))+" found", err)
}

// document asks for a document of discovery that must carry schemas.
func (s *session) document(path string) (document map[string]any) {
	s.expect("discovery", path, func(r reply) (string, error) {
		if r.status != http.StatusOK {
			return "", errors.New("it is not there")
		}
		if err := json.Unmarshal(r.body, &document); err != nil {
			return "", fmt.Errorf("it is no JSON object: %w", err)
		}
		if _, ok := document["schemas"].([]any); !ok {
			return "", errors.New("it has no schemas")
		}
		resources, isList := document["Resources"].([]any)
		for _, r := range resources {
			m, ok := r.(map[string]any)
			if _, has := m["schemas"].([]any); !ok || !has {
				return "", errors.New("one of its resources has no schemas")
			}
		}
		if isList {
			return fmt.Sprintf("%d", len(resources)), nil
		}
		return "there", nil
	})
	return document
}

// one asks for a single user.
func (s *session) one(id string) {
	s.expect("a single user", "/Users/"+url.PathEscape(id), func(r reply) (string, error) {
		var u user
		if r.status != http.StatusOK || json.Unmarshal(r.body, &u) != nil || u.ID != id {
			return "", errors.New("the user just listed is not there")
		}
		return "there", nil
	})
}

// nobody asks for a user that there is not.
func (s *session) nobody() {
	s.expect("a user who does not exist", "/Users/"+rand.Text(), func(r reply) (string, error) {
		var e struct {
			Schemas []string
			Status  string
			Detail  string
		}
		switch {
		case r.status != http.StatusNotFound:
			return "", errors.New("404 is expected")
		case json.Unmarshal(r.body, &e) != nil || len(e.Schemas) != 1 || e.Schemas[0] != schemaError || e.Status != "404" || e.Detail == "":
			return "", errors.New("the answer is no SCIM error with a detail")
		}
		return "404", nil
	})
}

// quoted writes a string as a filter's literal.
func quoted(s string) string {
	b, _ := json.Marshal(s) // a string can't fail
	return string(b)
}
