package graph

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"time"
)

// maxPageSize is what we ask for; Graph grants what it grants (at present some
// 200 objects, or 500 members). Preferences are never an error (RFC 7240 §2).
const maxPageSize = "odata.maxpagesize=999"

// Changes yields the pages of one round of a collection: a full read when
// cursor is "", otherwise what changed since. It stops after the page that has
// a DeltaLink, or after an error, which is yielded once with a nil page.
//
// Errors that the caller decides upon:
//   - [ErrResync]: the cursor is no longer valid. Read in full, into nothing.
//   - [ErrRestartRound]: a page link grew too old. Begin the round again with
//     the same cursor, and drop what this one gave.
//   - [ErrCredentials], [ErrPermission]: somebody has to change something.
//   - [ErrUnavailable]: Graph or the network, after all retries. Later.
//   - [ErrProtocol]: an answer that cannot be followed without danger.
//   - ctx.Err(), when ctx ended.
//
// After any error the pages so far are worth nothing: a part of a round must
// not be published. The caller bounds how often it restarts or reads in full.
func (c *Client) Changes(ctx context.Context, kind Kind, cursor string) iter.Seq2[*Page, error] {
	return func(yield func(*Page, error) bool) {
		r := &round{c: c, kind: kind, seen: trail{}}
		link, err := r.begin(cursor)
		for err == nil {
			var page *Page
			if page, err = r.read(ctx, link); err != nil {
				break
			}
			if !yield(page, nil) || page.DeltaLink != "" {
				return
			}
			link = r.next
		}
		yield(nil, err)
	}
}

// round is one run through the pages of a collection.
type round struct {
	c     *Client
	kind  Kind
	from  origin // of the link that is read next
	next  string // the link after it
	pages int
	seen  trail
	body  buffer // reused from page to page
}

// begin gives the round's first link.
func (r *round) begin(cursor string) (string, error) {
	if cursor == "" {
		r.from = initial
		return r.c.firstURL(r.kind), nil
	}
	r.from = delta
	if err := checkLink(r.c.graph, cursor); err != nil {
		return "", fmt.Errorf("reading %s/delta: %w: the stored cursor belongs to another Graph: %w", r.kind, ErrResync, err)
	}
	return cursor, nil
}

// read gets one page and checks where it leads.
func (r *round) read(ctx context.Context, link string) (*Page, error) {
	r.seen.add(link)
	var page *Page
	begun := time.Now()
	err := r.c.do(ctx, &call{
		what:   r.kind.String() + "/delta",
		url:    link,
		accept: minimalMetadata,
		header: http.Header{"Prefer": {maxPageSize}},
		needs:  r.kind.permission(),
		from:   r.from,
		body:   &r.body,
		decode: func(body []byte) (err error) {
			page, r.next, err = decodePage(body, r.c.names)
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	r.pages++
	r.from = following
	r.c.notePage(r.kind, page, r.pages, time.Since(begun))
	if err := r.checkLinks(page); err != nil {
		err = fmt.Errorf("reading %s/delta: page %d: %w: %w", r.kind, r.pages, ErrProtocol, err)
		r.c.tally.failed(err)
		return nil, err
	}
	return page, nil
}

// checkLinks checks the one link that a page has.
func (r *round) checkLinks(page *Page) error {
	if page.DeltaLink != "" {
		return checkLink(r.c.graph, page.DeltaLink)
	}
	if err := r.c.checkNext(r.seen, r.next); err != nil {
		return err
	}
	if r.pages >= r.c.cfg.MaxPages {
		return fmt.Errorf("the round has more than %d pages", r.c.cfg.MaxPages)
	}
	return nil
}

// notePage logs and counts a page.
func (c *Client) notePage(kind Kind, page *Page, n int, took time.Duration) {
	c.tally.page(page)
	c.log.Debug("page read", "collection", kind.String(), "page", n, "objects", len(page.Changes), "elapsed", took)
	if len(page.Broken) > 0 {
		b := page.Broken[0]
		c.log.Warn("objects left out that cannot be understood", "collection", kind.String(), "page", n,
			"count", len(page.Broken), "offset", b.Offset, "reason", b.Reason)
	}
}
