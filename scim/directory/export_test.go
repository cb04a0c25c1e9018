package directory

// SetFailpoint sets what is asked before and after each step that writes.
func (p *Picture) SetFailpoint(fail func(step string, done bool) error) { p.disk.failpoint = fail }

// SetLeastOverlay sets how many rows lie over the base at least before all are
// written anew.
func (p *Picture) SetLeastOverlay(rows int) { p.leastOverlay = rows }
