package consent

import (
	"encoding/hex"
	"fmt"
	"time"
)

// An OpenLink is a link that was mailed and is still good, without its secret:
// what has to be kept for it to outlast the process.
type OpenLink struct {
	// Hash is the SHA-256 of the link's secret, in hexadecimal.
	Hash string `json:"hash"`
	// OwnPage tells a link to a page of ours from one to Microsoft's.
	OwnPage bool      `json:"ownPage,omitempty"`
	Source  string    `json:"source"`
	App     string    `json:"app,omitempty"` // what was asked about
	Begun   time.Time `json:"begun"`
	Expires time.Time `json:"expires"`
	By      string    `json:"by,omitempty"`
}

// key is the hash as a Flow has it.
func (l *OpenLink) key() (key [32]byte, err error) {
	raw, err := hex.DecodeString(l.Hash)
	if err != nil || len(raw) != len(key) {
		return key, fmt.Errorf("a link has the hash %.80q, which is none", l.Hash)
	}
	return [32]byte(raw), nil
}

// restore takes up the links of an earlier process. What is broken or expired is
// left out.
func (f *Flow) restore(links []OpenLink, now time.Time) {
	for i := range links {
		l := &links[i]
		key, err := l.key()
		if err != nil {
			f.log.Warn("a mailed consent link was not taken up", "err", err)
			continue
		}
		switch {
		case now.After(l.Expires), l.Expires.After(now.Add(MailedLifetime)), len(f.live) >= maxLive || len(f.handOffs) >= maxLive:
		case l.OwnPage:
			f.handOffs[key] = handOff{l.Source, l.Expires}
		default:
			f.live[key] = &asked{source: l.Source, app: l.App, begun: l.Begun, expires: l.Expires, by: l.By, mailed: true}
		}
	}
}

// remember has the mailed links kept that are good now. f.mu is not held.
func (f *Flow) remember() {
	if f.cfg.Remember == nil {
		return
	}
	f.remembering.Lock()
	defer f.remembering.Unlock()
	if err := f.cfg.Remember(f.openLinks()); err != nil {
		f.log.Warn("mailed consent links are not kept; they are good until the program ends", "err", err)
	}
}

func (f *Flow) openLinks() []OpenLink {
	f.mu.Lock()
	defer f.mu.Unlock()
	var links []OpenLink
	for key, a := range f.live {
		if a.mailed {
			links = append(links, OpenLink{Hash: hex.EncodeToString(key[:]), Source: a.source, App: a.app, Begun: a.begun, Expires: a.expires, By: a.by})
		}
	}
	for key, h := range f.handOffs {
		links = append(links, OpenLink{Hash: hex.EncodeToString(key[:]), OwnPage: true, Source: h.source, Begun: h.expires.Add(-MailedLifetime), Expires: h.expires})
	}
	return links
}
