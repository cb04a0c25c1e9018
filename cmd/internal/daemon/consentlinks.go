package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"scimbridge/sync/consent"
)

// A linkFile keeps the consent links that were mailed, so that the administrator
// may take days, and the daemon may be restarted meanwhile. It holds hashes, and
// nothing that could be used. Losing it costs a new link.
type linkFile string

func linkFileIn(dir string) linkFile { return linkFile(filepath.Join(dir, "consent-links.json")) }

// load reads what was kept. What cannot be read is told and left out.
func (f linkFile) load(log *slog.Logger) (links []consent.OpenLink) {
	data, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &links)
	}
	if err != nil {
		log.Warn("mailed consent links could not be read; make new ones", "file", string(f), "err", err)
		return nil
	}
	return links
}

// save replaces what is kept.
func (f linkFile) save(links []consent.OpenLink) error {
	data, err := json.Marshal(links)
	if err != nil {
		return err
	}
	if err := os.WriteFile(string(f)+".new", data, 0o600); err != nil {
		return fmt.Errorf("keeping the links: %w", err)
	}
	if err := os.Rename(string(f)+".new", string(f)); err != nil {
		return fmt.Errorf("keeping the links: %w", err)
	}
	return nil
}
