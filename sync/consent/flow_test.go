package consent_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scimbridge/sync/consent"
	"scimbridge/sync/graph/graphtest"
)

// newFlow makes a flow over one application, and collects what it saves.
func newFlow(t *testing.T, app *consent.App) (*consent.Flow, *[]consent.Grant) {
	t.Helper()
	var saved []consent.Grant
	f := consent.New(consent.Config{
		App:  func(context.Context, string) (consent.App, error) { return *app, nil },
		Save: func(_ context.Context, _ string, g consent.Grant) error { saved = append(saved, g); return nil },
	})
	t.Cleanup(f.Close)
	return f, &saved
}

// begin opens a consent and gives the state in the address of Microsoft's page.
func begin(t *testing.T, f *consent.Flow) string {
	t.Helper()
	link, err := f.Begin(t.Context(), "contoso", "a test")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(link.URL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("redirect_uri") != redirect || q.Get("scope") != graphURL+"/.default" || len(q.Get("state")) < 22 {
		t.Errorf("Microsoft's page is asked with %v", q)
	}
	return q.Get("state")
}

func reason(err error) consent.Reason {
	var r *consent.Refusal
	if !errors.As(err, &r) {
		return ""
	}
	return r.Reason
}

// Every answer that is not a fresh yes for the right tenant is refused, for its
// own reason and with a next step.
func TestAnswersAreChecked(t *testing.T) {
	_, app := newApp(t, nil)
	good := func(state string) url.Values {
		return url.Values{"admin_consent": {"True"}, "tenant": {app.Graph.TenantID}, "state": {state}}
	}
	for name, x := range map[string]struct {
		answer func(state string) url.Values
		want   consent.Reason
	}{
		"a made-up state": {func(string) url.Values { return good("made-up-state-of-some-length-0123456789") }, consent.Forged},
		"no state": {func(state string) url.Values {
			v := good(state)
			v.Del("state")
			return v
		}, consent.Malformed},
		"declined": {func(state string) url.Values {
			return url.Values{"error": {"access_denied"}, "error_description": {"AADSTS65004: User declined"}, "admin_consent": {"True"}, "state": {state}}
		}, consent.Declined},
		"not an administrator": {func(state string) url.Values {
			return url.Values{"error": {"access_denied"}, "error_description": {"AADSTS90094: admin only"}, "state": {state}}
		}, consent.NotAdministrator},
		"another tenant": {func(state string) url.Values {
			v := good(state)
			v.Set("tenant", "11111111-2222-4333-8444-555555555555")
			return v
		}, consent.WrongTenant},
		"a tenant that is none": {func(state string) url.Values {
			v := good(state)
			v.Set("tenant", "<script>")
			return v
		}, consent.Malformed},
		"two states": {func(state string) url.Values {
			v := good(state)
			v.Add("state", "x")
			return v
		}, consent.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := newFlow(t, &app)
			_, err := f.Answer(t.Context(), x.answer(begin(t, f)))
			var r *consent.Refusal
			if reason(err) != x.want || !errors.As(err, &r) || r.What == "" || r.Next == "" {
				t.Errorf("refused for %q, want %q: %v", reason(err), x.want, err)
			}
		})
	}
	t.Run("the same answer twice", func(t *testing.T) {
		f, _ := newFlow(t, &app)
		state := begin(t, f)
		if _, err := f.Answer(t.Context(), good(state)); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Answer(t.Context(), good(state)); reason(err) != consent.Replayed {
			t.Errorf("the second time: %v", err)
		}
	})
	t.Run("too late", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, _ := newFlow(t, &app)
			state := begin(t, f)
			time.Sleep(consent.StateLifetime + time.Second)
			if _, err := f.Answer(t.Context(), good(state)); reason(err) != consent.Expired {
				t.Errorf("refused: %v", err)
			}
			f.Close()
		})
	})
}

// A grant that spreads slowly is waited for; only then is the consent saved.
func TestAGrantThatSpreadsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, app := newApp(t, func(a *graphtest.App) { a.Consented = false })
		f, saved := newFlow(t, &app)
		answer, err := f.Answer(t.Context(), url.Values{"admin_consent": {"True"}, "tenant": {tenant.ID()}, "state": {begin(t, f)}})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Minute, func() { tenant.Grant(app.Graph.ClientID, "User.Read.All", "GroupMember.Read.All") })
		waits := 0
		report, err := f.Settle(t.Context(), answer, func(p consent.Progress) {
			if p.Stage == consent.Spreading && !p.Next.IsZero() {
				waits++
			}
		})
		if err != nil || !report.OK() || waits < 3 {
			t.Fatalf("after %d waits: %+v, %v", waits, report, err)
		}
		if len(*saved) != 1 || (*saved)[0].TenantID != tenant.ID() {
			t.Errorf("saved is %+v", *saved)
		}
		f.Close()
	})
}

