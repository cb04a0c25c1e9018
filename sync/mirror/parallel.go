package mirror

import (
	"iter"
	"runtime"
	"sync"

	"scimbridge/scim/fair"
)

const (
	// batchSize is how many objects are handed over at a time.
	batchSize = 32
	// maxWorkers is how many processors map objects at most.
	maxWorkers = 8
)

// A batch is some of what inOrder works on.
type batch[T any] struct {
	items []T
	err   error         // that ended the source, behind the items
	done  chan struct{} // closed when all are worked on
}

// inOrder has work done on all that src gives, by all processors at once, and
// gives it on in the order of src. src is read ahead in a goroutine of its own,
// by a few batches and no more. An error of src comes last. Whoever leaves the
// loop early waits for those at work, so that nothing runs on behind it.
func inOrder[T any](src iter.Seq2[T, error], work func(*T)) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		workers := min(runtime.GOMAXPROCS(0), maxWorkers)
		todo := make(chan *batch[T])
		queue := make(chan *batch[T], 2*workers)
		stop := make(chan struct{})
		var group sync.WaitGroup
		defer group.Wait()
		defer close(stop)
		group.Go(func() {
			defer close(queue)
			defer close(todo)
			inBatches(src, func(b *batch[T]) bool {
				return send(queue, b, stop) && send(todo, b, stop)
			})
		})
		for range workers {
			group.Go(func() {
				var pace fair.Pace
				for b := range todo {
					for i := range b.items {
						work(&b.items[i])
						pace.Keep()
					}
					close(b.done)
				}
			})
		}
		for b := range queue {
			<-b.done
			for i := range b.items {
				if !yield(&b.items[i], nil) {
					return
				}
			}
			if b.err != nil {
				yield(nil, b.err)
				return
			}
		}
	}
}

// inBatches hands over what src gives, until it is not taken any more.
func inBatches[T any](src iter.Seq2[T, error], take func(*batch[T]) bool) {
	fresh := func() *batch[T] {
		return &batch[T]{items: make([]T, 0, batchSize), done: make(chan struct{})}
	}
	b := fresh()
	var pace fair.Pace
	for item, err := range src {
		pace.Keep()
		if err != nil {
			b.err = err
			break
		}
		if b.items = append(b.items, item); len(b.items) == batchSize {
			if !take(b) {
				return
			}
			b = fresh()
		}
	}
	take(b)
}

// send gives v to c, unless stop is closed first.
func send[T any](c chan<- T, v T, stop <-chan struct{}) bool {
	select {
	case c <- v:
		return true
	case <-stop:
		return false
	}
}
