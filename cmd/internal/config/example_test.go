package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"scimbridge/cmd/internal/config"
)

const example = "../../../config.example.yaml"

func readExample(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestTheExampleHasEveryKeyAndNoOther walks the type and the file, so that a
// setting can't be added to one of them alone.
func TestTheExampleHasEveryKeyAndNoOther(t *testing.T) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(readExample(t)), &doc); err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	collect(doc.Content[0], "", have)
	keys := config.KeyPaths()
	if len(keys) < 60 {
		t.Fatalf("only %d keys in the type: %v", len(keys), keys)
	}
	for _, key := range keys {
		if !have[key] {
			t.Errorf("config.example.yaml lacks %s", key)
		}
	}
	for key := range have {
		if !slices.Contains(keys, key) && !own(key) {
			t.Errorf("config.example.yaml has %s, which is no setting", key)
		}
	}
}

// own says whether a key is the file's own: a rule of a mapping, or a row of a
// table.
func own(key string) bool {
	return strings.HasPrefix(key, "sources[].mapping.") || strings.HasPrefix(key, "tables.")
}

// collect notes the paths of all keys in a tree, with [] for "each".
func collect(n *yaml.Node, path string, have map[string]bool) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			at := strings.TrimPrefix(path+"."+n.Content[i].Value, ".")
			have[at] = true
			collect(n.Content[i+1], at, have)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			collect(item, path+"[]", have)
		}
	}
}

func loadExample(t *testing.T) *config.Config {
	t.Helper()
	dir := t.TempDir()
	cert, key := certificate(t, time.Now().Add(time.Hour))
	for name, content := range map[string]string{
		"tls.crt": cert, "tls.key": key, "clients.pem": cert, "proxy-ca.pem": cert, "fabrikam.crt": cert, "fabrikam.key": key,
		"okta.token": "token-of-okta-0123456789", "jumpcloud.token": "token-of-jumpcloud-0123456789", "admin.token": "token-of-admin-0123456789",
		"sailpoint.password": "a password", "ping.secret": "a secret", "contoso.secret": "another secret",
		"federated": "a.b.c",
	} {
		write(t, dir, name, content)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	text := strings.Replace(readExample(t), "/var/run/secrets/azure/tokens/azure-identity-token", "federated", 1)
	cfg, err := config.Load(write(t, dir, "config.yaml", text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestTheExampleLoadsWithoutAWarning(t *testing.T) {
	cfg := loadExample(t)
	if len(cfg.Warnings) > 0 {
		t.Error(cfg.Warnings)
	}
	if len(cfg.SCIM.Clients) != 6 || len(cfg.Sources) != 4 || len(cfg.Sources[0].Assert) != 4 {
		t.Errorf("got %d clients, %d sources, %d assertions", len(cfg.SCIM.Clients), len(cfg.Sources), len(cfg.Sources[0].Assert))
	}
	if _, err := cfg.Sources[1].KeyPair(); err != nil {
		t.Error(err)
	}
	if n := len(cfg.Inputs()); n != 13 {
		t.Errorf("got %d inputs, want the file and the 12 it names without the federated token: %v", n, cfg.Inputs())
	}
}

// TestTheMinimalFileOfTheExampleLoads tries what its first comment shows.
func TestTheMinimalFileOfTheExampleLoads(t *testing.T) {
	var text strings.Builder
	for line := range strings.Lines(readExample(t)) {
		if strings.HasPrefix(line, "#   ") {
			text.WriteString(line[4:])
		} else if text.Len() > 0 {
			break
		}
	}
	cfg := load(t, text.String())
	if len(cfg.SCIM.Clients) != 1 || len(cfg.Sources) != 1 {
		t.Errorf("got %q", text.String())
	}
}

// TestWhatIsInForceLoadsAgain takes the file that YAML makes for a file.
func TestWhatIsInForceLoadsAgain(t *testing.T) {
	cfg := loadExample(t)
	force, err := cfg.YAML()
	if err != nil {
		t.Fatal(err)
	}
	text := string(force)
	for _, c := range cfg.SCIM.Clients { // digests are hidden, and have to be put back
		for _, d := range append([]config.Token{{SHA256: c.TokenSHA256}}, c.Tokens...) {
			if !d.SHA256.IsZero() {
				text = strings.Replace(text, "<secret>", hexOf(d.SHA256), 1)
			}
		}
	}
	again, err := config.LoadBytes(filepath.Join("/", "elsewhere", "config.yaml"), []byte(text), os.LookupEnv)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, change := range config.Diff(cfg, again) {
		t.Error(change)
	}
}
