package graphtest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// defaultRole is the app role of an assignment that names none
// (api-reference/v1.0/resources/approleassignment.md).
const defaultRole = "00000000-0000-0000-0000-000000000000"

// assignment is a user or group, by number, assigned to an application.
type assignment struct {
	principal uint32
	role      string
}

// Assign assigns users and groups to the application's Enterprise application
// with the default role. An assignment that there is already is left as it is.
func (t *Tenant) Assign(clientID string, principals ...string) {
	t.AssignRole(clientID, defaultRole, principals...)
}

// AssignRole is Assign with a role of the application's own: whoever has two
// roles is listed twice.
func (t *Tenant) AssignRole(clientID, role string, principals ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.mustApp(clientID)
	for _, id := range principals {
		one := assignment{t.mustPrincipal(id), role}
		if !slices.Contains(a.assigned, one) {
			a.assigned = append(a.assigned, one)
		}
	}
}

// Unassign takes all assignments of users and groups away.
func (t *Tenant) Unassign(clientID string, principals ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.mustApp(clientID)
	for _, id := range principals {
		n := t.mustPrincipal(id)
		a.assigned = slices.DeleteFunc(a.assigned, func(one assignment) bool { return one.principal == n })
	}
}

// Assigned are the live users and groups assigned to an application, by id.
func (t *Tenant) Assigned(clientID string) []Member {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var numbers []uint32
	for _, one := range t.mustApp(clientID).assigned {
		if !slices.Contains(numbers, one.principal) {
			numbers = append(numbers, one.principal)
		}
	}
	return t.membersOf(numbers)
}

func (t *Tenant) mustPrincipal(id string) uint32 {
	n, ok := t.byID[id]
	if !ok || t.objects[n].kind != kindUser && t.objects[n].kind != kindGroup {
		panic(fmt.Sprintf("graphtest: no user or group %s to be assigned", id))
	}
	return n
}

// byAlternateKey is the spelling of a service principal by its application's id
// (api-reference/v1.0/api/serviceprincipal-get.md).
var byAlternateKey = regexp.MustCompile(`^servicePrincipals\(appId='([0-9a-fA-F-]{36})'\)$`)

// alternateKey turns servicePrincipals(appId='…') into the segments of an
// address by id, of which the second is still the application's.
func alternateKey(path []string) (rest []string, byAppID bool) {
	if m := byAlternateKey.FindStringSubmatch(path[0]); m != nil {
		return append([]string{"servicePrincipals", m[1]}, path[1:]...), true
	}
	return path, false
}

// appRoleAssignedTo answers the list of who is assigned to an application: the
// clients of Microsoft Graph, the users and groups of any other.
func (c *call) appRoleAssignedTo(principal map[string]any) (*answer, *refusal) {
	for _, name := range []string{"$filter", "$search", "$orderby", "$expand"} {
		if c.query.Has(name) {
			return nil, refuse(http.StatusBadRequest, codeUnsupported, "The query option "+name+" is not supported for this query.")
		}
	}
	id := principal["id"].(string)
	all := c.assignments(func(*app) bool { return id == c.t.graphPrincipalID() })
	for _, a := range c.t.sortedApps() {
		if a.principalID != id {
			continue
		}
		for _, one := range a.assigned {
			if o := c.t.objects[one.principal]; o.state == live {
				all = append(all, c.assignedTo(a, o, one.role))
			}
		}
	}
	if !c.query.Has("$skiptoken") {
		all = c.leftOut(all)
	}
	return c.valuePage("servicePrincipals('"+id+"')/appRoleAssignedTo", all)
}

func (c *call) assignedTo(a *app, o *object, role string) map[string]any {
	kind := strings.ToUpper(typeNames[o.kind][:1]) + typeNames[o.kind][1:]
	name := c.t.export(o).Text("displayName")
	return map[string]any{
		"id": encodePart([]byte(a.principalID[:8] + o.id + role[:8])), "deletedDateTime": nil, "appRoleId": role,
		"createdDateTime": "2024-02-02T04:22:45.9480566Z", "principalDisplayName": name, "principalId": o.id,
		"principalType": kind, "resourceDisplayName": a.Name, "resourceId": a.principalID,
	}
}

// leftOut lets the faults of whole reads strike.
func (c *call) leftOut(all []map[string]any) []map[string]any {
	for _, f := range c.t.faults.strike(occasion{collection: "servicePrincipals", round: FirstRound, planning: true}) {
		switch f.Kind {
		case FaultEmpty:
			all = []map[string]any{}
		case FaultHalf:
			kept := []map[string]any{}
			for i := 1; i < len(all); i += 2 {
				kept = append(kept, all[i])
			}
			all = kept
		}
		c.faults = append(c.faults, f.Kind)
	}
	return all
}

// valuePage is one page of a collection, with $select honoured.
func (c *call) valuePage(set string, all []map[string]any) (*answer, *refusal) {
	top, after, refused := c.paging()
	if refused != nil {
		return nil, refused
	}
	from := min(int(after), len(all))
	to := min(from+top, len(all))
	var elements []byte
	for i, v := range all[from:to] {
		if i > 0 {
			elements = append(elements, ',')
		}
		elements = append(elements, mustJSON(c.selectFrom(v))...)
	}
	next := uint32(0)
	if to < len(all) {
		next = uint32(to)
	}
	return jsonAnswer(c.envelope(c.base+"/v1.0/$metadata#"+set, elements, next, len(all), false), to-from), nil
}
