package scim

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"scimbridge/scim/directory"
)

const (
	// retryAfter is how long, in seconds, a client is asked to wait for the
	// first complete picture. Importers that retry do so a few times only and
	// give up when told to wait for long.
	retryAfter = 30

	// queryTime bounds the work on one filter. Importers hang up after 60 s
	// without a byte.
	queryTime = 20 * time.Second
)

// A plan is a query made ready: what to look for, in which order, and what to
// show of it.
type plan struct {
	name       string // the endpoint
	types      []directory.Type
	filter     *filter     // nil: everything
	order      *order      // nil: list order
	projection *projection // nil: resources as they are

	asked [16]byte // the canonical text of all of it
	bound [16]byte // of the client, what it sees, and asked
}

// list answers a query by GET (RFC 7644 §3.4.2).
func (h *Handler) list(name string, types []directory.Type) answer {
	return func(x *exchange, _ []string) (err *scimError) {
		if x.params, err = parseQuery(x.r.URL.RawQuery, x.given[:0]); err != nil {
			return err
		}
		return h.query(x, name, types)
	}
}

// search answers a query by POST (RFC 7644 §3.4.3). It is the same query, with
// the same walks. A parameter in the URL is refused: to pass over a filter would
// answer with everybody.
func (h *Handler) search(name string, types []directory.Type) answer {
	return func(x *exchange, _ []string) (err *scimError) {
		if err := noParameters(x.r.URL.RawQuery); err != nil {
			return err
		}
		if x.params, err = readSearch(x.w, x.r); err != nil {
			return err
		}
		return h.query(x, name, types)
	}
}

// query answers a query over the given types.
func (h *Handler) query(x *exchange, name string, types []directory.Type) *scimError {
	pl, err := h.plan(x.client, name, types, &x.params)
	if err != nil {
		return err
	}
	var p page
	switch {
	case x.params.hasCursor && h.cfg.IndexOnly:
		// To pass over it would answer as if the first page were all.
		return newError(http.StatusBadRequest, "invalidCursor", "paging by cursor is switched off here; page by startIndex and count")
	case x.params.hasCursor:
		p, err = h.cursorPage(x, pl)
	default:
		p, err = h.indexPage(x, pl)
	}
	if err != nil {
		return err
	}
	if x.items = p.items; p.items > 0 {
		h.show(x.client, p.view)
	}
	if x.r.Method != http.MethodPost {
		header := x.w.Header()
		header["Last-Modified"] = x.field(0, h.httpTime(p.view.LastModified()))
		if !x.params.hasCursor {
			header["Etag"] = x.field(1, p.tag(pl))
		}
		if x.notModified() {
			return nil
		}
	}
	sendPage(x, &p, pl.projection)
	return nil
}

// plan compiles a query.
func (h *Handler) plan(c *client, name string, types []directory.Type, p *params) (pl plan, err *scimError) {
	pl = plan{name: name, types: types}
	key := append(make([]byte, 0, 256), c.scope[:]...)
	key = append(key, name...)
	part := func(name string, text []byte) { key = appendQuoted(append(append(key, '\n'), name...), text) }
	if p.filter != "" {
		if pl.filter, err = h.attrs.compileFilter(types, p.filter); err != nil {
			return pl, err
		}
		part("filter", pl.filter.key())
	}
	if p.sortBy != "" || p.sortOrder != "" {
		if pl.order, err = h.attrs.compileSort(types, p.sortBy, p.sortOrder); err != nil {
			return pl, err
		}
	}
	if pl.order != nil {
		part("sort", []byte(pl.order.key()))
	}
	if pl.projection, err = h.project(types, p); err != nil {
		return pl, err
	}
	if pl.projection != nil {
		part("attributes", []byte(pl.projection.key()))
	}
	pl.asked, pl.bound = bind(key[len(c.scope):]), bind(key)
	return pl, nil
}

