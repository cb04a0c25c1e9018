package storetest

import (
	"testing"

	"scimbridge/sync/store"
)

func fullReadAborted(t *testing.T, open Opener) {
	s := opened(t, open)
	round(t, s, "a", func(tx store.Tx) {
		wantChange(t, true)(tx.Put(store.User, ada, []byte("{}")))
		wantChange(t, true)(tx.Put(store.User, bob, []byte("{}")))
	})
	round(t, s, "a", func(tx store.Tx) {
		must(t, tx.BeginFull(store.User))
		wantChange(t, true)(tx.Put(store.User, bob, []byte("{1}")))
		objects, _, err := tx.Unseen(store.User)
		must(t, err)
		same(t, "unseen", objects, 1)
		for id, want := range map[string]bool{ada: false, bob: true, "nobody": false} {
			seen, err := tx.Seen(store.User, id)
			must(t, err)
			same(t, "seen", seen, want)
		}
		must(t, tx.AbortFull(store.User))
	})
	same(t, "users", users(t, s, 0), ada+" "+bob)
	src, err := s.Source(t.Context(), "a")
	must(t, err)
	same(t, "users", src.Users, 2)
	if !src.LastFull[store.User].IsZero() {
		t.Error("a full read that was given up counts")
	}
}

func epochs(t *testing.T, open Opener) {
	s := opened(t, open)
	epoch := func() string {
		round(t, s, "a", func(tx store.Tx) { wantChange(t, true)(tx.Put(store.User, ada, []byte("{}"))) })
		src, err := s.Source(t.Context(), "a")
		must(t, err)
		return src.Epoch
	}
	first := epoch()
	must(t, s.Close())
	s = opened(t, open)
	src, err := s.Source(t.Context(), "a")
	must(t, err)
	same(t, "epoch", src.Epoch, first)
	must(t, s.DropSource(t.Context(), "a"))
	if second := epoch(); second == first || second == "" {
		t.Errorf("the epochs are %q and %q", first, second)
	}
}

func clones(t *testing.T, open Opener) {
	s := opened(t, open)
	round(t, s, "a", func(tx store.Tx) { wantChange(t, true)(tx.Put(store.User, ada, []byte("{}"))) })
	before, err := s.Source(t.Context(), "a")
	must(t, err)
	c, err := s.Clone(t.Context())
	must(t, err)
	same(t, "users of the clone", users(t, c, 0), ada)
	round(t, c, "a", func(tx store.Tx) { wantChange(t, true)(tx.Put(store.User, bob, []byte("{}"))) })
	must(t, c.SetFrozen(t.Context(), "a", noon))
	same(t, "users of the clone", users(t, c, 0), ada+" "+bob)
	must(t, c.Close())
	after, err := s.Source(t.Context(), "a")
	must(t, err)
	same(t, "source", after, before)
	same(t, "users", users(t, s, 0), ada)
}
