package consent_test

import (
	"net/url"
	"strings"
	"testing"

	"scimbridge/sync/consent"
)

const (
	pastedState  = "wmTQXHwv0WVc6YIeSiOxlA"
	pastedTenant = "f4bcc169-979a-407e-bf35-9b1cb79d2dc9"
	pasted       = "http://localhost:8881/consent/callback?admin_consent=True&state=" + pastedState + "&tenant=" + pastedTenant
)

// What mail does to an address does not matter.
func TestPastedAnswers(t *testing.T) {
	for name, text := range map[string]string{
		"as it is":        pasted,
		"its query alone": strings.SplitAfter(pasted, "?")[1],
		"in brackets":     " <" + pasted + "> ",
		"wrapped":         pasted[:50] + "\r\n" + pasted[50:90] + "\n" + pasted[90:],
		"quoted":          "> > " + pasted[:50] + "\n> > " + pasted[50:],
		"among words":     "Is this right?\n\n" + pasted + "\n\nRegards,\nAda",
		"another order":   "http://localhost:8881/consent/callback?tenant=" + pastedTenant + "&admin_consent=True&state=" + pastedState + " thanks!",
		"by a scanner":    "https://eur01.safelinks.protection.outlook.com/?url=" + url.QueryEscape(pasted) + "&data=05%7C01&reserved=0",
		"by two scanners": "https://scan.example/v2/?url=" + url.QueryEscape("https://eur01.safelinks.protection.outlook.com/?url="+url.QueryEscape(pasted)+"&data=x") + "&k=1",
		"with a fragment": pasted + "#",
	} {
		t.Run(name, func(t *testing.T) {
			query, err := consent.ParseAnswer(text)
			if err != nil || query.Get("state") != pastedState || query.Get("tenant") != pastedTenant || query.Get("admin_consent") != "True" {
				t.Errorf("%q is read as %v, %v", text, query, err)
			}
		})
	}
	for name, text := range map[string]string{
		"nothing": "", "words": "it works now", "another page": "https://portal.azure.com/?x=1", "a short state": "?state=abc",
		"a bad escape": "?state=" + pastedState + "&tenant=%zz", "two states": pasted + "&state=" + pastedState,
		"too long": strings.Repeat("x", 20<<10) + pasted,
	} {
		t.Run(name, func(t *testing.T) {
			if query, err := consent.ParseAnswer(text); reason(err) != consent.Malformed {
				t.Errorf("%q is read as %v, %v", name, query, err)
			}
		})
	}
}

// An address that was not copied to its end is told from one that is another.
func TestPastedAnswerCutShort(t *testing.T) {
	whole := "http://localhost:8881/consent/callback?admin_consent=True&tenant=" + pastedTenant + "&state=" + pastedState
	if _, err := consent.ParseAnswer(whole[:len(whole)-3]); reason(err) != consent.Malformed || !strings.Contains(err.Error(), "cut short") {
		t.Errorf("got %v", err)
	}
}

// Whatever is pasted, what comes out has one state of the right length, or is
// refused.
func FuzzParseAnswer(f *testing.F) {
	f.Add(pasted)
	f.Add("https://eur01.safelinks.protection.outlook.com/?url=" + url.QueryEscape(pasted))
	f.Add("> a\n> ?state=")
	f.Fuzz(func(t *testing.T, text string) {
		query, err := consent.ParseAnswer(text)
		if err != nil {
			if reason(err) != consent.Malformed {
				t.Errorf("refused otherwise: %v", err)
			}
			return
		}
		if len(query["state"]) != 1 || len(query.Get("state")) != 22 {
			t.Errorf("state is %q", query["state"])
		}
	})
}