// appendQuoted appends what strconv.AppendQuote does, for less where all is ASCII.
func appendQuoted(dst, text []byte) []byte {
	before := len(dst)
	dst = append(dst, '"')
	for _, c := range text {
		switch {
		case c < ' ' || c > '~':
			return strconv.AppendQuote(dst[:before], string(text))
		case c == '"' || c == '\\':
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

// project compiles what is to be shown of resources; nil is all there is.
func (h *Handler) project(types []directory.Type, p *params) (*projection, *scimError) {
	if p.attributes == nil && p.excluded == nil {
		return h.shown, nil
	}
	return h.attrs.compileProjection(types, p.attributes, p.excluded)
}

// current gives the view that a new query of the client reads, and the
// unrestricted view that it is a part of.
func (h *Handler) current(c *client) (seen, whole *directory.View, err *scimError) {
	whole, fault := h.cfg.View()
	if fault != nil {
		return nil, nil, unready(fault.Error())
	}
	if fault := h.cfg.Ready(c.Sources); fault != nil {
		return nil, nil, unready(fault.Error())
	}
	seen, ok := c.view(whole)
	if !ok {
		return nil, nil, unready("a source has not been read completely yet")
	}
	return seen, whole, nil
}

// unready answers while there is no complete picture: never with an empty list,
// which an importer would take for everybody having left.
func unready(why string) *scimError {
	return newError(http.StatusServiceUnavailable, "", "the directory is not ready: "+why).
		with("Retry-After", strconv.Itoa(retryAfter))
}

// pageSize is how many resources the page may have.
func (h *Handler) pageSize(p *params) int {
	if !p.hasCount {
		return h.cfg.DefaultPageSize
	}
	return min(p.count, h.cfg.MaxPageSize)
}

// run finds what the plan asks for in a view.
func (pl plan) run(ctx context.Context, v *directory.View) (result, *scimError) {
	if pl.order != nil { // a filter alone looks at the clock itself
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, queryTime)
		defer cancel()
	}
	found, err := pl.find(ctx, v)
	if err != nil {
		return nil, queryFault(err)
	}
	return found, nil
}

// find looks for the plan's resources: type by type, or sorted together.
func (pl plan) find(ctx context.Context, v *directory.View) (result, error) {
	var subsets [directory.NumTypes][]uint32
	var until time.Time
	if pl.filter != nil {
		until = time.Now().Add(queryTime)
	}
	for _, t := range pl.types {
		var err error
		if subsets[t], err = pl.matching(ctx, v, t, until); err != nil {
			return nil, err
		}
	}
	if pl.order != nil {
		places, err := pl.order.places(ctx, v, pl.types, &subsets)
		if err != nil {
			return nil, err
		}
		return result{{n: len(places), chosen: places}}, nil
	}
	found := make(result, 0, len(pl.types))
	for _, t := range pl.types {
		if subsets[t] == nil {
			found = append(found, section{t: t, n: v.Len(t)})
		} else {
			found = append(found, section{n: len(subsets[t]), chosen: subsets[t]})
		}
	}
	return found, nil
}

// matching gives the places of the resources of one type that the filter holds
// for, in list order; nil for all of them. It looks until the given time.
func (pl plan) matching(ctx context.Context, v *directory.View, t directory.Type, until time.Time) ([]uint32, error) {
	if pl.filter == nil {
		return nil, nil
	}
	places, err := pl.filter.scan(ctx, v, t, until)
	if places == nil {
		places = []uint32{} // nil would mean all
	}
	return places, err
}

// queryFault makes an answer of a query that was given up.
func queryFault(err error) *scimError {
	var told *scimError
	switch {
	case errors.As(err, &told):
		return told
	case errors.Is(err, errScanTime), errors.Is(err, context.DeadlineExceeded):
		return tooMany("the query takes too long; narrow it by an indexed attribute such as userName, or leave the filter out")
	case errors.Is(err, context.Canceled): // nobody listens any more
		return newError(http.StatusServiceUnavailable, "", "the request was given up").with("Retry-After", strconv.Itoa(retryAfter))
	}
	panic(err)
}

// indexPage finds the page for startIndex and count (RFC 7644 §3.4.2.4), in the
// view of the walk that the request belongs to.
func (h *Handler) indexPage(x *exchange, pl plan) (page, *scimError) {
	now := x.started
	st := pl.step(x, x.params.startIndex, h.pageSize(&x.params))
	// HEAD looks without reading, and so does a count of 0.
	reads := x.r.Method != http.MethodHead && st.size > 0
	if st.start > 1 && reads {
		w, p, ok := x.client.session.resume(st, now)
		if !ok {
			return page{}, lostWalk()
		}
		if w != nil {
			x.walked = stepped
			if p.view != nil {
				return newPage(p, st.start, st.size), nil
			}
			return h.wake(x, pl, w, st)
		}
	}
	v, _, err := h.current(x.client)
	if err != nil {
		return page{}, err
	}
	found, err := pl.run(x.r.Context(), v)
	if err != nil {
		return page{}, err
	}
	p := pin{view: v, result: found}
	if reads && x.client.session.open(st, p, now) {
		x.walked = began
	}
	return newPage(p, st.start, st.size), nil
}

// step is the request as a step of a walk.
func (pl plan) step(x *exchange, start, size int) step {
	return step{
		query: pl.bound, asked: pl.asked, name: pl.name, whole: pl.filter == nil, delta: pl.filter.incremental(),
		start: start, size: size, peer: peer(x.r), agent: agent(x.r),
	}
}

// wake gives the page of a walk that sleeps, from the view that it began with.
func (h *Handler) wake(x *exchange, pl plan, w *walk, st step) (page, *scimError) {
	var p pin
	v, ok := h.cfg.ViewByID(w.status.View) // does not change
	if ok {
		found, err := pl.run(x.r.Context(), v)
		if err != nil {
			return page{}, err
		}
		p = pin{view: v, result: found}
	}
	if !x.client.session.wake(w, p) {
		return page{}, lostWalk()
	}
	return newPage(p, st.start, st.size), nil
}

// cursorPage finds the page for a cursor (RFC 9865).
func (h *Handler) cursorPage(x *exchange, pl plan) (page, *scimError) {
	now := time.Now()
	at, seen, whole, err := h.locate(x, pl, now)
	if err != nil {
		return page{}, err
	}
	key := resultKey{query: pl.bound, view: at.view}
	found, ok := h.sessions.recall(key, now)
	if !ok {
		if found, err = pl.run(x.r.Context(), seen); err != nil {
			return page{}, err
		}
	}
	p := newPage(pin{view: seen, result: found}, at.position+1, at.size)
	p.cursors = true
	if at.size == 0 {
		return p, nil
	}
	at.issued = now
	if end := at.position + p.items; end < p.total {
		h.sessions.hold(whole, now)
		h.sessions.keep(key, found, now)
		p.next = h.cursors.sealCursor(at.at(end))
	}
	if x.r.Method != http.MethodHead {
		if x.walked = stepped; x.client.session.byCursor(pl.step(x, at.position+1, at.size), at.view, p.total, now) {
			x.walked = began
		}
	}
	if at.position > 0 {
		p.previous = h.cursors.sealCursor(at.at(max(0, at.position-at.size)))
	}
	return p, nil
}

// at is the same cursor at another position.
func (c cursor) at(position int) cursor {
	c.position = position
	return c
}

// locate reads the request's cursor and finds its view; an empty one starts on
// the current view.
func (h *Handler) locate(x *exchange, pl plan, now time.Time) (at cursor, seen, whole *directory.View, err *scimError) {
	asked := -1
	if x.params.hasCount {
		asked = x.params.count
	}
	if x.params.cursor == "" {
		if seen, whole, err = h.current(x.client); err != nil {
			return cursor{}, nil, nil, err
		}
		at = cursor{query: pl.bound, view: whole.ID(), asked: asked, size: h.pageSize(&x.params)}
		return at, seen, whole, nil
	}
	at, ok := h.cursors.openCursor(x.params.cursor)
	switch {
	case !ok || at.query != pl.bound:
		return cursor{}, nil, nil, invalidCursor()
	case now.Sub(at.issued) > cursorLife:
		return cursor{}, nil, nil, expiredCursor()
	case at.asked != asked:
		return cursor{}, nil, nil, invalidCount(h.cfg.MaxPageSize)
	}
	if whole, ok = h.sessions.view(at.view); !ok {
		whole, ok = h.cfg.ViewByID(at.view)
	}
	if ok {
		seen, ok = x.client.view(whole)
	}
	if !ok {
		return cursor{}, nil, nil, expiredCursor()
	}
	return at, seen, whole, nil
}

// get answers a GET of one resource (RFC 7644 §3.4.1).
func (h *Handler) get(t directory.Type) answer {
	return func(x *exchange, segments []string) (err *scimError) {
		if x.params, err = parseQuery(x.r.URL.RawQuery, x.given[:0]); err != nil {
			return err
		}
		proj, err := h.project([]directory.Type{t}, &x.params)
		if err != nil {
			return err
		}
		v, _, err := h.current(x.client)
		if err != nil {
			return err
		}
		r, ok := v.ByID(segments[0])
		if !ok || r.Type() != t {
			return notFound("there is no " + t.String() + " with the id " + shown(segments[0]))
		}
		x.items = 1
		h.show(x.client, v)
		header := x.w.Header()
		header["Etag"] = x.field(1, r.Version())
		header["Last-Modified"] = x.field(0, h.httpTime(r.LastModified()))
		header["Content-Location"] = x.field(3, h.location(r))
		header["Location"] = header["Content-Location"] // as RFC 7644 §3.4.1 shows it
		if x.notModified() {
			return nil
		}
		sendResource(x, v, r, proj)
		return nil
	}
}
