package graph

import (
	"net/http"
	"net/url"
	"time"
)

// What the external tests need of the inside.
var (
	CompactJSON     = func(value []byte) []byte { return compact(nil, value) }
	DecodePage      = decodePage
	ParseError      = parseError
	ParseRetryAfter = parseRetryAfter
	ErrMalformed    = errMalformed
)

const (
	MaxBroken = maxBroken
	MaxDepth  = maxDepth
)

func CheckLink(base, link string) error {
	u, err := url.Parse(base)
	if err != nil {
		return err
	}
	return checkLink(u, link)
}

func ParseLoginError(status int, header http.Header, body string) *LoginError {
	return parseLoginError(&http.Response{StatusCode: status, Header: header}, []byte(body))
}

func (c *Certificate) Assertion(req TokenRequest, now time.Time) (string, error) {
	return c.assertion(req, now)
}
