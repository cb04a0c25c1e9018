package directory

// SetFailpoint sets what is asked before and after each step that writes.
func (p *Picture) SetFailpoint(fail func(step string, done bool) error) { p.disk.failpoint = fail }
