package rehearse

import (
	"fmt"
	"io"
	"net/http"
	"sync"
)

// HandlerTransport makes requests of a handler in this process. Answers stream:
// a page of large groups is never in memory as a whole.
func HandlerTransport(h http.Handler) http.RoundTripper { return handlerTransport{h} }

type handlerTransport struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t handlerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		req.Body.Close() // rehearsals send none
	}
	in := req.Clone(req.Context())
	in.RequestURI, in.RemoteAddr, in.Body = req.URL.RequestURI(), "127.0.0.1:0", http.NoBody
	body, out := io.Pipe()
	w := &pipeWriter{header: make(http.Header), body: out, begun: make(chan struct{})}
	go func() {
		defer func() {
			if fault := recover(); fault != nil {
				out.CloseWithError(fmt.Errorf("the endpoint broke the answer off: %v", fault))
			}
			w.WriteHeader(http.StatusOK)
			out.Close()
		}()
		t.handler.ServeHTTP(w, in)
	}()
	select {
	case <-w.begun:
	case <-req.Context().Done():
		body.CloseWithError(req.Context().Err())
		return nil, req.Context().Err()
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: body, ContentLength: -1, Request: req,
	}, nil
}

// A pipeWriter is the handler's side of an answer.
type pipeWriter struct {
	header http.Header
	body   *io.PipeWriter

	once   sync.Once
	begun  chan struct{} // closed once the header is sent
	sent   http.Header
	status int
}

// Header implements http.ResponseWriter.
func (w *pipeWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.begun)
	})
}

// Write implements http.ResponseWriter.
func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}
