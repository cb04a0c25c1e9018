package main

import (
	"context"
	"fmt"
	"time"
)

// A side is one of the servers that are compared: what is asked of it, and where
// its rates go.
type side struct {
	load load
	into *series
}

// A shape is a kind of request.
type shape struct {
	title       string
	count       int // people in an answer
	gzip        bool
	connections int
	paths       []string // at the program and at the plain server
	files       []string // at nginx
}

// measure lets the sides take turns at a shape and gives them with their rates.
func (b *bench) measure(ctx context.Context, w *world, s shape) (bridge, nginx, plain series, err error) {
	sides := []side{{load{url: w.scim, paths: s.paths}, &bridge}}
	if b.site.process != nil {
		sides = append(sides, side{load{url: b.site.url, paths: s.files}, &nginx})
	}
	if b.plain != nil {
		sides = append(sides, side{load{url: b.plain.url, paths: s.paths}, &plain})
	}
	length := time.Duration(b.seconds * float64(time.Second))
	for range b.repeat {
		for _, side := range sides {
			side.load.gzip, side.load.connections = s.gzip, s.connections
			r, err := b.hit(ctx, side.load, length)
			if err != nil {
				return nil, nil, nil, err
			}
			*side.into = append(*side.into, r.perSecond())
		}
	}
	return bridge, nginx, plain, nil
}

// alone runs the program on the processor where the other servers are, as long
// as f takes.
func (b *bench) alone(ctx context.Context, w *world, f func() error) error {
	server, _ := processors()
	if err := w.restart(ctx, server); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	return w.restart(ctx, nil)
}

// serving measures list pages.
func (b *bench) serving(ctx context.Context) error {
	if b.wrk == "" {
		return nil
	}
	w := b.serve()
	t := b.report.table("serving", "pages of "+thousands(w.people)+" people", "scim-bridge, pages/s", "people/s", "nginx, pages/s", "÷ nginx", "plain server, pages/s", "÷ plain server")
	bars := b.report.bars("serving", "list pages a second, by one processor of a server (logarithmic)")
	return b.alone(ctx, w, func() error {
		for _, s := range w.listShapes() {
			bridge, nginx, plain, err := b.measure(ctx, w, s)
			if err != nil {
				return err
			}
			t.row(s.title, bridge.show(number), thousands(int(bridge.median()*float64(s.count))), nginx.show(number),
				bridge.over(nginx).show(times), plain.show(number), bridge.over(plain).show(times))
			bars.group(s.title, bridge.median(), nginx.median(), plain.median())
		}
		return nil
	})
}

// listShapes are the kinds of pages that are asked for.
func (w *world) listShapes() (shapes []shape) {
	for _, count := range []int{100, 1000} {
		for _, gzip := range []bool{false, true} {
			for _, connections := range []int{1, 8} {
				s := shape{count: count, gzip: gzip, connections: connections}
				s.title = fmt.Sprintf("count=%d, %s, %s", count, map[bool]string{false: "plain", true: "gzip"}[gzip], plural(connections, "connection"))
				for i := range min(samplePages, w.pageCount(count)) {
					if (i+1)*count > w.people {
						break // not a full one
					}
					s.paths = append(s.paths, pagePath(i, count))
					s.files = append(s.files, w.pageFile(i, count))
				}
				shapes = append(shapes, s)
			}
		}
	}
	return shapes
}

func plural(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprint(n, " ", word)
}

// lookups measures single people.
func (b *bench) lookups(ctx context.Context) error {
	if b.wrk == "" {
		return nil
	}
	w := b.serve()
	people, err := w.people1000(ctx)
	if err != nil {
		return err
	}
	byID, byName := shape{title: "by id"}, shape{title: "filter=userName eq"}
	for i, p := range people {
		byID.paths, byID.files = append(byID.paths, p.byID()), append(byID.files, fmt.Sprintf("/id/%d.json", i))
		byName.paths, byName.files = append(byName.paths, p.byName()), append(byName.files, fmt.Sprintf("/name/%d.json", i))
	}
	t := b.report.table("lookups", "one of "+thousands(w.people)+" people", "scim-bridge, requests/s", "nginx, requests/s", "÷ nginx", "plain server, requests/s", "÷ plain server")
	return b.alone(ctx, w, func() error {
		for _, s := range []shape{byID, byName} {
			for _, s.connections = range []int{1, 8} {
				bridge, nginx, plain, err := b.measure(ctx, w, s)
				if err != nil {
					return err
				}
				t.row(s.title+", "+plural(s.connections, "connection"), bridge.show(number), nginx.show(number), bridge.over(nginx).show(times),
					plain.show(number), bridge.over(plain).show(times))
			}
		}
		return nil
	})
}
