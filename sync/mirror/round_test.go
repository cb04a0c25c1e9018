package mirror_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scimbridge/scim/mapping"
	"scimbridge/sync/graph/graphtest"
	"scimbridge/sync/mirror"
	"scimbridge/sync/store"
)

// A round that is cut off ends there and then: while Graph is slow, while it asks
// to wait, between pages; and the loop while it rests. Nothing has changed by it,
// and the next round finds what the first would have.
func TestRoundsEndWhenTheyAreCutOff(t *testing.T) {
	for name, fault := range map[string]graphtest.Fault{
		"a slow tenant":           graphtest.Slow(time.Second),
		"a tenant that throttles": graphtest.Throttled(graphtest.RetrySeconds, 40*time.Second).Chance(0.5),
		"a tenant that is away":   graphtest.Unavailable(30 * time.Second),
	} {
		for _, full := range []bool{false, true} {
			moments := []int{0, 1, 4}
			if testing.Short() {
				moments = moments[1:2]
			}
			for _, after := range moments {
				synctest.Test(t, func(t *testing.T) {
					tenant, users, _ := company(30)
					w := newWorld(t, tenant, nil)
					w.round()
					before := w.content()
					tenant.RemoveUser(users[0])
					tenant.Inject(fault.Forever())
					ctx, cancel := context.WithCancel(t.Context())
					done := make(chan error, 1)
					go func() {
						_, err := w.mirror.Refresh(ctx, mirror.Options{Full: full})
						done <- err
					}()
					time.Sleep(time.Duration(after)*300*time.Millisecond + time.Millisecond)
					cancel()
					synctest.Wait() // no time passes in it
					select {
					case err := <-done:
						if err != nil && !errors.Is(err, context.Canceled) {
							t.Errorf("%s, cut off after %d: %v", name, after, err)
						}
						if err != nil && w.content() != before {
							t.Errorf("%s, cut off after %d: what is served changed", name, after)
						}
					default:
						t.Errorf("%s: the round goes on after it was cut off after %d", name, after)
						<-done
					}
					tenant.ClearFaults()
					if _, err := w.mirror.Refresh(t.Context(), mirror.Options{}); err != nil {
						t.Errorf("%s: the next round: %v", name, err)
					}
					w.counts(30, 29, 1)
				})
			}
		}
	}
}

func TestTheLoopEndsWhileItRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, _, _ := company(3)
		w := newWorld(t, tenant, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		ended := make(chan bool, 1)
		running.Go(func() { w.mirror.Run(ctx); ended <- true })
		time.Sleep(7 * time.Minute)
		cancel()
		synctest.Wait()
		select {
		case <-ended:
		default:
			t.Error("it goes on")
		}
		running.Wait()
	})
}

// Another question to Graph is asked by a full read, while the old picture stays
// served; and what is stored is not published before it was answered.
func TestAnotherSelectionIsReadInFull(t *testing.T) {
	tenant, users, _ := company(20)
	tenant.UpdateUser(users[3], map[string]any{"ageGroup": "Adult"})
	w := newWorld(t, tenant, nil)
	w.round()
	before := w.content()
	mapper, err := mapping.New(mapping.Config{BaseURL: baseURL, Users: mapping.Rules{Set: []mapping.Rule{{Path: "nickName", Expression: "user.ageGroup"}}}})
	if err != nil {
		t.Fatal(err)
	}
	w.configure(func(cfg *mirror.Config) {
		cfg.Mapper = mapper
		cfg.Graph = newClient(t, tenant, mapper)
	})
	if report, err := w.mirror.Publish(t.Context()); err != nil || report.Outcome != mirror.Unchanged {
		t.Errorf("before it was asked: %s, %v", report.Outcome, err)
	}
	tenant.Inject(graphtest.Status(503, true).On("users").Forever())
	w.refresh(mirror.Options{}, mirror.Failed)
	if w.content() != before {
		t.Error("what is served changed before it was asked")
	}
	tenant.ClearFaults()
	if report := w.round(); !report.FullUsers || report.Changes[0].Changed != 1 || report.Changes[0].Lost() != 0 {
		t.Errorf("the round is %+v", report)
	}
	w.counts(20, 20, 1)
	if report := w.refresh(mirror.Options{}, mirror.Unchanged); report.Full() {
		t.Error("it is read in full again")
	}
}

// What deltas never told is found by the comparison, counted and mended; what the
// tenant changed meanwhile is none of it.
func TestDriftIsCounted(t *testing.T) {
	tenant, users, _ := company(20)
	w := newWorld(t, tenant, nil)
	w.round()
	tenant.SetUser(map[string]any{"id": users[2], "jobTitle": "Pilot"})
	if report := w.refresh(mirror.Options{Full: true}, mirror.Published); report.Drift != 0 || !report.Full() {
		t.Errorf("a change is taken for drift: %+v", report)
	}
	// A delta that is lost on its way: the cursor is past it.
	tenant.SetUser(map[string]any{"id": users[5], "jobTitle": "Captain"})
	tenant.RemoveUser(users[6])
	w.round()
	tx, err := w.store.Begin(t.Context(), "contoso")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Put("user", users[5], []byte(`{"id":"`+users[5]+`","userPrincipalName":"x@contoso.example"}`)); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	report := w.refresh(mirror.Options{Full: true}, mirror.Unchanged) // of what is served
	if report.Drift != 1 || w.mirror.Status().Drift != 1 {
		t.Errorf("drift is %d, in all %d, want 1", report.Drift, w.mirror.Status().Drift)
	}
	if u, _ := w.user(users[5]); u.Title != "Captain" {
		t.Errorf("it is served as %+v", u)
	}
}

// A committing store says when a round is committed.
type committing struct {
	store.Store
	commit func()
}

func (c *committing) Begin(ctx context.Context, source string) (store.Tx, error) {
	tx, err := c.Store.Begin(ctx, source)
	return committingTx{tx, c}, err
}

type committingTx struct {
	store.Tx
	of *committing
}

func (tx committingTx) Commit() error {
	tx.of.commit()
	return tx.Tx.Commit()
}

// What is stored does not change under an approval, or a start, that renders it
// while a round comes to its end: half of the picture would be of another state.
func TestNobodyRendersWhileARoundIsCommitted(t *testing.T) {
	tenant, users, _ := company(10)
	w := newWorld(t, tenant, nil)
	var m *mirror.Mirror
	commits := 0
	cfg := w.cfg
	cfg.Store = &committing{w.store, func() {
		if commits++; m.MayPublish() {
			t.Errorf("commit %d: what is stored may be rendered meanwhile", commits)
		}
	}}
	m = mirror.New(cfg)
	for _, full := range []bool{false, false, true} {
		tenant.RemoveUser(users[commits])
		if _, err := m.Refresh(t.Context(), mirror.Options{Full: full}); err != nil {
			t.Fatal(err)
		}
	}
	if commits < 3 {
		t.Errorf("%d rounds were committed, want one for each refresh at least", commits)
	}
}
