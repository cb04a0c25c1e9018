package setup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"scimbridge/cmd/internal/config"
	"scimbridge/sync/consent"
)

// Every answer comes out of the file as it went in, whatever it looks like.
func TestScalarsSurviveYAML(t *testing.T) {
	for _, text := range []string{"tls.crt", "/etc/ssl/a b.pem", "null", "true", "0x1F", "a: b", "a #b", "#a", "- a", "*a", "&a", "!a", `c:\x`, `"q"`, "'", "${HOME}/x", "ü.pem", "a:", "@a", "%a", "{a}", "[a]"} {
		s := answered(Answers{keySource: "contoso", keyCredential: "federated", keyFederated: "/nowhere", keyState: "/" + text})
		cfg, err := config.LoadBytes("/etc/scim-bridge/config.yaml", []byte(strings.Replace(s.render(true), "sources:\n  - name: contoso", "sources:\n  - name: contoso\n    enabled: false", 1)),
			func(string) (string, bool) { return "/root", true })
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		want := filepath.Clean("/" + strings.ReplaceAll(text, "${HOME}", "/root"))
		if string(cfg.State.Directory) != want {
			t.Errorf("%q came out as %q", want, cfg.State.Directory)
		}
		if scalar(text) == "null" {
			t.Error("null is written as nothing")
		}
	}
}

func answered(a Answers) *setup {
	return &setup{draft: &draft{Answers: a}, file: "/etc/scim-bridge/config.yaml", dir: "/etc/scim-bridge", style: style{unicode: true}}
}

