package graphtest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// bucket is Graph's token bucket of resource units for one application in one
// tenant: full at the start, refilled steadily.
type bucket struct {
	units float64
	at    time.Time
}

// quotaWindow is the time in which a bucket refills
// (concepts/throttling-limits.md, identity and access).
const quotaWindow = 10 * time.Second

// quota is the documented size of the bucket, by the number of users.
func (t *Tenant) quota() float64 {
	users := t.UserCount()
	switch {
	case t.opts.ResourceUnits > 0:
		return float64(t.opts.ResourceUnits)
	case users < 50:
		return 3500
	case users <= 500:
		return 5000
	}
	return 8000
}

// cost is the price of a request in resource units.
func (c *call) cost() int {
	path, _ := alternateKey(strings.Split(strings.Trim(strings.TrimPrefix(c.r.URL.Path, "/v1.0"), "/"), "/"))
	units := 1
	switch {
	case len(path) == 1 && path[0] == "users":
		units = 2
	case len(path) == 3 && path[0] == "groups" && path[2] == "members":
		units = 3
	case len(path) == 3 && path[0] == "groups" && path[2] == "transitiveMembers":
		units = 5
	case len(path) == 3 && path[2] == "memberOf", len(path) == 3 && path[2] == "appRoleAssignments":
		units = 2
	}
	if c.query.Has("$select") {
		units--
	}
	if c.query.Has("$expand") {
		units++
	}
	if top, err := strconv.Atoi(c.query.Get("$top")); err == nil && top < 20 {
		units--
	}
	return max(units, 1)
}

// throttle takes the price from the bucket. Refused requests count as well.
func (c *call) throttle() *refusal {
	c.units = c.cost()
	if !c.t.opts.Throttle {
		return nil
	}
	quota := c.t.quota()
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	key := c.claims.AppID + "/" + c.t.ID()
	b := c.s.throttles[key]
	if b == nil {
		b = &bucket{units: quota, at: c.now}
		c.s.throttles[key] = b
	}
	rate := quota / quotaWindow.Seconds()
	b.units = min(quota, b.units+c.now.Sub(b.at).Seconds()*rate)
	b.at = c.now
	b.units -= float64(c.units)
	c.percent = (quota - b.units) / quota
	if b.units >= 0 {
		return nil
	}
	b.units = max(b.units, -quota) // a storm does not lock the application out for ever
	wait := math.Ceil(-b.units/rate*1000) / 1000
	return refuseThrottled(strconv.FormatFloat(math.Max(wait, 0.001), 'f', 3, 64)).
		with("x-ms-throttle-scope", fmt.Sprintf("Tenant_Application/ReadWrite/%s/%s", c.claims.AppID, c.t.ID())).
		with("x-ms-throttle-information", "ResourceUnitLimitExceeded")
}
