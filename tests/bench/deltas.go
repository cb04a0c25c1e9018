package main

import (
	"context"
	"fmt"
	"time"
)

// A cost is what delta rounds took in one world.
type cost struct {
	wall, cpu, written, requests series
}

// deltas measures delta rounds, the sizes taking turns.
func (b *bench) deltas(ctx context.Context) error {
	costs := make([]cost, len(b.worlds))
	for i := range b.rounds + 1 {
		for k, w := range b.worlds {
			if err := w.delta(ctx, &costs[k]); err != nil {
				return fmt.Errorf("a delta round of %d people: %w", w.people, err)
			}
			if i == 0 {
				costs[k] = cost{} // the first warms up
			}
		}
	}
	t := b.report.table("rounds", fmt.Sprintf("%d changes, people", deltaChanges), "wall", "CPU", "CPU on average", "written", "written on average", "÷ smallest: wall, CPU, written", "requests")
	for k, w := range b.worlds {
		c, least := costs[k], costs[0]
		t.row(thousands(w.people), c.wall.show(duration), c.cpu.show(duration), duration(c.cpu.mean()), c.written.show(bytesOf), bytesOf(c.written.mean()),
			fmt.Sprintf("%s, %s, %s", times(c.wall.median()/least.wall.median()), times(c.cpu.median()/least.cpu.median()), times(c.written.median()/least.written.median())),
			number(c.requests.median()))
		b.report.curve("delta round", "s", w.people, c.wall.median())
	}
	return nil
}

// delta measures one round.
func (w *world) delta(ctx context.Context, c *cost) error {
	w.change()
	cpu, written, requests := w.proc.cpu(), w.proc.written(), len(w.tenant.Journal())
	begun := time.Now()
	if err := w.round(ctx); err != nil {
		return err
	}
	c.wall = append(c.wall, time.Since(begun).Seconds())
	c.cpu = append(c.cpu, (w.proc.cpu() - cpu).Seconds())
	c.written = append(c.written, float64(w.proc.written()-written))
	c.requests = append(c.requests, float64(len(w.tenant.Journal())-requests))
	return nil
}

// mapping measures a change that has everybody rendered again.
func (b *bench) mapping(ctx context.Context) error {
	t := b.report.table("mapping", "people", "everybody rendered again", "CPU", "own memory at most", "requests to Graph")
	for _, w := range b.worlds {
		if err := w.await(ctx); err != nil {
			return err
		}
		before, err := w.get(ctx, "/Users?count=1", false)
		if err != nil {
			return err
		}
		before.Body.Close()
		peak, cpu, requests, begun := w.proc.peak(), w.proc.cpu(), len(w.tenant.Journal()), time.Now()
		// Every resource has this URL in it.
		if err := w.configure("  public_url: https://scim.example.com/scim/v2\n"); err != nil {
			return err
		}
		if _, err := w.ask(ctx, "POST", "/api/v1/reload"); err != nil {
			return err
		}
		for tag := before.Header.Get("ETag"); ; {
			after, err := w.get(ctx, "/Users?count=1", false)
			if err != nil {
				return err
			}
			after.Body.Close()
			if after.Header.Get("ETag") != tag {
				break
			}
			if err := pause(ctx, 5*time.Millisecond); err != nil {
				return err
			}
		}
		wall := time.Since(begun)
		t.row(thousands(w.people), seconds(wall), seconds(w.proc.cpu()-cpu), megabytes(peak().anon), fmt.Sprint(len(w.tenant.Journal())-requests))
	}
	return nil
}
