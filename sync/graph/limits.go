package graph

import (
	"net/http"
	"strconv"
	"time"
)

const (
	// limitPercentage is the header with the share of the limit that is used,
	// sent from 0.8 on, up to 1.8 (learn.microsoft.com/graph/throttling-limits).
	limitPercentage = "x-ms-throttle-limit-percentage"
	// limitFree is the share below which that header is not sent.
	limitFree = 0.8
	// limitWindow is the time in which the directory's limit renews itself
	// (likewise, "Identity and access service limits").
	limitWindow = 10 * time.Second
	// limitPause bounds one wait for a limit that was not met yet.
	limitPause = time.Minute
)

// limitNear is how long it takes until the share of the limit that is used has
// come down to what is free of worry; 0 where it is.
func limitNear(h http.Header) time.Duration {
	used, err := strconv.ParseFloat(h.Get(limitPercentage), 64)
	if err != nil || !(used > limitFree) || used > 10 {
		return 0
	}
	return min(time.Duration((used-limitFree)*float64(limitWindow)), limitPause)
}

// rateLimited spreads the requests that are left over the time until the limit
// renews itself, once less than a fifth is left (RateLimit-Limit, -Remaining and
// -Reset as in draft-ietf-httpapi-ratelimit-headers-03; some services send them).
func rateLimited(h http.Header, now time.Time) time.Duration {
	remaining, err := strconv.Atoi(h.Get("RateLimit-Remaining"))
	if err != nil || remaining < 0 {
		return 0
	}
	if limit, err := strconv.Atoi(h.Get("RateLimit-Limit")); remaining > 0 && (err != nil || remaining > limit/5) {
		return 0
	}
	return min(parseRetryAfter(h.Get("RateLimit-Reset"), now)/time.Duration(remaining+1), limitPause)
}
