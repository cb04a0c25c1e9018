package consent

import (
	"net/url"
	"strings"
)

// maxPasted bounds a pasted answer, in bytes.
const maxPasted = 16 << 10

// How long a state of ours and a tenant's id are.
const stateLength, guidLength = 22, 36

// ParseAnswer reads an answer that somebody pasted, because the browser that got
// it could not reach us: the address that Microsoft sent the browser to, or its
// query alone. It puts up with what mail does to an address: lines that are
// wrapped and quoted, words around it, and a scanner of links that has wrapped
// the address into its own (…?url=). The error is a *Refusal.
func ParseAnswer(text string) (url.Values, error) {
	malformed := refuse(Malformed, "", "this is not the address that Microsoft sent the browser to",
		"copy the whole address from the browser's address bar; it has /consent/callback? and state= in it")
	if len(text) > maxPasted {
		return nil, malformed
	}
	text = unwrapped(text)
	const wrappings = 3 // one is usual; forwarded mail may have two
	for range wrappings {
		if _, after, ok := cutLast(text, "/callback?"); ok {
			text = after
		} else if _, after, ok := strings.Cut(text, "?"); ok {
			text = after
		}
		text, _, _ = strings.Cut(text, "#")
		query, err := url.ParseQuery(strings.Trim(text, `<>"'`))
		if err != nil {
			return nil, malformed
		}
		state := query["state"]
		if len(state) == 1 && len(state[0]) < stateLength && (query.Has("admin_consent") || query.Has("error")) {
			return nil, refuse(Malformed, "", "a part of the address is missing: its state has been cut short",
				"copy the address once more from the browser's address bar, to its very end")
		}
		if len(state) == 1 && len(state[0]) >= stateLength {
			// What follows is the mail's.
			query.Set("state", state[0][:stateLength])
			if tenant := query.Get("tenant"); len(tenant) > guidLength {
				query.Set("tenant", tenant[:guidLength])
			}
			return query, nil
		}
		if text = query.Get("url"); text == "" {
			break
		}
	}
	return nil, malformed
}

// unwrapped joins the lines of a mail, without the marks of quoted ones.
func unwrapped(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimLeft(strings.TrimSpace(line), "> "))
	}
	return strings.Join(strings.Fields(b.String()), "")
}

// cutLast is strings.Cut at the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
