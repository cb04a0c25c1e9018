package graphtest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// route finds the handler of a path below /v1.0.
func (c *call) route() (*answer, *refusal) {
	path := strings.Split(strings.Trim(strings.TrimPrefix(c.r.URL.Path, "/v1.0"), "/"), "/")
	last := path[len(path)-1]
	if path[0] == "$batch" && len(path) == 1 {
		return c.batch()
	}
	if c.r.Method != http.MethodGet {
		return nil, refuse(http.StatusMethodNotAllowed, codeBadRequest, "Specified HTTP method is not allowed for the request target.")
	}
	if k, ok := trackedKind(path[0]); ok && len(path) == 2 && last == "delta" {
		return c.delta(k)
	}
	path, byAppID := alternateKey(path)
	if _, refused := c.refusePossibly(occasion{collection: path[0], first: true, last: true}); refused != nil {
		return nil, refused
	}
	switch path[0] {
	case "users", "groups":
		k, _ := trackedKind(path[0])
		return c.collection(k, path[1:])
	case "organization":
		return c.organization(path[1:])
	case "directory":
		if slices.Equal(path, []string{"directory", "deletedItems", "microsoft.graph.user"}) {
			return c.deletedUsers()
		}
	case "servicePrincipals":
		return c.servicePrincipals(path[1:], byAppID)
	case "applications":
		return c.applications(path[1:])
	}
	return nil, refuse(http.StatusBadRequest, "BadRequest", fmt.Sprintf("Resource not found for the segment '%s'.", last))
}

func trackedKind(segment string) (kind, bool) {
	i := slices.Index(collections[:], segment)
	return kind(max(i, 0)), i >= 0
}

