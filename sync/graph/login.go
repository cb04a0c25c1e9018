package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"
)

// login gives the function that asks Microsoft's login for a token. Faults of
// the login or the network are tried again, refusals are not; and where a good
// token is still at hand (ahead), nothing is.
func (c *Client) login(base *url.URL) func(ctx context.Context, ahead bool) (*oauth2.Token, error) {
	h := *c.http
	h.Transport = asked{h.Transport, c.userAgent()}
	req := TokenRequest{
		URL:        fmt.Sprintf("%s/%s/oauth2/v2.0/token", base, c.cfg.TenantID),
		ClientID:   c.cfg.ClientID,
		Scope:      c.cfg.GraphURL + "/.default",
		HTTPClient: &h,
	}
	return func(ctx context.Context, ahead bool) (tok *oauth2.Token, err error) {
		err = c.persist(ctx, "asking "+base.Host+" for a token", func(ctx context.Context) *setback {
			var s *setback
			tok, s = c.tryLogin(ctx, base.Host, req)
			if s != nil && ahead {
				s.temporary = false
			}
			return s
		})
		return tok, err
	}
}

// asked sends requests to the login with our name and an id of their own.
type asked struct {
	next      http.RoundTripper // nil: the default
	userAgent string
}

// RoundTrip implements [http.RoundTripper].
func (a asked) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", a.userAgent)
	req.Header.Set("client-request-id", newGUID())
	if a.next == nil {
		return http.DefaultTransport.RoundTrip(req)
	}
	return a.next.RoundTrip(req)
}

// tryLogin asks once.
func (c *Client) tryLogin(ctx context.Context, host string, req TokenRequest) (*oauth2.Token, *setback) {
	attempt, cancel := context.WithTimeout(ctx, min(loginAttempt, c.retry.Attempt))
	defer cancel()
	tok, err := c.cfg.Credential.Token(attempt, req)
	c.tally.token(err)
	var refused *LoginError
	switch {
	case err == nil:
		c.log.Debug("token fetched", "expires", tok.Expiry)
		return tok, nil
	case errors.As(err, &refused):
		refused.host, refused.credential = firstOf(refused.host, host), c.cfg.Credential.String()
		return nil, &setback{
			err:       err,
			temporary: refused.temporary,
			throttled: refused.Status == http.StatusTooManyRequests || refused.retryAfter > 0,
			after:     refused.retryAfter,
		}
	}
	return nil, c.unreachable(ctx, attempt, host, err)
}
