package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"
)

// Latest gives a cursor for what changes from now on, without reading what there
// is (learn.microsoft.com/graph/delta-query-overview: $deltatoken=latest). It
// proves at a small price that delta queries work.
func (c *Client) Latest(ctx context.Context, kind Kind) (cursor string, err error) {
	err = c.do(ctx, &call{
		what:   kind.String() + "/delta",
		url:    c.firstURL(kind) + "&$deltatoken=latest",
		accept: "application/json;odata.metadata=minimal",
		needs:  kind.permission(),
		body:   new(buffer),
		decode: func(body []byte) error {
			page, _, err := decodePage(body, c.names)
			if err == nil {
				cursor = page.DeltaLink
			}
			return err
		},
	})
	if err != nil {
		return "", err
	}
	if err := checkLink(c.graph, cursor); err != nil {
		return "", fmt.Errorf("reading %s/delta: %w: %w", kind, ErrProtocol, err)
	}
	return cursor, nil
}

// AppCredential is a credential of the app registration, without its value.
type AppCredential struct {
	Hint    string    // a secret's first characters; empty for a certificate
	Expires time.Time // zero: never
}

// AppCredentials reads which credentials the app registration has and when they
// expire. It takes Application.Read.All, which nothing else here needs: without
// it, it fails with [ErrPermission]. A registration that lives in another tenant
// is not found, and gives none.
func (c *Client) AppCredentials(ctx context.Context) ([]AppCredential, error) {
	var found []AppCredential
	query := url.Values{"$filter": {"appId eq '" + c.cfg.ClientID + "'"}, "$select": {"id,appId,passwordCredentials,keyCredentials"}}
	err := c.do(ctx, &call{
		what:   "applications",
		url:    c.cfg.GraphURL + "/v1.0/applications?" + query.Encode(),
		accept: "application/json;odata.metadata=minimal",
		needs:  "Application.Read.All",
		body:   new(buffer),
		decode: func(body []byte) (err error) {
			found, err = decodeCredentials(body)
			return err
		},
	})
	return found, err
}

func decodeCredentials(body []byte) (found []AppCredential, err error) {
	type credential struct {
		Hint string    `json:"hint"`
		End  time.Time `json:"endDateTime"`
	}
	var answer struct {
		Value []struct {
			Secrets []credential `json:"passwordCredentials"`
			Keys    []credential `json:"keyCredentials"`
		} `json:"value"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	for _, app := range answer.Value {
		for _, c := range app.Secrets {
			found = append(found, AppCredential{Hint: c.Hint, Expires: c.End})
		}
		for _, c := range app.Keys {
			found = append(found, AppCredential{Expires: c.End})
		}
	}
	return found, nil
}