// mayRead is the permission that a collection needs
// (api-reference/v1.0/api/{user,group}-delta.md and -list.md).
func (c *call) mayRead(k kind) bool {
	if k == kindUser {
		return c.may("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
	}
	return c.may("GroupMember.Read.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
}

// mayselect refuses the whole request for a property that has a permission of
// its own.
func (c *call) mayselect(sel *selection) *refusal {
	own := map[string][]string{
		"employeeLeaveDateTime":    {"User-LifeCycleInfo.Read.All", "User-LifeCycleInfo.ReadWrite.All"},
		"signInActivity":           {"AuditLog.Read.All"},
		"customSecurityAttributes": {"CustomSecAttributeAssignment.Read.All"},
	}
	for _, name := range sel.names {
		if roles := own[name]; roles != nil && !c.may(roles...) {
			return refuseDenied()
		}
	}
	return nil
}

// collection answers everything below /users and /groups but delta.
func (c *call) collection(k kind, rest []string) (*answer, *refusal) {
	if !c.mayRead(k) {
		return nil, refuseDenied()
	}
	switch {
	case len(rest) == 0:
		return c.list(k)
	case len(rest) == 1 && rest[0] == "$count":
		return c.countObjects(k)
	case len(rest) > 2:
		return nil, refuse(http.StatusBadRequest, "BadRequest", fmt.Sprintf("Resource not found for the segment '%s'.", rest[2]))
	}
	c.t.mu.RLock()
	defer c.t.mu.RUnlock()
	n, ok := c.t.lookUp(k, rest[0])
	if !ok {
		return nil, refuseNotFound(rest[0])
	}
	if len(rest) == 1 {
		return c.entity(n)
	}
	switch {
	case k == kindUser && rest[1] == "manager":
		return c.managerEntity(n)
	case k == kindUser && rest[1] == "memberOf":
		return c.relation(n, c.t.groupsOf(n), rest[1])
	case k == kindGroup && rest[1] == "members":
		return c.relation(n, c.t.objects[n].group.members, rest[1])
	case k == kindGroup && rest[1] == "transitiveMembers":
		return c.relation(n, c.t.reach(n), rest[1])
	}
	return nil, refuse(http.StatusBadRequest, "BadRequest", fmt.Sprintf("Resource not found for the segment '%s'.", rest[1]))
}

// lookUp finds a live object by id; a user by userPrincipalName as well.
func (t *Tenant) lookUp(k kind, key string) (uint32, bool) {
	if n, ok := t.byID[strings.ToLower(key)]; ok {
		return n, t.objects[n].kind == k && t.objects[n].state == live
	}
	if k != kindUser || !strings.Contains(key, "@") {
		return 0, false
	}
	name := t.cats[kindUser].index["userPrincipalName"]
	want := string(appendString(nil, key))
	for n, o := range t.objects {
		if o.kind == kindUser && o.state == live && strings.EqualFold(string(t.pack.get(o.data, name)), want) {
			return uint32(n), true
		}
	}
	return 0, false
}

// groupsOf are the live groups that have the object as a direct member.
func (t *Tenant) groupsOf(n uint32) []uint32 {
	var groups []uint32
	for g, o := range t.objects {
		if o.group != nil && o.state == live && o.group.has(n) {
			groups = append(groups, uint32(g))
		}
	}
	return groups
}

// selected parses $select for a plain GET.
func (c *call) selected(k kind) (*selection, *refusal) {
	sel, refused := c.t.cats[k].parseSelect(c.query.Get("$select"), c.query.Has("$select"), false)
	if refused == nil {
		refused = c.mayselect(sel)
	}
	return sel, refused
}

// maxExpanded is how many members $expand=members gives at most
// (api-reference/v1.0/api/group-list.md).
const maxExpanded = 20

func (c *call) entity(n uint32) (*answer, *refusal) {
	o := c.t.objects[n]
	sel, refused := c.selected(o.kind)
	if refused != nil {
		return nil, refused
	}
	expand, refused := c.expands(o.kind)
	if refused != nil {
		return nil, refused
	}
	w := &writer{t: c.t, first: true}
	w.whole(o, sel, false)
	context := odataContext(c.base, collections[o.kind], sel) + "/$entity"
	body := append([]byte(`{"@odata.context":`), appendString(nil, context)...)
	body = append(body, ',')
	body = append(body, w.buf[1:]...)
	if expand {
		body = c.expand(body, o)
	}
	return jsonAnswer(body, 1), nil
}

// expands reads $expand: members of groups and managers of users can be had, but
// not with advanced queries (concepts/aad-advanced-queries.md).
func (c *call) expands(k kind) (bool, *refusal) {
	if !c.query.Has("$expand") {
		return false, nil
	}
	if c.advanced() {
		return false, refuse(http.StatusBadRequest, codeUnsupported, "Expand is not allowed with advanced queries.")
	}
	if what := c.query.Get("$expand"); (k != kindGroup || what != "members") && (k != kindUser || what != "manager") {
		return false, refuse(http.StatusBadRequest, codeBadRequest, "Parsing OData Select and Expand failed: $expand="+c.query.Get("$expand")+" is not supported here.")
	}
	return true, nil
}

// expand puts up to 20 members, or the manager as a whole, before an object's
// last brace.
func (c *call) expand(body []byte, o *object) []byte {
	w := &writer{t: c.t, buf: body[:len(body)-1], first: true}
	if o.kind == kindUser {
		if m := c.t.managerOf(o); m != nil {
			w.text(`,"manager":`)
			c.member(w, m, nil)
		}
		w.text(`}`)
		return w.buf
	}
	w.text(`,"members":[`)
	shown := 0
	for _, m := range o.group.members {
		if shown == maxExpanded || c.hidesMembers(o) {
			break
		}
		if c.t.objects[m].state == live {
			w.element()
			c.member(w, c.t.objects[m], nil)
			shown++
		}
	}
	w.text(`]}`)
	return w.buf
}

func (c *call) managerEntity(n uint32) (*answer, *refusal) {
	m := c.t.managerOf(c.t.objects[n])
	if m == nil {
		return nil, refuseNotFound("manager")
	}
	sel, refused := c.selected(kindUser)
	if refused != nil {
		return nil, refused
	}
	w := &writer{t: c.t, first: true}
	w.whole(m, sel, true)
	body := append([]byte(`{"@odata.context":`), appendString(nil, c.base+"/v1.0/$metadata#directoryObjects/$entity")...)
	body = append(body, ',')
	return jsonAnswer(append(body, w.buf[1:]...), 1), nil
}

// list answers GET /users and /groups.
func (c *call) list(k kind) (*answer, *refusal) {
	c.t.mu.RLock()
	defer c.t.mu.RUnlock()
	sel, refused := c.selected(k)
	if refused != nil {
		return nil, refused
	}
	expand, refused := c.expands(k)
	if refused != nil {
		return nil, refused
	}
	keep, refused := c.filter(k)
	if refused != nil {
		return nil, refused
	}
	show := func(w *writer, o *object) {
		w.whole(o, sel, false)
		if expand {
			w.buf = c.expand(w.buf, o)
		}
	}
	objects := c.t.listed(c.query.Get("$filter"), c.advanced() && c.query.Get("$count") == "true")
	numbers := func(yield func(uint32) bool) {
		for n := range objects {
			if !yield(uint32(n)) {
				return
			}
		}
	}
	visible := func(o *object) bool { return o.kind == k && o.state == live && keep(o) }
	return c.pageOf(objects, odataContext(c.base, collections[k], sel), numbers, visible, show)
}

// deletedUsers answers GET /directory/deletedItems/microsoft.graph.user.
func (c *call) deletedUsers() (*answer, *refusal) {
	if !c.mayRead(kindUser) {
		return nil, refuseDenied()
	}
	c.t.mu.RLock()
	defer c.t.mu.RUnlock()
	sel, refused := c.selected(kindUser)
	if refused != nil {
		return nil, refused
	}
	numbers := slices.Values(c.t.inBin(kindUser))
	upn := c.t.cats[kindUser].index["userPrincipalName"]
	show := func(w *writer, o *object) {
		begin := len(w.buf)
		w.whole(o, sel, false)
		name := string(c.t.pack.get(o.data, upn))
		if sel.has(upn) && len(name) > 1 {
			// In the bin, Entra puts the id before the sign-in name.
			prefixed := `"` + strings.ReplaceAll(o.id, "-", "") + name[1:]
			text := strings.Replace(string(w.buf[begin:]), `"userPrincipalName":`+name, `"userPrincipalName":`+prefixed, 1)
			w.buf = append(w.buf[:begin], text...)
		}
		n := c.t.byID[o.id]
		w.buf = append(w.buf[:len(w.buf)-1], `,"deletedDateTime":"`+c.t.deleted[n].UTC().Format("2006-01-02T15:04:05Z")+`"}`...)
	}
	return c.listPage(c.base+"/v1.0/$metadata#users", numbers, func(*object) bool { return true }, show)
}

func (t *Tenant) inBin(k kind) []uint32 {
	var numbers []uint32
	for n := range t.deleted {
		if t.objects[n].kind == k {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// relation answers a list of directory objects.
func (c *call) relation(of uint32, numbers []uint32, name string) (*answer, *refusal) {
	var sel *selection
	if c.query.Has("$select") {
		s, refused := c.t.cats[kindUser].parseSelect(c.query.Get("$select"), true, false)
		if refused != nil {
			return nil, refused
		}
		sel = s
	}
	visible := func(o *object) bool {
		return o.state == live && !(name != "memberOf" && c.hidesMembers(c.t.objects[of]))
	}
	return c.listPage(c.base+"/v1.0/$metadata#directoryObjects", slices.Values(numbers), visible,
		func(w *writer, o *object) { c.member(w, o, sel) })
}

// member renders a directory object as one of a mixed list. Of a type that the
// caller may not read only type and id come (concepts/permissions-overview.md,
// limited information).
func (c *call) member(w *writer, o *object, sel *selection) {
	if o.kind == kindUser && !c.mayRead(kindUser) || o.kind == kindGroup && !c.mayRead(kindGroup) {
		w.link(typeNames[o.kind], o.id, false)
		return
	}
	cat := w.t.cats[o.kind]
	own, _ := cat.parseSelect("", false, false)
	if sel != nil {
		own = &selection{wants: make([]bool, len(cat.names))}
		for _, name := range sel.names {
			if i, ok := cat.index[name]; ok {
				own.wants[i] = true
			}
		}
	}
	w.whole(o, own, true)
}

// Page sizes of lists (api-reference/v1.0/api/user-list.md), and of those with
// $expand, as Microsoft's known issues have it.
const (
	defaultTop  = 100
	maxTop      = 999
	expandedTop = 100
)

// LagLists has lists of users and groups show the tenant as it is at this moment
// from now on, as a replica does that does not follow: plain ones, those that are
// advanced queries, which Graph answers from an index, or both. With false and
// false they show it as it is again. What is read by id, and deltas, never lag so.
func (t *Tenant) LagLists(plain, advanced bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lagging = [2][]*object{}
	for i, lag := range []bool{plain, advanced} {
		for _, o := range t.objects {
			if lag {
				then := *o
				t.lagging[i] = append(t.lagging[i], &then)
			}
		}
	}
}

// listed are the objects that lists show.
func (t *Tenant) listed(filter string, advanced bool) []*object {
	which := t.lagging[0]
	if advanced {
		which = t.lagging[1]
	}
	if which != nil && !strings.HasPrefix(filter, "id eq ") {
		return which
	}
	return t.objects
}

// listPage renders one page of a list, in the order of the numbers.
func (c *call) listPage(context string, numbers func(func(uint32) bool), visible func(*object) bool, show func(*writer, *object)) (*answer, *refusal) {
	return c.pageOf(c.t.objects, context, numbers, visible, show)
}

func (c *call) pageOf(objects []*object, context string, numbers func(func(uint32) bool), visible func(*object) bool, show func(*writer, *object)) (*answer, *refusal) {
	top, after, refused := c.paging()
	if refused != nil {
		return nil, refused
	}
	w := &writer{t: c.t, first: true}
	shown, total, next := 0, 0, uint32(0)
	counting := c.query.Get("$count") == "true" && c.advanced()
	for n := range numbers {
		if !visible(objects[n]) {
			continue
		}
		total++
		switch {
		case n < after:
		case shown < top:
			w.element()
			show(w, objects[n])
			shown++
		case next == 0:
			next = n
		}
		if next != 0 && !counting {
			break
		}
	}
	return jsonAnswer(c.envelope(context, w.buf, next, total, counting), shown), nil
}

func (c *call) envelope(context string, elements []byte, next uint32, total int, counting bool) []byte {
	body := append([]byte(`{"@odata.context":`), appendString(nil, context)...)
	if counting {
		body = append(body, `,"@odata.count":`...)
		body = strconv.AppendInt(body, int64(total), 10)
	}
	if next != 0 {
		q := url.Values{}
		for k, v := range c.query {
			q[k] = v
		}
		q.Set("$skiptoken", c.t.seal.seal(sealList, listToken{Path: c.r.URL.Path, After: next}))
		body = append(body, `,"@odata.nextLink":`...)
		body = appendString(body, c.base+c.r.URL.EscapedPath()+"?"+strings.ReplaceAll(q.Encode(), "%24", "$"))
	}
	body = append(body, `,"value":[`...)
	return append(append(body, elements...), "]}"...)
}

func (c *call) paging() (top int, after uint32, refused *refusal) {
	top = defaultTop
	if c.query.Has("$top") {
		n, err := strconv.Atoi(c.query.Get("$top"))
		if err != nil || n < 1 || n > maxTop {
			return 0, 0, refuse(http.StatusBadRequest, codeBadRequest, fmt.Sprintf("Invalid page size specified: '%s'. Must be between 1 and 999 inclusive.", c.query.Get("$top")))
		}
		top = n
	}
	if c.query.Has("$expand") {
		top = min(top, expandedTop)
	}
	if c.query.Has("$skiptoken") {
		var token listToken
		if !c.t.seal.open(sealList, c.query.Get("$skiptoken"), &token) || token.Path != c.r.URL.Path {
			return 0, 0, refuse(http.StatusBadRequest, "Directory_InvalidPageToken", "The specified page token is not valid.")
		}
		after = token.After
	}
	return top, after, nil
}

// countObjects answers GET /users/$count as plain text.
func (c *call) countObjects(k kind) (*answer, *refusal) {
	if !c.advanced() {
		return nil, refuse(http.StatusBadRequest, codeBadRequest, "$count is not currently supported.")
	}
	c.t.mu.RLock()
	defer c.t.mu.RUnlock()
	keep, refused := c.filter(k)
	if refused != nil {
		return nil, refused
	}
	if !c.query.Has("$filter") {
		return countAnswer(c.t.count[k]), nil
	}
	n := 0
	for _, o := range c.t.objects {
		if o.kind == k && o.state == live && keep(o) {
			n++
		}
	}
	return countAnswer(n), nil
}
