package graphtest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// delta answers GET /users/delta and /groups/delta
// (concepts/delta-query-overview.md).
func (c *call) delta(k kind) (*answer, *refusal) {
	if !c.mayRead(k) {
		return nil, refuseDenied()
	}
	var r *round
	var page int
	var refused *refusal
	switch {
	case c.query.Has("$skiptoken"):
		r, page, refused = c.nextPage(k)
	case c.query.Get("$deltatoken") == "latest":
		return c.latest(k)
	case c.query.Get("$deltatoken") != "":
		r, refused = c.laterRound(k)
	default:
		r, refused = c.firstRound(k)
	}
	if refused != nil {
		return nil, refused
	}
	o := occasion{collection: collections[k], round: roundKind(r.full), first: page == 0, last: r.isLast(page)}
	faults, refused := c.refusePossibly(o)
	if refused != nil {
		return nil, refused
	}
	return c.page(r, page, faults), nil
}

func roundKind(full bool) RoundKind {
	if full {
		return FirstRound
	}
	return LaterRound
}

// firstRound begins a full read.
func (c *call) firstRound(k kind) (*round, *refusal) {
	sel, ids, refused := c.deltaOptions(k)
	if refused != nil {
		return nil, refused
	}
	return c.begin(roundRequest{kind: k, full: true, sel: sel, ids: ids})
}

func (c *call) begin(q roundRequest) (*round, *refusal) {
	faults, refused := c.refusePossibly(occasion{collection: collections[q.kind], round: roundKind(q.full), planning: true})
	if refused != nil {
		return nil, refused
	}
	q.faults, q.size = faults, c.t.opts.PageSize
	for _, name := range []string{"odata.maxpagesize", "maxpagesize"} {
		if v, ok := c.preference(name); ok {
			if n, err := strconv.Atoi(v); err == nil && n > 0 {
				q.size = min(q.size, n)
			}
		}
	}
	if v, _ := c.preference("return"); v == "minimal" {
		q.minimal = true
	}
	return c.t.plan(q), nil
}

// deltaOptions reads the options of a first request. $top is ignored, $expand
// and the rest are refused.
func (c *call) deltaOptions(k kind) (*selection, []string, *refusal) {
	for _, name := range []string{"$expand", "$orderby", "$search", "$count"} {
		if c.query.Has(name) {
			return nil, nil, refuse(http.StatusBadRequest, codeUnsupported, fmt.Sprintf("The query option '%s' is not supported with change tracking.", name))
		}
	}
	c.t.mu.RLock()
	sel, refused := c.t.cats[k].parseSelect(c.query.Get("$select"), c.query.Has("$select"), true)
	c.t.mu.RUnlock()
	if refused == nil {
		refused = c.mayselect(sel)
	}
	if refused != nil || !c.query.Has("$filter") {
		return sel, nil, refused
	}
	ids, ok := idFilter(c.query.Get("$filter"))
	if !ok {
		return nil, nil, refuse(http.StatusBadRequest, codeUnsupported, "Unsupported query: change tracking supports $filter by id only.")
	}
	if len(ids) > maxFilterIDs {
		return nil, nil, refuse(http.StatusBadRequest, codeUnsupported, fmt.Sprintf("Too many objects in $filter: at most %d can be tracked.", maxFilterIDs))
	}
	return sel, ids, nil
}

const maxFilterIDs = 50

// idFilter reads "id eq 'a' or id eq 'b'".
func idFilter(text string) ([]string, bool) {
	ids := []string{}
	for term := range strings.SplitSeq(text, " or ") {
		words := strings.Fields(strings.TrimSpace(term))
		if len(words) != 3 || words[0] != "id" || words[1] != "eq" || len(words[2]) < 3 ||
			words[2][0] != '\'' || words[2][len(words[2])-1] != '\'' {
			return nil, false
		}
		ids = append(ids, words[2][1:len(words[2])-1])
	}
	return ids, true
}

// laterRound begins a round from a deltaLink.
func (c *call) laterRound(k kind) (*round, *refusal) {
	var token deltaToken
	if !c.t.seal.open(sealDelta, c.query.Get("$deltatoken"), &token) || token.Kind != k {
		return nil, refuseDeltaToken()
	}
	if refused := c.sameOptions("$deltatoken", token.Select); refused != nil {
		return nil, refused
	}
	if c.now.Sub(token.At) > c.t.opts.DeltaLifetime || token.Epoch != c.t.deltaEpoch() {
		return nil, c.t.opts.ExpiredDelta.refusal(c)
	}
	c.t.mu.RLock()
	sel := c.t.cats[k].selectAgain(token.Select)
	c.t.mu.RUnlock()
	if refused := c.mayselect(sel); refused != nil {
		return nil, refused
	}
	return c.begin(roundRequest{kind: k, since: token.Seq, sel: sel, ids: token.IDs})
}

// nextPage goes on with a round.
func (c *call) nextPage(k kind) (*round, int, *refusal) {
	var token pageToken
	if !c.t.seal.open(sealPage, c.query.Get("$skiptoken"), &token) || token.Kind != k {
		return nil, 0, refuseDeltaToken()
	}
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	r := c.t.rounds.open[token.Round]
	if r == nil || c.now.Sub(token.At) > c.t.opts.PageLifetime || token.Epoch != c.t.rounds.epoch {
		return nil, 0, refusePage()
	}
	if refused := c.sameOptions("$skiptoken", r.sel.names); refused != nil {
		return nil, 0, refused
	}
	if r.used = c.now; r.isLast(token.Page) {
		r.ended = c.now
	}
	return r, token.Page, nil
}

