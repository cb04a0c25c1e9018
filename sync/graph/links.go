package graph

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// checkLink checks that a link from an answer, or a stored cursor, leads to the
// configured Graph: the same scheme, host and port, a path under the base's.
// Everything that requests carry a token to has passed here.
func checkLink(base *url.URL, link string) error {
	u, err := url.Parse(link)
	switch {
	case err != nil:
		return errors.New("the link is not a URL")
	case u.User != nil, u.Opaque != "", u.Fragment != "":
		return errors.New("the link has a form that Graph does not use")
	case u.Scheme != base.Scheme || !strings.EqualFold(u.Hostname(), base.Hostname()) || port(u) != port(base):
		return fmt.Errorf("the link leads to %s://%s instead of %s://%s", u.Scheme, u.Host, base.Scheme, base.Host)
	case !strings.HasPrefix(u.EscapedPath(), base.EscapedPath()+"/") || wanders(u.EscapedPath()):
		return fmt.Errorf("the link leads out of %s", base.EscapedPath()+"/")
	}
	return nil
}

// port gives a URL's port, the default of its scheme where it names none.
func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}

// wanders tells whether a path, as it goes over the wire, has segments that a
// server or a proxy might resolve into another path.
func wanders(path string) bool {
	lower := strings.ToLower(path)
	for _, hidden := range []string{"%2f", "%5c", `\`} {
		if strings.Contains(lower, hidden) {
			return true
		}
	}
	for segment := range strings.SplitSeq(strings.ReplaceAll(lower, "%2e", "."), "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// trail remembers the links of a round, to notice one that comes again.
type trail map[[sha256.Size]byte]struct{}

// add notes a link and tells whether it is new.
func (t trail) add(link string) bool {
	sum := sha256.Sum256([]byte(link))
	_, known := t[sum]
	t[sum] = struct{}{}
	return !known
}

// checkNext checks a nextLink: that it leads to Graph, and to a page that was not
// read before.
func (c *Client) checkNext(seen trail, next string) error {
	if err := checkLink(c.graph, next); err != nil {
		return err
	}
	if !seen.add(next) {
		return errors.New("its nextLink leads back to a page already read")
	}
	return nil
}

// eachPage reads a list that is no delta query to its end, page by page from its
// first link. A page is visited once it is known where it leads. doing begins the
// errors that are not read's own.
func eachPage[T any](c *Client, doing, link string, read func(link string, from origin) (page []T, next string, err error), visit func([]T) error) error {
	seen := trail{}
	for pages, from := 1, initial; link != ""; pages, from = pages+1, following {
		seen.add(link)
		page, next, err := read(link, from)
		switch {
		case err != nil:
			return err
		case next != "" && pages >= c.cfg.MaxPages:
			return fmt.Errorf("%s: %w: there are more than %d pages", doing, ErrProtocol, c.cfg.MaxPages)
		case next != "":
			if err := c.checkNext(seen, next); err != nil {
				return fmt.Errorf("%s: page %d: %w: %w", doing, pages, ErrProtocol, err)
			}
		}
		if err := visit(page); err != nil {
			return err
		}
		link = next
	}
	return nil
}
