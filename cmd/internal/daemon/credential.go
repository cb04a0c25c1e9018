package daemon

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"scimbridge/cmd/internal/config"
	"scimbridge/scim/mapping"
	"scimbridge/sync/consent"
	"scimbridge/sync/graph"
	"scimbridge/sync/mirror"
)

// graphConfig says how a source is read from Microsoft Graph. The error is a
// config.Fault.
func graphConfig(cfg *config.Config, index int, tenant string, mapper *mapping.Mapper, version string) (graph.Config, error) {
	sc := cfg.Sources[index]
	credential, err := credential(sc)
	if err != nil {
		return graph.Config{}, cfg.Fault(fmt.Sprintf("sources[%d]", index), err.Error(), "mend the credential")
	}
	roots, err := authorities(sc.CAFile.Data)
	if err != nil {
		return graph.Config{}, cfg.Fault(fmt.Sprintf("sources[%d].ca_file", index), err.Error(), "mend the file")
	}
	scope, err := scopeOf(sc, cfg.Tables)
	if err != nil {
		return graph.Config{}, err
	}
	return graph.Config{
		GraphURL: sc.GraphURL, LoginURL: sc.LoginURL, TenantID: tenant, ClientID: sc.ClientID, Credential: credential,
		Select:  mirror.Select(mapper, &scope),
		Version: version, RequestsPerSecond: sc.RequestsPerSecond, RootCAs: roots,
	}, nil
}

// authorities are the system's and those of a file; nil where there is no file:
// the system's alone.
func authorities(pem []byte) (*x509.CertPool, error) {
	if pem == nil {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's authorities: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("it has no certificate in it")
	}
	return roots, nil
}

// CheckSource tests the credential of a source as the daemon would use it,
// without a daemon and without changing anything. tenant is used where the
// configuration names none.
func CheckSource(ctx context.Context, cfg *config.Config, index int, tenant, version string) (*consent.Report, error) {
	app, err := ConsentApp(cfg, index, tenant, version)
	if err != nil {
		return nil, err
	}
	return consent.Check(ctx, app), nil
}

// credential makes the credential of a source.
func credential(sc config.Source) (graph.Credential, error) {
	switch {
	case !sc.CertificateFile.IsZero():
		return graph.NewCertificate(sc.CertificateFile.Data, []byte(sc.PrivateKeyFile.Secret.Reveal()))
	case sc.FederatedTokenFile != "":
		return graph.FederatedToken(sc.FederatedTokenFile), nil
	case sc.ManagedIdentity != nil:
		return graph.ManagedIdentity{ClientID: sc.ManagedIdentity.ClientID}, nil
	}
	return graph.ClientSecret(sc.ClientSecretFile.Secret.Reveal()), nil
}
