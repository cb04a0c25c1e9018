package admin

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"scimbridge/sync/mirror"
)

// Generations is the part of a Backend that looks at what was, is and would be
// served.
type Generations interface {
	// Rehearse does a round that changes nothing, and says what a real one
	// would. list bounds how many changes are named; 0 is all.
	Rehearse(ctx context.Context, source string, full bool, list int) (Rehearsal, error)
	// Held says what approving the held round would change; nil: none is held.
	Held(ctx context.Context, source string, list int) (*mirror.Diff, error)
	// Diff says what changed between two kept generations; 0 is the current one.
	Diff(ctx context.Context, source string, from, to uint64, list int) (*mirror.Diff, error)
	// Kept lists the kept generations of a source, newest first.
	Kept(source string) ([]Generation, error)
	// Rollback serves a kept generation again, and freezes the source.
	Rollback(ctx context.Context, source string, generation uint64, by string) (Round, error)
}

// A Rehearsal is what a round would do.
type Rehearsal struct {
	Round Round        `json:"round"`
	Diff  *mirror.Diff `json:"diff"`
}

// A Generation is a published picture that is kept.
type Generation struct {
	Number    uint64    `json:"number"`
	Published time.Time `json:"published"`
	Users     int       `json:"users"`
	Groups    int       `json:"groups"`
	Current   bool      `json:"current,omitempty"`
}

// mountGenerations adds the paths of this file.
func (h *handler) mountGenerations(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/v1/sources/{source}/rehearse", h.rehearse)
	mux.HandleFunc("GET /api/v1/sources/{source}/held", h.held)
	mux.HandleFunc("GET /api/v1/sources/{source}/diff", h.diff)
	mux.HandleFunc("GET /api/v1/sources/{source}/generations", h.generations)
	mux.HandleFunc("POST /api/v1/sources/{source}/rollback", h.rollback)
}

func (h *handler) rehearse(w http.ResponseWriter, r *http.Request) {
	n, err := numbers(r, "list")
	if err != nil {
		problem(w, http.StatusBadRequest, err)
		return
	}
	full := r.FormValue("full")
	result, err := h.backend.Rehearse(r.Context(), r.PathValue("source"), full != "" && full != "0", int(n[0]))
	answer(w, result, err)
}

func (h *handler) held(w http.ResponseWriter, r *http.Request) {
	n, err := numbers(r, "list")
	if err != nil {
		problem(w, http.StatusBadRequest, err)
		return
	}
	diff, err := h.backend.Held(r.Context(), r.PathValue("source"), int(n[0]))
	answer(w, diff, err)
}

func (h *handler) diff(w http.ResponseWriter, r *http.Request) {
	n, err := numbers(r, "from", "to", "list")
	if err != nil {
		problem(w, http.StatusBadRequest, err)
		return
	}
	diff, err := h.backend.Diff(r.Context(), r.PathValue("source"), n[0], n[1], int(n[2]))
	answer(w, diff, err)
}

func (h *handler) generations(w http.ResponseWriter, r *http.Request) {
	kept, err := h.backend.Kept(r.PathValue("source"))
	answer(w, kept, err)
}

func (h *handler) rollback(w http.ResponseWriter, r *http.Request) {
	n, err := numbers(r, "generation")
	if err == nil && n[0] == 0 {
		err = fmt.Errorf("rollback needs the generation to go back to")
	}
	if err != nil {
		problem(w, http.StatusBadRequest, err)
		return
	}
	round, err := h.backend.Rollback(r.Context(), r.PathValue("source"), n[0], orderedBy(r))
	answer(w, round, err)
}

// numbers reads form values that are numbers, 0 where they are not given.
func numbers(r *http.Request, names ...string) ([]uint64, error) {
	values := make([]uint64, len(names))
	for i, name := range names {
		text := r.FormValue(name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%s %q is no number", name, text)
		}
		values[i] = n
	}
	return values, nil
}

// answer gives a result, or says what is wrong.
func answer(w http.ResponseWriter, result any, err error) {
	if err != nil {
		problem(w, refusal(err), err)
		return
	}
	reply(w, http.StatusOK, result)
}
