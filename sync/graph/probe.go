package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Latest gives a cursor for what changes from now on, without reading what there
// is (learn.microsoft.com/graph/delta-query-overview: $deltatoken=latest). It
// proves at a small price that delta queries work.
func (c *Client) Latest(ctx context.Context, kind Kind) (cursor string, err error) {
	err = c.do(ctx, &call{
		what:   kind.String() + "/delta",
		url:    c.firstURL(kind) + "&$deltatoken=latest",
		accept: minimalMetadata,
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

// A Sample is what the first page of a collection shows.
type Sample struct {
	Objects int  // on the page
	More    bool // than this page
	// Hidden counts the groups on the page that hide their members, and Groups
	// has the ids of some that do not.
	Hidden int
	Groups []string
}

// FirstPage reads one page of a collection, with the properties of Config.Select,
// not by delta: it proves that each of them may be read.
func (c *Client) FirstPage(ctx context.Context, kind Kind) (Sample, error) {
	names := c.selected(kind)
	if kind == Groups && !slices.Contains(names, "visibility") {
		names = append(names, "visibility")
	}
	var sample Sample
	err := c.do(ctx, &call{
		what:   kind.String(),
		url:    c.cfg.GraphURL + "/v1.0/" + kind.String() + "?" + url.Values{"$top": {"100"}, "$select": {strings.Join(names, ",")}}.Encode(),
		accept: minimalMetadata,
		needs:  kind.permission(),
		body:   new(buffer),
		decode: func(body []byte) (err error) {
			sample, err = decodeSample(body)
			return err
		},
	})
	return sample, err
}

func decodeSample(body []byte) (Sample, error) {
	var answer struct {
		Next  string `json:"@odata.nextLink"`
		Value []struct {
			ID         string `json:"id"`
			Visibility string `json:"visibility"`
		} `json:"value"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return Sample{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	const some = 5
	s := Sample{Objects: len(answer.Value), More: answer.Next != ""}
	for _, o := range answer.Value {
		switch {
		case strings.EqualFold(o.Visibility, "HiddenMembership"):
			s.Hidden++
		case len(s.Groups) < some:
			s.Groups = append(s.Groups, o.ID)
		}
	}
	return s, nil
}

// Members counts the direct members of a group, as far as its first page shows
// them: it proves that memberships may be read
// (learn.microsoft.com/graph/api/group-list-members).
func (c *Client) Members(ctx context.Context, group string) (int, error) {
	count := 0
	err := c.do(ctx, &call{
		what:   "groups/members",
		url:    c.cfg.GraphURL + "/v1.0/groups/" + url.PathEscape(group) + "/members?" + url.Values{"$top": {"20"}, "$select": {"id"}}.Encode(),
		accept: minimalMetadata,
		needs:  Groups.permission(),
		body:   new(buffer),
		decode: func(body []byte) error {
			sample, err := decodeSample(body)
			count = sample.Objects
			return err
		},
	})
	return count, err
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
		accept: minimalMetadata,
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
