package config_test

import (
	"strings"
	"testing"

	"scimbridge/cmd/internal/config"
)

// What it takes to find the daemon is read whatever is wrong elsewhere, and
// without the secrets of others.
func TestLoadAdmin(t *testing.T) {
	const admin = "admin: {listen: '127.0.0.1:9'}\n"
	for name, c := range map[string]struct{ text, want string }{
		"a good file":                  {minimal + admin, ""},
		"secrets that are not here":    {strings.ReplaceAll(minimal, "contoso.secret", "${SCIM_BRIDGE_UNSET}/gone") + admin, ""},
		"an unknown key":               {minimal + "    intervall: 5m\n" + admin, ""},
		"a fault in the section admin": {minimal + "admin: {listen: nowhere}\n", "admin.listen"},
		"a token that is not here":     {minimal + "admin: {token_file: gone}\n", "admin.token_file"},
		"no YAML":                      {minimal + admin + "x: [", "config.yaml:9"},
		"an empty file":                {"", "the file is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := config.LoadAdmin(writeMinimal(t, c.text))
			switch {
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %s", err, c.want)
			case c.want == "" && (err != nil || cfg.Admin.Listen.Address != "127.0.0.1:9" || len(cfg.Sources) != 1 || cfg.Sources[0].Name != "contoso"):
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := config.LoadAdmin("nowhere.yaml"); err == nil {
		t.Error("a file that is not there was read")
	}
}
