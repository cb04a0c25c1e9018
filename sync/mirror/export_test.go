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

// Filters gives the filters of a scope; those that are advanced begin with a plus.
func Filters(s *Scope) (all []string) {
	f := s.filter()
	if f == nil {
		return nil
	}
	for _, list := range f.lists() {
		if list.Advanced {
			list.Text = "+" + list.Text
		}
		all = append(all, list.Text)
	}
	return all
}
