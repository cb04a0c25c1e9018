package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"scimbridge/cmd/internal/words"
	"scimbridge/sync/mirror"
)

// ErrNoClient is wrapped by errors about a client that there is not.
var ErrNoClient = errors.New("there is no client")

// Narrowings is the part of a Backend that takes sources from a client's sight.
type Narrowings interface {
	// ApproveClient takes those sources from a client's sight that its list no
	// longer has: the given ones, or with none all.
	ApproveClient(ctx context.Context, client string, sources []string, by string) (Narrowing, error)
	// HeldFrom says, source by source, what ApproveClient would take from a client.
	// list bounds how many are named of each; 0 is all.
	HeldFrom(client string, list int) ([]*mirror.Diff, error)
}

// mountNarrowings adds the paths of this file.
func (h *handler) mountNarrowings(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/clients/{client}/held", h.heldFrom)
	mux.HandleFunc("POST /api/v1/clients/{client}/approve", h.approveClient)
}

// HeldText words what is held from the client; empty: nothing.
func (c *ClientStatus) HeldText() string { return HeldText(c.Held) }

// A HeldSource is a source that a client would lose.
type HeldSource struct {
	Source      string `json:"source"`
	Users       int    `json:"users"`
	ActiveUsers int    `json:"activeUsers"`
	Groups      int    `json:"groups"`
	Left        bool   `json:"left,omitempty"` // it is no longer in the file at all
}

// HeldText words sources with what they hold.
func HeldText(held []HeldSource) string {
	var parts []string
	for _, h := range held {
		parts = append(parts, fmt.Sprintf("%s (%s, %s)", h.Source, words.Count(h.Users, "user"), words.Count(h.Groups, "group")))
	}
	return strings.Join(parts, ", ")
}

// A Narrowing is what a client no longer sees.
type Narrowing struct {
	Client  string       `json:"client"`
	Sources []HeldSource `json:"sources"`
}

func (h *handler) approveClient(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		problem(w, http.StatusBadRequest, err)
		return
	}
	done, err := h.backend.ApproveClient(r.Context(), r.PathValue("client"), r.Form["source"], orderedBy(r))
	if browser(r) {
		h.back(w, err)
		return
	}
	answer(w, done, err)
}

func (h *handler) heldFrom(w http.ResponseWriter, r *http.Request) {
	n, err := numbers(r, "list")
	if err != nil {
		problem(w, http.StatusBadRequest, err)
		return
	}
	diffs, err := h.backend.HeldFrom(r.PathValue("client"), int(n[0]))
	answer(w, diffs, err)
}

// Reloaded is the verdict on a configuration that was taken.
type Reloaded struct {
	Outcome string `json:"outcome"`
	// Held is what the file takes away and clients are shown until it is approved.
	Held []string `json:"held,omitempty"`
}

// heldNow words what the configuration in force takes from clients.
func (h *handler) heldNow() (all []string) {
	st := h.backend.Status()
	for i := range st.Clients {
		if c := &st.Clients[i]; len(c.Held) > 0 {
			all = append(all, fmt.Sprintf("client %s is still shown %s, which its list of sources no longer has; take that from it with: scim-bridge approve --client %[1]s", c.Name, c.HeldText()))
		}
	}
	for i := range st.Sources {
		if s := &st.Sources[i]; s.State == StateLeft {
			all = append(all, "source "+s.Name+": "+s.Error)
		}
	}
	return all
}
