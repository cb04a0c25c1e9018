package admin

import (
	"fmt"
	"net/http"
)

// rehearseImport is for programs: nothing is changed, so it is a GET.
func (h *handler) rehearseImport(w http.ResponseWriter, r *http.Request) {
	limit, err := numbers(r, "limit")
	if as := r.FormValue("as"); err == nil && as == "" {
		err = fmt.Errorf("as names no platform")
	}
	if err != nil {
		problem(w, http.StatusBadRequest, err)
		return
	}
	report, err := h.backend.RehearseImport(r.Context(), r.FormValue("as"), r.FormValue("client"), int(limit[0]))
	answer(w, report, err)
}
