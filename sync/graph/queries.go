package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Organization reads the tenant's own entry. It takes Organization.Read.All, or
// Directory.Read.All, and is for people to see that it is the right tenant:
// without the permission it fails with [ErrPermission] and nothing is lost.
func (c *Client) Organization(ctx context.Context) (Organization, error) {
	var org Organization
	err := c.do(ctx, &call{
		what:   "organization",
		url:    c.cfg.GraphURL + "/v1.0/organization?$select=id,displayName,verifiedDomains",
		accept: minimalMetadata,
		needs:  "Organization.Read.All",
		body:   new(buffer),
		decode: func(body []byte) (err error) {
			org, err = decodeOrganization(body)
			return err
		},
	})
	return org, err
}

func decodeOrganization(body []byte) (Organization, error) {
	var answer struct {
		Value []struct {
			ID              string   `json:"id"`
			DisplayName     string   `json:"displayName"`
			VerifiedDomains []Domain `json:"verifiedDomains"`
		} `json:"value"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return Organization{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if len(answer.Value) != 1 {
		return Organization{}, fmt.Errorf("expected one organization, got %d", len(answer.Value))
	}
	o := answer.Value[0]
	return Organization{ID: o.ID, DisplayName: o.DisplayName, Domains: o.VerifiedDomains}, nil
}

// Count asks how many objects of a kind the tenant has. It reads an index that
// lags behind, so it is good for progress and for a sanity check, and never for
// deciding that somebody is gone (learn.microsoft.com/graph/aad-advanced-queries).
func (c *Client) Count(ctx context.Context, kind Kind) (int, error) {
	var count int
	err := c.do(ctx, &call{
		what:   kind.String() + "/$count",
		url:    fmt.Sprintf("%s/v1.0/%s/$count", c.cfg.GraphURL, kind),
		accept: "text/plain",
		header: http.Header{"Consistencylevel": {"eventual"}},
		needs:  kind.permission(),
		body:   new(buffer),
		decode: func(body []byte) (err error) {
			count, err = decodeCount(body)
			return err
		},
	})
	return count, err
}

// decodeCount reads a bare number, which may stand behind a byte order mark.
func decodeCount(body []byte) (int, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\uFEFF")))
	n, err := strconv.Atoi(string(body))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: expected a number", errMalformed)
	}
	return n, nil
}

// ForgetToken drops the access token, so that the next request asks for a new
// one: after consent, because a token keeps the roles it was issued with.
func (c *Client) ForgetToken() { c.tokens.forget() }

// readClaims reads the payload of a JWT, whose signature is not ours to check.
func readClaims(jwt string, claims any) error {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return errors.New("it is not a JWT")
	}
	payload, err := b64.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return errors.New("it is not a JWT")
	}
	if err := json.Unmarshal(payload, claims); err != nil {
		return errors.New("its claims cannot be read")
	}
	return nil
}
