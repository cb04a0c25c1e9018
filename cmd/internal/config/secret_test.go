package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"scimbridge/cmd/internal/config"
)

const planted = "planted-secret-0123456789"

// renderings is what a careless line of code could make of a value.
func renderings(t *testing.T, v any) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%t"} {
		out[verb] = fmt.Sprintf(verb, v)
	}
	j, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var text, jsonLog bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", v)
	slog.New(slog.NewJSONHandler(&jsonLog, nil)).Info("m", "v", v)
	out["json"], out["yaml"], out["slog text"], out["slog json"] = string(j), string(y), text.String(), jsonLog.String()
	return out
}

func TestASecretIsNeverPrinted(t *testing.T) {
	s := config.NewSecret(planted)
	hex := fmt.Sprintf("%x", planted)
	for name, v := range map[string]any{
		"itself": s, "by pointer": &s, "in a list": []config.Secret{s}, "in a map": map[string]config.Secret{"k": s},
		"in a field": struct{ S config.Secret }{s}, "in a hidden field": struct{ s config.Secret }{s},
		"in a file": config.SecretFile{Path: "p", Secret: s}, "as a digest": config.Digest{Secret: s},
		"in a hashed file": config.HashedFile{Path: "p", SHA256: config.Digest{Secret: s}},
		"in a client":      config.Client{TokenSHA256: config.Digest{Secret: s}},
	} {
		for how, got := range renderings(t, v) {
			if strings.Contains(got, planted) || strings.Contains(strings.ToLower(got), hex) {
				t.Errorf("%s, by %s: %s", name, how, got)
			}
		}
	}
	for how, got := range renderings(t, s) {
		if how == "%p" {
			continue // fmt asks no method for it, and prints the address
		}
		if !strings.Contains(got, "secret>") && !strings.Contains(got, `\u003csecret\u003e`) {
			t.Errorf("by %s: got %s, want <secret>", how, got)
		}
	}
}

func TestAConfigNeverPrintsItsSecrets(t *testing.T) {
	path := writeMinimal(t, with(t, `
client: {basic: {username: u, password_file: planted}}
admin: {token_file: planted}
source: {client_secret_file: planted}`))
	write(t, filepath.Dir(path), "planted", planted)
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Sources[0].ClientSecretFile.Secret.Reveal(); got != planted {
		t.Fatalf("the secret is not there to be hidden: %q", got)
	}
	force, err := cfg.YAML()
	if err != nil {
		t.Fatal(err)
	}
	all := renderings(t, cfg)
	all["YAML"] = string(force)
	for how, got := range all {
		if strings.Contains(got, planted) || strings.Contains(strings.ToLower(got), fmt.Sprintf("%x", planted)) {
			t.Errorf("by %s: %s", how, got)
		}
	}
}

func TestFaultsNeverShowWhatMayBeASecret(t *testing.T) {
	for _, text := range []string{
		"source: {client_secret: " + planted + "}",
		"client: {token: " + planted + "}",
		"client: {token_sha256: " + planted + "}",
		"client: {tokens: [" + planted + "]}",
		"client: {basic: {username: u, password: " + planted + "}}",
		"scim: {public_url: 'https://u:" + planted + "@a.example/'}",
	} {
		_, err := config.Load(writeMinimal(t, with(t, text)))
		if err == nil {
			t.Errorf("%s: loaded", text)
		} else if strings.Contains(err.Error(), planted) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, content := range []string{planted + " x", planted + "\nx", " " + planted, planted + "\x01", "\uFEFF" + planted} {
		path := writeMinimal(t, minimal)
		write(t, filepath.Dir(path), "okta.token", content)
		_, err := config.Load(path)
		if err == nil {
			t.Errorf("token %q: loaded", content)
		} else if strings.Contains(err.Error(), planted) {
			t.Errorf("token %q: %v", content, err)
		}
	}
}

func TestSecretsAreComparedByContent(t *testing.T) {
	a, b, c, none := config.NewSecret("x"), config.NewSecret("x"), config.NewSecret("y"), config.Secret{}
	if !a.Equal(b) || a.Equal(c) || a.Equal(none) || !none.Equal(none) || config.NewSecret("").Equal(none) {
		t.Error("Equal does not compare the content")
	}
}
