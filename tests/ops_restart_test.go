package tests

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"scimbridge/sync/graph/graphtest"
)

// Restarts under load, with the sockets that systemd holds: no connection is
// refused, no request fails, and an import that began before them ends after them,
// whole and on the picture on which it began.
func TestRestartsRefuseNobody(t *testing.T) {
	const people, restarts = 300, 2
	tenant := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 12}, people, 5))
	b := newBridge(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	base := "http://" + l.Addr().String() + "/scim/v2"
	b.write("config.yaml", strings.Replace(config("", tenant.source("contoso")), "  listen: 127.0.0.1:0\n", "  listen: systemd\n  public_url: "+base+"\n", 1))
	b.activate([]*os.File{socket}, "scim")
	b.ready()

	done := make(chan struct{})
	var load sync.WaitGroup
	var asked atomic.Int64
	for i := range 6 {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i < 4}}
		load.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := askOnce(client, base+"/Users?count=3"); err != nil {
					t.Errorf("a request during a restart: %v", err)
					return
				}
				asked.Add(1)
			}
		})
	}
	seen := make(map[string]bool)
	page := func(start int) {
		var list struct {
			TotalResults int
			Resources    []struct{ ID string }
		}
		b.scimGet(fmt.Sprintf("/Users?startIndex=%d&count=100", start), &list)
		if list.TotalResults != people || len(list.Resources) != 100 {
			t.Errorf("the page from %d has %d of %d", start, len(list.Resources), list.TotalResults)
		}
		for _, r := range list.Resources {
			if seen[r.ID] {
				t.Errorf("%s came twice", r.ID)
			}
			seen[r.ID] = true
		}
	}
	b.scim = base
	page(1)
	for i := range restarts {
		for u := range tenant.Users() { // the next daemon publishes another picture
			tenant.UpdateUser(u.ID, map[string]any{"jobTitle": fmt.Sprint("Restarter ", i)})
			break
		}
		tenant.SetUser(map[string]any{"displayName": fmt.Sprint("Newcomer ", i), "userPrincipalName": fmt.Sprintf("newcomer%d@contoso.com", i)})
		if status := b.stop(); status != 0 {
			t.Errorf("it ended with %d", status)
		}
		b.activate([]*os.File{socket}, "scim")
		b.scim = base
		before := asked.Load()
		b.eventually("the load goes on", func() error {
			if asked.Load() < before+20 {
				return fmt.Errorf("%d were answered", asked.Load()-before)
			}
			return nil
		})
		page(101 + 100*i)
	}
	close(done)
	load.Wait()
	if len(seen) != people {
		t.Errorf("the import has %d people, want %d", len(seen), people)
	}
	var st struct {
		Clients []struct {
			Imports []struct {
				State            string
				Pages, Resources int
			}
		}
	}
	b.adminGet("/api/v1/status", &st)
	if len(st.Clients) != 1 || len(st.Clients[0].Imports) == 0 || st.Clients[0].Imports[0].State != "finished" || st.Clients[0].Imports[0].Pages != 3 {
		t.Errorf("the status tells of %+v", st.Clients)
	}
}

// askOnce makes a request that must be answered well, and whole.
func askOnce(client *http.Client, url string) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+bridgeToken)
	req.Header.Set("User-Agent", "load")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || !json.Valid(body) {
		return fmt.Errorf("%s: %.200s", res.Status, body)
	}
	return nil
}
