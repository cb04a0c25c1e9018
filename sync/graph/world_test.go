package graph_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"scimbridge/sync/graph"
)

const (
	graphURL = "https://graph.test"
	loginURL = "https://login.test"
	secret   = "s3cret-value"
)

// answer is what a request gets.
type answer struct {
	status int // 0: 200
	header map[string]string
	body   string
	broken error         // the body ends with it instead of io.EOF
	err    error         // there is no answer
	after  time.Duration // the answer's time
}

// world is Microsoft, as far as a test needs it: a http.RoundTripper without
// sockets, so that it works where time is simulated.
type world struct {
	login func(n int, form url.Values) answer    // nil: tokens token-1, token-2, … of 3599 s
	graph func(n int, req *http.Request) answer  // n counts from 1
	wait  func(ctx context.Context, host string) // called before each answer, may be nil

	mu     sync.Mutex
	asked  []*http.Request // to Graph
	times  []time.Time
	logins []url.Values
}

func (w *world) RoundTrip(req *http.Request) (*http.Response, error) {
	if w.wait != nil {
		w.wait(req.Context(), req.URL.Host)
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	a := w.answer(req)
	if a.after > 0 {
		select {
		case <-time.After(a.after):
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	resp := &http.Response{StatusCode: max(a.status, 200), Header: http.Header{}, Request: req}
	if a.status == 0 {
		resp.StatusCode = http.StatusOK
	}
	for name, value := range a.header {
		resp.Header.Set(name, value)
	}
	body := io.Reader(strings.NewReader(a.body))
	if a.broken != nil {
		body = io.MultiReader(body, failing{a.broken})
	}
	resp.Body = io.NopCloser(body)
	return resp, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func (w *world) answer(req *http.Request) answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch req.URL.Host {
	case "login.test":
		data, _ := io.ReadAll(req.Body)
		form, _ := url.ParseQuery(string(data))
		w.logins = append(w.logins, form)
		if w.login != nil {
			return w.login(len(w.logins), form)
		}
		return token(fmt.Sprintf("token-%d", len(w.logins)), 3599)
	case "graph.test":
		w.asked = append(w.asked, req)
		w.times = append(w.times, time.Now())
		return w.graph(len(w.asked), req)
	}
	return answer{err: errors.New("a request to " + req.URL.Host)}
}

func token(value string, seconds int) answer {
	return answer{
		header: map[string]string{"Content-Type": "application/json"},
		body:   fmt.Sprintf(`{"token_type":"Bearer","expires_in":%d,"ext_expires_in":%d,"access_token":%q}`, seconds, seconds, value),
	}
}

// lastPage is a page that ends a round.
func lastPage(objects ...string) answer {
	return answer{body: `{"value":[` + strings.Join(objects, ",") + `],"@odata.deltaLink":"` + graphURL + `/v1.0/users/delta?$deltatoken=end"}`}
}

// pageTo is a page that others follow.
func pageTo(token string, objects ...string) answer {
	return answer{body: `{"value":[` + strings.Join(objects, ",") + `],"@odata.nextLink":"` + graphURL + `/v1.0/users/delta?$skiptoken=` + token + `"}`}
}

func refusal(status int, code string, header ...string) answer {
	a := answer{
		status: status,
		header: map[string]string{"request-id": "11112222-0000-0000-0000-000000000000"},
		body:   `{"error":{"code":"` + code + `","message":"Words by Microsoft.","innerError":{"date":"2026-11-24T10:00:00","request-id":"11112222-0000-0000-0000-000000000000"}}}`,
	}
	for i := 0; i < len(header); i += 2 {
		a.header[header[i]] = header[i+1]
	}
	return a
}

// always answers each request alike.
func always(a answer) func(int, *http.Request) answer {
	return func(int, *http.Request) answer { return a }
}

// inTurn gives the answers one after the other, the last again and again.
func inTurn(answers ...answer) func(int, *http.Request) answer {
	return func(n int, _ *http.Request) answer { return answers[min(n, len(answers))-1] }
}

// newClient makes a client of the world; change may alter its configuration.
func newClient(t testing.TB, w http.RoundTripper, change func(*graph.Config)) *graph.Client {
	t.Helper()
	cfg := graph.Config{
		GraphURL: graphURL, LoginURL: loginURL,
		TenantID: "contoso.example", ClientID: "client",
		Credential: graph.ClientSecret(secret),
		Select:     map[graph.Kind][]string{graph.Users: {"displayName", "mail"}, graph.Groups: {"displayName"}},
		HTTPClient: &http.Client{Transport: w},
		Log:        slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Version:    "1.2.3",
	}
	if change != nil {
		change(&cfg)
	}
	c, err := graph.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// read runs a round to its end.
func read(pages iter.Seq2[*graph.Page, error]) (changes []graph.Change, cursor string, err error) {
	for page, err := range pages {
		if err != nil {
			return changes, cursor, err
		}
		changes = append(changes, page.Changes...)
		cursor = page.DeltaLink
	}
	return changes, cursor, nil
}

func (w *world) requests() []*http.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}