// A consent by which nothing can be read is not saved, however long it is
// waited for.
func TestAGrantThatNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant, app := newApp(t, func(a *graphtest.App) { a.Consented = false })
		f, saved := newFlow(t, &app)
		answer, err := f.Answer(t.Context(), url.Values{"admin_consent": {"True"}, "tenant": {tenant.ID()}, "state": {begin(t, f)}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Settle(t.Context(), answer, nil); reason(err) != consent.NotSpread {
			t.Errorf("refused: %v", err)
		}
		if len(*saved) != 0 {
			t.Errorf("saved is %+v", *saved)
		}
		f.Close()
	})
}

// A mailed link outlasts the process, without its secret being kept; it is good
// once all the same, and what is broken among the kept ones is left out.
func TestMailedLinksOutlastTheProcess(t *testing.T) {
	tenant, app := newApp(t, nil)
	var kept []consent.OpenLink
	flow := func() *consent.Flow {
		f := consent.New(consent.Config{
			App: func(context.Context, string) (consent.App, error) { return app, nil },
			// The first flow sees by itself that the tenant has granted everything.
			Save:     func(context.Context, string, consent.Grant) error { return nil },
			Remember: func(links []consent.OpenLink) error { kept = links; return nil }, Open: kept,
		})
		t.Cleanup(f.Close)
		return f
	}
	first := flow()
	mailed, err := first.BeginMailed(t.Context(), "contoso")
	if err != nil {
		t.Fatal(err)
	}
	own, err := first.HandOff(t.Context(), "contoso", "https://admin.example.com/consent/ask/")
	if err != nil {
		t.Fatal(err)
	}
	if begin(t, first); len(kept) != 2 {
		t.Fatalf("%d links are kept", len(kept))
	}
	u, err := url.Parse(mailed.URL)
	if err != nil {
		t.Fatal(err)
	}
	secret := own.URL[len("https://admin.example.com/consent/ask/"):]
	kept = append(kept, consent.OpenLink{Hash: "nonsense", Expires: time.Now().Add(time.Hour)},
		consent.OpenLink{Hash: strings.Repeat("ab", 32), Expires: time.Now().Add(-time.Hour)},
		consent.OpenLink{Hash: strings.Repeat("cd", 32), Expires: time.Now().Add(1000 * time.Hour)})
	second := flow()
	if _, err := second.HandedOff(t.Context(), secret); err != nil {
		t.Errorf("the page of the hand-off: %v", err)
	}
	answer := url.Values{"admin_consent": {"True"}, "tenant": {tenant.ID()}, "state": {u.Query().Get("state")}}
	if _, err := second.Answer(t.Context(), answer); err != nil {
		t.Errorf("the answer to the mailed link: %v", err)
	}
	if len(kept) != 1 {
		t.Errorf("%d links are kept after one was used", len(kept))
	}
	third := flow()
	if _, err := third.Answer(t.Context(), answer); err == nil {
		t.Error("the answer is taken a second time after a restart")
	}
}

// Whoever asks again and again does not spoil a link that is on its way to
// somebody.
func TestMailedLinksStayWhenManyAsk(t *testing.T) {
	tenant, app := newApp(t, nil)
	f := consent.New(consent.Config{
		App:  func(context.Context, string) (consent.App, error) { return app, nil },
		Save: func(context.Context, string, consent.Grant) error { return nil },
	})
	t.Cleanup(f.Close)
	mailed, err := f.BeginMailed(t.Context(), "contoso")
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := f.BeginAgain(t.Context(), "contoso", "somebody"); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(mailed.URL)
	if err != nil {
		t.Fatal(err)
	}
	answer := url.Values{"admin_consent": {"True"}, "tenant": {tenant.ID()}, "state": {u.Query().Get("state")}}
	if _, err := f.Answer(t.Context(), answer); err != nil {
		t.Errorf("the answer to the mailed link: %v", err)
	}
}
