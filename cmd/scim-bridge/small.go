package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func versionCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(p.stdout, "scim-bridge %s (%s, %s/%s)\n", programVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

func tokenCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "token",
		Short: "Make a new bearer token for a client, and its SHA-256",
		Long: `Make a new bearer token for a client, and its SHA-256.

Give the token to the identity platform. Put either the token into a file named
by token_file, or its SHA-256 into token_sha256: with the latter the token itself
is nowhere on this machine.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			token := newToken()
			_, err := fmt.Fprintf(p.stdout, "token:        %s\ntoken_sha256: %x\n", token, sha256.Sum256([]byte(token)))
			return err
		},
	}
}

// newToken makes a bearer token of 256 random bits.
func newToken() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
