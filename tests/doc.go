// Package tests tries the real binary from outside: configuration files, HTTP
// and signals are all it knows of it. Microsoft is the simulated tenant of
// sync/graph/graphtest, in the test's own process.
package tests
