package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// An Aside is what one user has of properties that are read aside.
type Aside struct {
	ID string
	// Properties has each of the properties asked for, sorted by name; one that
	// the user does not have is null.
	Properties []Property
}

// permissionsAside are what single properties need beside User.Read.All.
var permissionsAside = map[string]string{
	"signInActivity":           "AuditLog.Read.All",
	"customSecurityAttributes": "CustomSecAttributeAssignment.Read.All",
}

// ReadAside reads properties of all users that delta queries don't bring, such
// as signInActivity and customSecurityAttributes, page by page
// (user-list). Its errors are those of [Client.Changes]; a tenant without the
// licence that a property takes refuses it with status 403.
func (c *Client) ReadAside(ctx context.Context, names []string, visit func([]Aside) error) error {
	names = slices.Sorted(slices.Values(names))
	if len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return name == "" || !madeOf(name, "_") }) {
		return fmt.Errorf("reading aside: %q are no names of properties", names)
	}
	var needs []string
	for _, name := range names {
		if p := permissionsAside[name]; p != "" {
			needs = append(needs, p)
		}
	}
	// With signInActivity pages are of 500 users at most.
	link := c.cfg.GraphURL + "/v1.0/users?" + url.Values{"$select": {"id," + strings.Join(names, ",")}, "$top": {"500"}}.Encode()
	read := func(link string, from origin) (page []Aside, next string, err error) {
		err = c.do(ctx, &call{
			what: "users (" + strings.Join(names, ", ") + ")", url: link,
			accept: minimalMetadata, needs: strings.Join(needs, " and "), from: from, body: new(buffer),
			decode: func(body []byte) (err error) {
				page, next, err = decodeAside(body, names)
				return err
			},
		})
		return page, next, err
	}
	return eachPage(c, "reading aside", link, read, visit)
}

// decodeAside reads a page of users.
func decodeAside(body []byte, names []string) (page []Aside, next string, err error) {
	var answer struct {
		Value *[]map[string]json.RawMessage `json:"value"`
		Next  string                        `json:"@odata.nextLink"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, "", fmt.Errorf("%w: %w", errMalformed, err)
	}
	if answer.Value == nil {
		return nil, "", fmt.Errorf("%w: there is no value", errMalformed)
	}
	for i, user := range *answer.Value {
		var one Aside
		if json.Unmarshal(user["id"], &one.ID) != nil || one.ID == "" {
			return nil, "", fmt.Errorf("%w: user %d has no id", errMalformed, i)
		}
		for _, name := range names {
			value := bytes.NewBufferString("")
			if raw := user[name]; raw == nil {
				value.WriteString("null")
			} else if err := json.Compact(value, raw); err != nil {
				return nil, "", fmt.Errorf("%w: %w", errMalformed, err)
			}
			one.Properties = append(one.Properties, Property{Name: name, Value: value.Bytes()})
		}
		page = append(page, one)
	}
	return page, answer.Next, nil
}
