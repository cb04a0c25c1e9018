package consent

import (
	"context"
	"slices"
	"time"

	"scimbridge/sync/graph"
)

// mayReadApps are the permissions by which Graph tells when secrets end
// (learn.microsoft.com/graph/api/application-get). Nothing else needs them.
var mayReadApps = []string{appRead.Name, "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}

// Ends tells when the credential of an app ends; the zero time: never, or it is
// not known. A certificate tells by itself. Of a client secret Graph tells,
// where Application.Read.All happens to be granted, by the beginning of its
// value; where it is not granted nothing is asked. A federated token and a
// managed identity are renewed by their platforms.
func Ends(ctx context.Context, client *graph.Client, app App) (time.Time, error) {
	switch credential := app.Graph.Credential.(type) {
	case *graph.Certificate:
		return credential.Expires(), nil
	case graph.ClientSecret:
		if app.SecretHint == "" {
			return time.Time{}, nil
		}
	default:
		return time.Time{}, nil
	}
	claims, err := client.Claims(ctx)
	if err != nil || !slices.ContainsFunc(claims.Roles, func(r string) bool { return slices.Contains(mayReadApps, r) }) {
		return time.Time{}, err
	}
	all, err := client.AppCredentials(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return endOf(all, app.SecretHint), nil
}

// endOf is the end of the secret with a hint; of several the first, in doubt
// rather too early.
func endOf(all []graph.AppCredential, hint string) (end time.Time) {
	for _, c := range all {
		if c.Hint == hint && !c.Expires.IsZero() && (end.IsZero() || c.Expires.Before(end)) {
			end = c.Expires
		}
	}
	return end
}

// endsSoon is from when on the end of a credential is worth a word.
const endsSoon = 30 * 24 * time.Hour

// credential shows which credential it is, and when it ends.
func (c *check) credential() {
	const name = "credential"
	what := c.app.Graph.Credential.String()
	end, err := Ends(c.ctx, c.client, c.app)
	left := time.Until(end)
	_, secret := c.app.Graph.Credential.(graph.ClientSecret)
	switch {
	case end.IsZero() && secret:
		c.ok(name, what+"; when it ends is not known here (Application.Read.All would tell): put the date into your calendar", "")
	case err != nil, end.IsZero():
		c.ok(name, what, "")
	case left < endsSoon:
		c.ok(name, what+", until "+end.UTC().Format(time.DateOnly),
			"it ends soon: make a new one in the app registration, under Certificates & secrets, and put it into the file")
	default:
		c.ok(name, what+", until "+end.UTC().Format(time.DateOnly), "")
	}
}