// sameOptions refuses options beside a token, unless they repeat what the
// token says.
func (c *call) sameOptions(token string, selected []string) *refusal {
	for name, values := range c.query {
		switch {
		case name == token:
		case name == "$select" && slices.Equal(strings.Split(values[0], ","), selected):
		default:
			return refuse(http.StatusBadRequest, codeBadRequest, fmt.Sprintf("The query option '%s' differs from the one that the token was issued for. Options can be given in the first request only.", name))
		}
	}
	return nil
}

// latest answers $deltatoken=latest: a deltaLink from now on, and no data.
func (c *call) latest(k kind) (*answer, *refusal) {
	sel, ids, refused := c.deltaOptions(k)
	if refused != nil {
		return nil, refused
	}
	if _, refused := c.refusePossibly(occasion{collection: collections[k], round: FirstRound, first: true, last: true}); refused != nil {
		return nil, refused
	}
	c.t.mu.RLock()
	defer c.t.mu.RUnlock()
	r := &round{kind: k, full: true, sel: sel, ids: ids, start: c.t.seq, ends: []int{0}}
	return c.render(r, 0, nil), nil
}

// page renders one page of a round.
func (c *call) page(r *round, page int, faults []Fault) *answer {
	c.t.mu.RLock()
	defer c.t.mu.RUnlock()
	a := c.render(r, page, faults)
	if r.minimal {
		a.header.Set("Preference-Applied", "return=minimal")
	}
	return a
}

// render needs the tenant's read lock.
func (c *call) render(r *round, page int, faults []Fault) *answer {
	items := r.page(page)
	w := &writer{t: c.t, buf: make([]byte, 0, 512+len(items)*512), first: true}
	w.text(`{"@odata.context":`)
	w.quoted(odataContext(c.base, collections[r.kind], r.sel))
	links := c.links(r, page, faults)
	linksLast := !c.t.opts.Calm && page%2 == 1 // annotations may stand anywhere
	if !linksLast {
		w.text(links)
	}
	w.text(`,"value":[`)
	hide := c.hidesMembers
	if !disturbPage(w, r, items, faults, hide) {
		for _, it := range items {
			w.item(r, it, hide)
		}
	}
	w.text(`]`)
	if linksLast {
		w.text(links)
	}
	w.text(`}`)
	return jsonAnswer(w.buf, len(items))
}

// links are the nextLink or the deltaLink, as faults would have them.
func (c *call) links(r *round, page int, faults []Fault) string {
	here := c.base + "/v1.0/" + collections[r.kind] + "/delta?"
	next := ""
	if !r.isLast(page) {
		next = here + "$skiptoken=" + c.skipToken(r, page+1)
	}
	delta := here + "$deltatoken=" + c.deltaToken(r)
	if next != "" {
		delta = ""
	}
	for _, f := range faults {
		switch f.Kind {
		case FaultNoLinks:
			next, delta = "", ""
		case FaultBothLinks:
			next = orElse(next, here+"$skiptoken="+c.skipToken(r, page))
			delta = orElse(delta, here+"$deltatoken="+c.deltaToken(r))
		case FaultForeignLink:
			next, delta = strings.Replace(orElse(next, delta), c.base, f.Target, 1), ""
		case FaultLoopingLink:
			next, delta = c.base+c.r.URL.RequestURI(), ""
		}
	}
	out := ""
	if next != "" {
		out += `,"@odata.nextLink":` + string(appendString(nil, next))
	}
	if delta != "" {
		out += `,"@odata.deltaLink":` + string(appendString(nil, delta))
	}
	return out
}

// skipToken and deltaToken need the tenant's read lock.
func (c *call) skipToken(r *round, page int) string {
	return c.t.seal.seal(sealPage, pageToken{Kind: r.kind, Round: r.id, Page: page, At: c.now, Epoch: c.t.rounds.epoch})
}

func (c *call) deltaToken(r *round) string {
	return c.t.seal.seal(sealDelta, deltaToken{Kind: r.kind, Seq: r.start, Select: r.sel.names, IDs: r.ids, At: c.now, Epoch: c.t.epoch})
}

// orElse is a, or b where a is empty.
func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// hidesMembers reports whether a group's membership is hidden from the caller
// (api-reference/v1.0/resources/group.md, visibility).
func (c *call) hidesMembers(o *object) bool {
	visibility := c.t.pack.get(o.data, c.t.cats[kindGroup].index["visibility"])
	return string(visibility) == `"HiddenMembership"` && !c.may("Member.Read.Hidden")
}

// ExpireDeltaLinks makes every deltaLink handed out so far count as expired.
func (t *Tenant) ExpireDeltaLinks() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.epoch++
}

// ExpirePageLinks makes every nextLink handed out so far count as expired.
func (t *Tenant) ExpirePageLinks() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rounds.epoch++
}

func (t *Tenant) deltaEpoch() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.epoch
}
