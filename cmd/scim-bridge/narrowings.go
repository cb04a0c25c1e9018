package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"scimbridge/cmd/internal/admin"
	"scimbridge/sync/mirror"
)

// What a shorter list of sources would take from a client.

func clientFlag(cmd *cobra.Command, client *string) {
	cmd.Flags().StringVar(client, "client", "", "`NAME` of a client whose list of sources in the file has become shorter")
}

// approveClient takes from a client what its list of sources no longer has: one
// source, or with an empty name all.
func (p *program) approveClient(ctx context.Context, client, source string, args []string, asJSON bool) error {
	if len(args) > 0 {
		return usageError{errors.New("a round is of a source: leave the number out, or --client")}
	}
	r, err := p.remote()
	if err != nil {
		return err
	}
	form := url.Values{"by": {operator()}}
	if source != "" {
		form.Set("source", source)
	}
	var done admin.Narrowing
	if err := r.call(ctx, http.MethodPost, "/api/v1/clients/"+url.PathEscape(client)+"/approve", form, &done); err != nil {
		return err
	}
	if asJSON {
		return p.printJSON(done)
	}
	_, err = fmt.Fprintf(p.stdout, "%s: no longer sees %s\n", done.Client, admin.HeldText(done.Sources))
	return err
}

// heldFrom shows whom approveClient would take from a client.
func (p *program) heldFrom(ctx context.Context, client string, limit int, asJSON bool) error {
	r, err := p.remote()
	if err != nil {
		return err
	}
	var diffs []*mirror.Diff
	if err := r.call(ctx, http.MethodGet, "/api/v1/clients/"+url.PathEscape(client)+"/held?list="+strconv.Itoa(limit), nil, &diffs); err != nil {
		return err
	}
	if asJSON {
		return p.printJSON(diffs)
	}
	if len(diffs) == 0 {
		_, err := fmt.Fprintf(p.stdout, "%s: nothing is held\n", client)
		return err
	}
	for _, diff := range diffs {
		if err := diff.WriteText(p.stdout); err != nil {
			return err
		}
	}
	return nil
}

// printHeldClients tells which clients are shown more than their lists have.
func (p *program) printHeldClients(st *admin.Status) {
	for i := range st.Clients {
		if c := &st.Clients[i]; len(c.Held) > 0 {
			fmt.Fprintf(p.stdout, "\nclient %s: %s: its list of sources no longer has %s, and it is shown them until that is approved\n"+
				"  see whom it concerns with: scim-bridge held --client %[1]s\n  take them from it with: scim-bridge approve --client %[1]s\n",
				c.Name, p.loud("HELD"), c.HeldText())
		}
	}
}
