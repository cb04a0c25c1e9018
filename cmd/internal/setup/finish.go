package setup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"scimbridge/cmd/internal/config"
)

// write shows what will be written, writes it, and says how to go on.
func (s *setup) write(ctx context.Context) error {
	if len(s.faults) > 0 {
		return Usage{errors.Join(s.faults...)}
	}
	secret, err := s.clientProof()
	if err != nil {
		return err
	}
	text := s.render(false)
	cfg, err := config.LoadBytes(s.file, []byte(text), os.LookupEnv)
	if err != nil {
		return fmt.Errorf("the answers make no good configuration, and nothing was written:\n%w", err)
	}
	s.say("\nThis will be written, mode 0640:\n  %s\n", s.file)
	s.print(indent(text, "  "))
	for _, w := range cfg.Warnings {
		s.say("Note: %s", strings.TrimPrefix(w.Error(), s.file+": "))
	}
	if len(s.draft.Made) > 0 {
		s.say("\nBeside it are, mode 0600:\n  %s", strings.Join(s.draft.Made, "\n  "))
	}
	if s.interactive {
		ok, err := s.confirm(ctx, "", "Write", yes)
		if err != nil {
			return err
		}
		if !ok {
			return errStopped
		}
	}
	uid, gid := -1, -1
	if s.owner.set {
		uid, gid = 0, s.owner.gid
	}
	if err := createFile(s.file, []byte(text), 0o640, uid, gid); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	if s.interactive {
		if err := s.draft.remove(draftFile(s.file), false); err != nil {
			return fmt.Errorf("removing what was kept of the set-up: %w", err)
		}
	}
	s.tell(s.farewell(cfg, secret))
	return nil
}

// clientProof makes what the platform proves itself with, and gives it; "" where
// it was made elsewhere. Of a token only the hash is kept, so it is made as late
// as can be, and once more after an interruption.
func (s *setup) clientProof() (string, error) {
	if sum, ok := s.given[keyTokenSHA256]; ok {
		_, err := s.keep(keyTokenSHA256, sum)
		return "", err
	}
	secret := s.NewToken()
	if !s.chosen().oauth2 {
		s.draft.Answers[keyTokenSHA256] = fmt.Sprintf("%x", sha256.Sum256([]byte(secret)))
		return secret, nil
	}
	if name := s.draft.Answers[keyClientSecret]; name != "" {
		if err := s.dropFile(name); err != nil {
			return "", err
		}
	}
	name, err := s.secretFile(s.draft.Answers[keyClient]+".secret", []byte(secret+"\n"))
	if err != nil {
		return "", err
	}
	_, err = s.keep(keyClientSecret, name)
	return secret, err
}

// farewell says what to paste where, and what to run.
func (s *setup) farewell(cfg *config.Config, secret string) string {
	var b strings.Builder
	option := ""
	if s.ConfigFile != config.DefaultPath {
		option = " --config " + s.ConfigFile
	}
	fmt.Fprintf(&b, "%s Written:\n  %s\n\n", s.style.mark(true), s.file)
	p := s.chosen()
	shown := secret
	if shown == "" {
		shown = "(the token that you made)"
	}
	b.WriteString(s.style.bold("Into the platform") + "\n" + p.lines(cfg.SCIM.PublicURL, s.draft.Answers[keyClient], shown))
	switch {
	case secret == "":
	case p.oauth2:
		b.WriteString(wrap("The password is also in "+filepath.Join(s.dir, s.draft.Answers[keyClientSecret])+", which only the daemon can read.", "", lineWidth) + "\n")
	default:
		b.WriteString(wrap("The token is shown only now: the file has its SHA-256. A lost one is replaced by `scim-bridge token`.", "", lineWidth) + "\n")
	}
	b.WriteString("\n" + s.style.bold("To start") + "\n")
	if s.file == config.DefaultPath {
		b.WriteString("  sudo systemctl enable --now scim-bridge\n")
	} else {
		b.WriteString("  scim-bridge serve" + option + "\n")
	}
	b.WriteString("  scim-bridge status" + option + "\n")
	if s.is(keyEnabled, no) {
		b.WriteString("\n" + wrap("The tenant is not read yet. Register the application (docs/getting-started.md), complete the source in the file, set enabled: true, and run:", "", lineWidth) +
			"\n  scim-bridge test" + option + "\n")
	}
	if s.is(keyExpose, "local") {
		b.WriteString("\n" + wrap("Platforms can't reach the endpoint yet: put a TLS proxy in front and set scim.public_url, or set scim.tls.", "", lineWidth) + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+by)
}