// Paths are as in the file: who names one from where he stands is told.
func TestReadableNamesWherePathsBegin(t *testing.T) {
	s := answered(nil)
	s.dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(s.dir, "here"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := s.readable("here"); got != "here" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for text, told := range map[string]bool{"etc/here": true, filepath.Join(s.dir, "gone"): false} {
		if _, err := s.readable(text); err == nil || strings.Contains(err.Error(), "relative path begins in") != told {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// All ways to register name exactly the permissions needed, their ids, and no
// line is wider than a terminal.
func TestInstructions(t *testing.T) {
	for _, cloud := range []string{"global", "usgov", "dod", "china"} {
		for _, method := range []string{"portal", "az", "powershell"} {
			for _, credential := range []string{"secret", "certificate", "federated", "managed-identity"} {
				for _, groups := range []string{"now", "later"} {
					s := answered(Answers{keyCloud: cloud, keyMethod: method, keyCredential: credential, keyGroups: groups, keyHidden: yes,
						keyConsent: "link", keyCertificate: "contoso.crt"})
					text := s.instructions()
					checkInstructions(t, text, method == "portal" && credential != "managed-identity", groups == "now")
					if want := map[string]string{"usgov": "-Environment USGov ", "dod": "-Environment USGovDoD", "china": "-Environment China"}[cloud]; method == "powershell" && credential != "managed-identity" && !strings.Contains(text, want) {
						t.Errorf("%s is not named in\n%s", cloud, text)
					}
					if want := map[string]string{"usgov": "az cloud set --name AzureUSGovernment\n", "dod": "az cloud set --name AzureUSGovernment\n", "china": "az cloud set --name AzureChinaCloud\n"}[cloud]; (method == "az" || credential == "managed-identity") && !strings.Contains(text, want) {
						t.Errorf("%s is not named in\n%s", cloud, text)
					}
				}
			}
		}
	}
}

func checkInstructions(t *testing.T, text string, names, groups bool) {
	t.Helper()
	for _, p := range consent.Needed(consent.Wants{Groups: true, HiddenMembers: true}) {
		if p.Optional {
			continue
		}
		word := p.ID
		if names {
			word = p.Name
		}
		if want := groups || p.Name == "User.Read.All"; strings.Contains(text, word) != want {
			t.Errorf("%s is named: %v, want %v, in\n%s", p.Name, !want, want, text)
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// Each platform is told where to go and how to prove itself.
func TestPlatforms(t *testing.T) {
	for _, p := range platforms {
		text := p.lines("https://scim.example.com/scim/v2", "the-client", "the-token")
		if strings.ContainsAny(text, "{}") || !strings.Contains(text, "https://scim.example.com") || !strings.Contains(text, "the-token") {
			t.Errorf("%s gets\n%s", p.name, text)
		}
	}
}

// A file appears whole, with its mode, and never in the place of another.
func TestCreateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := createFile(path, []byte("one"), 0o640, -1, -1); err != nil {
		t.Fatal(err)
	}
	if err := createFile(path, []byte("two"), 0o640, -1, -1); !errors.Is(err, fs.ErrExist) {
		t.Errorf("writing over a file gives %v", err)
	}
	link := path + ".link"
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	if err := createFile(link, []byte("two"), 0o640, -1, -1); !errors.Is(err, fs.ErrExist) {
		t.Errorf("writing over a dangling link gives %v", err)
	}
	data, err := os.ReadFile(path)
	info, statErr := os.Stat(path)
	if err != nil || statErr != nil || string(data) != "one" || info.Mode().Perm() != 0o640 {
		t.Errorf("the file is %q, %v, %v", data, info.Mode(), errors.Join(err, statErr))
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 2 {
		t.Errorf("it left %v, %v", entries, err)
	}
}

// What an earlier set-up kept is understood or refused, never half of it.
func TestDrafts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml.setup")
	if d, err := loadDraft(path); d != nil || err != nil {
		t.Errorf("no draft is %v, %v", d, err)
	}
	secret := filepath.Join(filepath.Dir(path), "contoso.secret")
	d := &draft{Version: draftVersion, Step: 3, Answers: Answers{keySource: "contoso"}, Made: []string{secret}}
	if err := errors.Join(d.save(path), os.WriteFile(secret, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	back, err := loadDraft(path)
	if err != nil || back.Step != 3 || back.Answers[keySource] != "contoso" {
		t.Errorf("it comes back as %v, %v", back, err)
	}
	if err := back.remove(path, true); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 0 {
		t.Errorf("removing it leaves %v, %v", entries, err)
	}
	for _, text := range []string{"", "{", "{}", `{"version":2,"answers":{}}`, `{"version":1,"step":-1,"answers":{}}`, `{"version":1,"step":7,"answers":{}}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadDraft(path); err == nil || !strings.Contains(err.Error(), "--restart") {
			t.Errorf("%q gives %v", text, err)
		}
	}
}

func TestChoices(t *testing.T) {
	options := []option{{"secret", ""}, {"new-certificate", ""}, {"certificate", ""}, {"sap", ""}}
	for text, want := range map[string]string{"1": "secret", "4": "sap", "SECRET": "secret", "n": "new-certificate", "cert": "certificate", "s": "", "0": "", "5": "", "x": "", "-1": ""} {
		if got, err := choose(options, text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q chooses %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestWrap(t *testing.T) {
	got := wrap("one two three\n  kept as it is, however long\n\nfour", "  ", 10)
	if want := "  one two\n  three\n    kept as it is, however long\n\n  four"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCheckSecret(t *testing.T) {
	for _, bad := range []string{"", "short", "0f3c0000-1111-4222-8333-444455556666", "with a blank in the middle", "ünïcode~secret~value~x"} {
		if checkSecret(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if err := checkSecret("Qz8~abc.def-ghi_jkl~mno"); err != nil {
		t.Error(err)
	}
}

// Guests and the mapping are in the file where they are not as by default.
func TestGuestsAndMapping(t *testing.T) {
	base := Answers{keySource: "contoso", keyCredential: "federated", keyFederated: "/nowhere", keyEnabled: no}
	for _, c := range []struct {
		guests, preset string
		want           config.Guests
		mapping        config.Preset
	}{{yes, "entra-default", config.GuestsInclude, ""}, {no, "okta", config.GuestsExclude, "okta"}, {no, "sailpoint", config.GuestsExclude, "sailpoint"}} {
		a := Answers{keyGuests: c.guests, keyPreset: c.preset}
		for key, answer := range base {
			a[key] = answer
		}
		text := answered(a).render(true)
		cfg, err := config.LoadBytes("/etc/scim-bridge/config.yaml", []byte(text), os.LookupEnv)
		if err != nil {
			t.Fatalf("%v of\n%s", err, text)
		}
		if s := cfg.Sources[0]; s.Users.Guests != c.want || s.Mapping.Preset != c.mapping {
			t.Errorf("guests are %s, the mapping is %q, of\n%s", s.Users.Guests, s.Mapping.Preset, text)
		}
	}
	for _, p := range platforms {
		if p.preset != "" && !strings.Contains(Flags()[presetFlag()].Usage, p.preset) {
			t.Errorf("the flag does not know %s", p.preset)
		}
	}
}

func presetFlag() int {
	for i, f := range Flags() {
		if f.Name == keyPreset {
			return i
		}
	}
	return 0
}
