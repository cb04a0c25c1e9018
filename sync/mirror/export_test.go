package mirror

import "time"

// Remaining is what is left of a wait by two clocks that began at 0.
func Remaining(wait, wall, steady time.Duration) time.Duration {
	return remaining(wait, clocks{}, clocks{wall: wall, steady: steady})
}

// Since is how long ago a stored time is.
func Since(t time.Time) time.Duration { return since(t) }

// MayPublish says whether somebody could begin to render and publish now.
func (m *Mirror) MayPublish() bool {
	if !m.publishing.TryLock() {
		return false
	}
	m.publishing.Unlock()
	return true
}
