package graph

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A Filter chooses users of a list (user-list).
type Filter struct {
	// Text is the $filter.
	Text string
	// Advanced: the filter needs advanced query parameters. Such a list is
	// answered from an index that lags, and has neither properties nor managers
	// here: it only says whom to ask for with [Client.ReadUsers].
	Advanced bool
}

const (
	// expandedTop is how many users a page has that names their managers: more
	// is not granted with $expand.
	expandedTop = "100"
	// MaxUsers is how many users one request reads by id: Graph joins no more
	// comparisons by "or".
	MaxUsers = 15
)

// ListUsers reads the users that a filter finds, with their managers, page by
// page. It is no delta query: it says nothing of users who went, and ends in no
// cursor. A user who changes meanwhile may be missing from it. Its errors are
// those of [Client.Changes].
func (c *Client) ListUsers(ctx context.Context, f Filter, visit func(*Page) error) error {
	query := url.Values{"$select": {"id"}, "$top": {"999"}, "$count": {"true"}}
	if !f.Advanced {
		query = c.wholeUsers()
		query.Set("$top", expandedTop)
	}
	query.Set("$filter", f.Text)
	return c.listUsers(ctx, "users by filter", query, f.Advanced, visit)
}

// ReadUsers reads users by their ids, at most [MaxUsers], with their managers.
// One who is missing from the answer is asked for alone; the page has all who are
// there. Its errors are those of [Client.Changes].
func (c *Client) ReadUsers(ctx context.Context, ids []string) (*Page, error) {
	terms := make([]string, len(ids))
	for i, id := range ids {
		if id == "" || !madeOf(id, "-") {
			return nil, fmt.Errorf("reading users by id: %q is no id", id)
		}
		terms[i] = "id eq '" + id + "'"
	}
	all := new(Page)
	shown := make(map[string]bool)
	add := func(page *Page) {
		for _, change := range page.Changes {
			shown[change.ID] = true
		}
		for _, b := range page.Broken {
			shown[b.ID] = true
		}
		all.Changes, all.Broken = append(all.Changes, page.Changes...), append(all.Broken, page.Broken...)
	}
	query := c.wholeUsers()
	query.Set("$filter", strings.Join(terms, " or "))
	query.Set("$top", expandedTop)
	err := c.listUsers(ctx, "users by id", query, false, func(page *Page) error { add(page); return nil })
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if shown[id] {
			continue
		}
		page, err := c.readUser(ctx, id)
		if err != nil {
			return nil, err
		}
		add(page)
	}
	return all, nil
}

// readUser reads one user; the page is empty where there is none of that id.
func (c *Client) readUser(ctx context.Context, id string) (page *Page, err error) {
	err = c.do(ctx, &call{
		what: "user by id", url: c.cfg.GraphURL + "/v1.0/users/" + id + "?" + encoded(c.wholeUsers()), accept: minimalMetadata,
		needs: Users.permission(), body: new(buffer),
		decode: func(body []byte) (err error) {
			page, _, err = decodeList(slices.Concat([]byte(`{"value":[`), body, []byte(`]}`)), c.names)
			return err
		},
	})
	if notFound(err) {
		return new(Page), nil
	}
	return page, err
}

// wholeUsers asks for all that is wanted of users.
func (c *Client) wholeUsers() url.Values {
	return url.Values{"$select": {strings.Join(c.selected(Users), ",")}, "$expand": {"manager"}}
}

// encoded writes a query. Graph reads a plus sign in one as itself.
func encoded(query url.Values) string { return strings.ReplaceAll(query.Encode(), "+", "%20") }

func (c *Client) listUsers(ctx context.Context, what string, query url.Values, advanced bool, visit func(*Page) error) error {
	header := http.Header{}
	if advanced {
		header["Consistencylevel"] = []string{"eventual"}
	}
	body, number := new(buffer), 0
	return eachPage(c, "reading "+what, c.cfg.GraphURL+"/v1.0/users?"+encoded(query), func(link string, from origin) (pages []*Page, next string, err error) {
		var page *Page
		err = c.do(ctx, &call{
			what: what, url: link, accept: minimalMetadata, header: header,
			needs: Users.permission(), from: from, body: body,
			decode: func(body []byte) (err error) {
				page, next, err = decodeList(body, c.names)
				return err
			},
		})
		if err == nil {
			number++
			c.tally.page(page)
			c.log.Debug("page read", "collection", what, "page", number, "objects", len(page.Changes))
		}
		return []*Page{page}, next, err
	}, func(pages []*Page) error { return visit(pages[0]) })
}

// selected is what is asked of a kind, without relationships.
func (c *Client) selected(kind Kind) []string {
	names := []string{"id"}
	for _, name := range c.cfg.Select[kind] {
		if name != kind.relation() && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
