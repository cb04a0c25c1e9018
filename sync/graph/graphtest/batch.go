package graphtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// maxBatch is how many requests a batch may hold (concepts/json-batching.md).
const maxBatch = 20

type batchRequest struct {
	ID      string            `json:"id"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
}

type batchAnswer struct {
	ID      string            `json:"id"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    json.RawMessage   `json:"body"`
}

// batch answers POST /$batch: each inner request has its own status, price and
// faults, and the answers come in any order.
func (c *call) batch() (*answer, *refusal) {
	if c.r.Method != http.MethodPost {
		return nil, refuse(http.StatusMethodNotAllowed, codeBadRequest, "Specified HTTP method is not allowed for the request target.")
	}
	if c.batched {
		return nil, refuse(http.StatusBadRequest, "BadRequest", "A batch cannot hold a batch.")
	}
	requests, refused := c.readBatch()
	if refused != nil {
		return nil, refused
	}
	answers := make([]batchAnswer, 0, len(requests))
	for _, q := range requests {
		answers = append(answers, c.inner(q))
	}
	if !c.t.opts.Calm {
		shift := int(c.t.dice.float() * float64(len(answers)))
		answers = append(answers[shift:len(answers):len(answers)], answers[:shift]...)
	}
	return jsonAnswer(mustJSON(map[string]any{"responses": answers}), len(answers)), nil
}

func (c *call) readBatch() ([]batchRequest, *refusal) {
	var body struct {
		Requests []batchRequest `json:"requests"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, c.r.Body, 4<<20)).Decode(&body); err != nil {
		return nil, refuse(http.StatusBadRequest, "BadRequest", "Invalid batch payload format.")
	}
	if len(body.Requests) > maxBatch {
		return nil, refuse(http.StatusBadRequest, "BadRequest", fmt.Sprintf("Number of batch request steps exceeds the maximum value of %d.", maxBatch))
	}
	seen := map[string]bool{}
	for _, q := range body.Requests {
		if q.ID == "" || seen[q.ID] || q.Method == "" || !strings.HasPrefix(q.URL, "/") {
			return nil, refuse(http.StatusBadRequest, "BadRequest", "Each batch request needs an id of its own, a method and a relative url.")
		}
		seen[q.ID] = true
	}
	return body.Requests, nil
}

func (c *call) inner(q batchRequest) batchAnswer {
	r, err := http.NewRequestWithContext(c.r.Context(), strings.ToUpper(q.Method), "/v1.0"+q.URL, nil)
	if err != nil {
		return batchAnswer{ID: q.ID, Status: http.StatusBadRequest, Body: json.RawMessage("null")}
	}
	r.Host, r.TLS = c.r.Host, c.r.TLS
	for name, value := range q.Headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("Authorization", c.r.Header.Get("Authorization"))
	in := c.s.newCall(r)
	in.batched = true
	a := c.s.answer(in)
	in.enter(a, a.status, 0)
	out := batchAnswer{ID: q.ID, Status: a.status, Body: a.body, Headers: map[string]string{"Content-Type": a.contentType}}
	for name := range a.header {
		out.Headers[name] = a.header.Get(name)
	}
	if !strings.Contains(a.contentType, "json") {
		out.Body = mustJSON(base64.StdEncoding.EncodeToString(a.body))
	}
	return out
}
