package scim

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/time/rate"
)

// burstSeconds is for how long a client may save up requests: an importer that
// pauses between pages is not punished for then asking quickly.
const burstSeconds = 5

// limit takes one request from the client's allowance and shows the allowance
// in the answer's header, in the form that SailPoint's connector reads
// (x-rate-limit-reset is a Unix time in seconds). Beyond it the answer is 429.
func (s *session) limit(header http.Header, perSecond float64) *scimError {
	limiter := s.limiterFor(perSecond)
	if limiter == nil {
		return nil
	}
	now := time.Now()
	ok := limiter.AllowN(now, 1)
	left := limiter.TokensAt(now)
	full := (float64(limiter.Burst()) - left) / float64(limiter.Limit())
	header.Set("X-Rate-Limit-Limit", strconv.Itoa(limiter.Burst()))
	header.Set("X-Rate-Limit-Remaining", strconv.Itoa(int(max(left, 0))))
	header.Set("X-Rate-Limit-Reset", strconv.FormatInt(now.Add(time.Duration(full*float64(time.Second))).Unix()+1, 10))
	if ok {
		return nil
	}
	wait := strconv.Itoa(int(max(1, math.Ceil((1-left)/float64(limiter.Limit())))))
	return newError(http.StatusTooManyRequests, "", "too many requests; retry in "+wait+" s").
		with("Retry-After", wait).
		with("X-Rate-Limit-Retry-After-Seconds", wait)
}

// limiterFor gives the client's limiter, which outlives reloads that leave the
// rate as it is; nil for no bound.
func (s *session) limiterFor(perSecond float64) *rate.Limiter {
	if perSecond == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limiter == nil || s.limiter.Limit() != rate.Limit(perSecond) {
		s.limiter = rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond*burstSeconds)))
	}
	return s.limiter
}
