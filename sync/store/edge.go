package store

import "errors"

// Join implements [Tx].
func (r *round) Join(group, member, memberType string) (changed bool, err error) {
	defer r.leave("storing a membership", &err)
	if err := r.enter(); err != nil {
		return false, err
	}
	if group == "" || member == "" {
		return false, errNoID
	}
	g, freshGroup, err := r.refer(group)
	if err != nil {
		return false, err
	}
	n, freshMember, err := r.refer(member)
	if err != nil {
		return false, err
	}
	at := ends{g, n}
	var old *stagedEdge
	if !freshGroup && !freshMember {
		if old, err = r.edge(at); err != nil {
			return false, err
		}
	}
	e := &stagedEdge{m: r.nextM, typ: memberType}
	if old != nil {
		e.m = old.m
	} else if r.nextM++; r.nextM > 1<<edgeBits {
		return false, errors.New("the source has named more memberships than can be numbered")
	}
	r.reads[1].seeEdge(e.m)
	if old != nil && *old == *e {
		return false, nil
	}
	r.changed = true
	r.stage.putEdge(at, e)
	return true, r.makeRoom()
}

// Leave implements [Tx].
func (r *round) Leave(group, member string) (changed bool, err error) {
	defer r.leave("ending a membership", &err)
	if err := r.enter(); err != nil {
		return false, err
	}
	if group == "" || member == "" {
		return false, errNoID
	}
	g, known, err := r.lookup(group)
	if !known || err != nil {
		return false, err
	}
	n, known, err := r.lookup(member)
	if !known || err != nil {
		return false, err
	}
	at := ends{g, n}
	old, err := r.edge(at)
	if old == nil || old.ended || err != nil {
		return false, err
	}
	return true, r.part(at, old)
}

// part ends a membership.
func (r *round) part(at ends, old *stagedEdge) error {
	r.changed = true
	r.stage.putEdge(at, &stagedEdge{m: old.m, typ: old.typ, ended: true})
	return r.makeRoom()
}

// edge gives a membership as the round has it so far, nil if there is none.
func (r *round) edge(at ends) (*stagedEdge, error) {
	if e := r.stage.edges[at]; e != nil {
		return e, nil
	}
	if r.seen != nil && !r.seen.edges.mayHave(r.seen.hashEdge(at)) {
		return nil, nil
	}
	for _, schema := range r.schemas() {
		var e stagedEdge
		var typ any
		found, err := r.one("SELECT m, type, ended FROM "+schema+".edges WHERE grp = ? AND member = ?",
			[]any{r.ref(at.group), r.ref(at.member)}, &e.m, &typ, &e.ended)
		if err != nil {
			return nil, err
		}
		if found {
			e.m -= edgeSpan(r.source).first
			e.typ, err = decodeType(typ)
			return &e, err
		}
	}
	return nil, nil
}
