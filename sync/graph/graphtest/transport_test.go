package graphtest_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scimbridge/sync/graph/graphtest"
)

func TestServerListensForGraphAndLoginApart(t *testing.T) {
	tenant := graphtest.NewTenant(graphtest.Options{Seed: seed})
	app := tenant.AddApp(graphtest.App{Secret: "s3cret", Consented: true, Permissions: everything})
	s := graphtest.NewServer(tenant)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, tenant: tenant, app: app}
	form := url.Values{"client_id": {app}, "client_secret": {"s3cret"}, "grant_type": {"client_credentials"}, "scope": {s.GraphURL() + "/.default"}}
	path := "/" + tenant.ID() + "/oauth2/v2.0/token"
	if status, body := w.post(s.LoginURL()+path, form); status != 200 {
		t.Errorf("login at its own base: %d %s", status, body)
	}
	if status, _ := w.post(s.GraphURL()+path, form); status != 401 {
		t.Errorf("login at Graph's base: %d", status)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := http.Get(s.GraphURL()); err == nil {
		t.Error("still there after Close")
	}
}

func TestTransportNeedsNoSocketAndNoRealTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := graphtest.NewCompany(graphtest.Options{Seed: seed, Calm: true}, 10, 0)
		app := tenant.AddApp(graphtest.App{Secret: "s3cret", Consented: true, Permissions: everything})
		client := &http.Client{Transport: graphtest.NewServer(tenant).Transport()}
		form := url.Values{"client_id": {app}, "client_secret": {"s3cret"}, "grant_type": {"client_credentials"}, "scope": {"https://graph.microsoft.com/.default"}}
		res, err := client.PostForm("https://login.test/"+tenant.ID()+"/oauth2/v2.0/token", form)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Token string `json:"access_token"`
		}
		raw, _ := io.ReadAll(res.Body)
		mustDecode(t, raw, &answer)
		get := func() (string, error) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://graph.test/v1.0/users/delta?$select=mail", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+answer.Token)
			res, err := client.Do(r)
			if err != nil {
				return "", err
			}
			body, err := io.ReadAll(res.Body)
			return string(body), err
		}
		if body, err := get(); err != nil || !strings.Contains(body, `"@odata.deltaLink":"https://graph.test/v1.0/users/delta?`) {
			t.Errorf("%v, %.300s", err, body)
		}
		tenant.Inject(graphtest.Slow(time.Hour))
		if began := time.Now(); true {
			if _, err := get(); err != nil || time.Since(began) != 16*time.Hour {
				t.Errorf("slow: %v after %v", err, time.Since(began))
			}
		}
		time.Sleep(time.Hour)
		if body, _ := get(); !strings.Contains(body, "InvalidAuthenticationToken") {
			t.Errorf("the token outlives its time: %.100s", body)
		}
	})
	for _, moment := range []graphtest.Moment{graphtest.BeforeBody, graphtest.WithinBody, graphtest.AfterBody} {
		w := faultWorld(t)
		w.tenant.Inject(graphtest.Reset(moment))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://graph.test/v1.0/users/delta", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+w.token)
		res, err := graphtest.NewServer(w.tenant).Transport().RoundTrip(r)
		if err == nil {
			_, err = io.ReadAll(res.Body)
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("reset %d: %v", moment, err)
		}
	}
}
