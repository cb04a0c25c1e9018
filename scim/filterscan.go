package scim

import (
	"context"
	"errors"
	"runtime"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/scim/fair"
)

// errScanTime says that a scan took longer than it was allowed to.
var errScanTime = errors.New("the filter takes too long: no index serves it and too many resources must be looked at")

// scanStride is how many resources are looked at between two looks at the
// clock and the context.
const scanStride = 512

// scan gives the places, in list order, of the resources of type t for which the
// filter holds. It ends with the context's error when the request is given up,
// and with errScanTime, which is the client's to hear as tooMany, when it has
// gone on after until (zero: no limit).
func (f *filter) scan(ctx context.Context, v *directory.View, t directory.Type, until time.Time) (matching []uint32, err error) {
	s := f.subject()
	defer f.release(s)
	subset, found := f.candidates(v, t)
	if found {
		err = inStrides(ctx, len(subset), until, func(i, j int) {
			for _, position := range subset[i:j] {
				if s.held = v.At(t, position); f.types[t].holds(s, &s.held) {
					matching = append(matching, placeOf(t, position))
				}
			}
		})
	} else {
		err = inStrides(ctx, v.Len(t), until, func(i, j int) {
			for s.held = range v.Resources(t, i, j) {
				if f.types[t].holds(s, &s.held) {
					matching = append(matching, placeOf(t, s.held.Position()))
				}
			}
		})
	}
	if err != nil {
		return nil, err
	}
	return matching, nil
}

// turns bound the requests that look at everybody at the same time: more would
// only take the processors from each other.
var turns = make(chan struct{}, runtime.GOMAXPROCS(0))

// inStrides calls look for n things, i to j-1 at a time. It ends early with the
// context's error, or with errScanTime after until, if that is not zero. Where there
// are many it gives way now and then to others: short requests, and those that
// look at everybody, too.
func inStrides(ctx context.Context, n int, until time.Time, look func(i, j int)) error {
	if n > scanStride {
		turns <- struct{}{}
		defer func() { <-turns }()
	}
	var pace fair.Pace
	for i := 0; i < n; i += scanStride {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !until.IsZero() && time.Now().After(until) {
			return errScanTime
		}
		look(i, min(i+scanStride, n))
		if n > scanStride && pace.Keep() {
			<-turns
			turns <- struct{}{}
		}
	}
	return nil
}
