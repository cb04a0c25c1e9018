package graph

import "testing"

// SetArc moves Azure Arc's agent and its directory of keys for a test.
func SetArc(t *testing.T, agent, tokens string) {
	wasAgent, wasTokens := arcAgent, arcTokens
	arcAgent, arcTokens = agent, tokens
	t.Cleanup(func() { arcAgent, arcTokens = wasAgent, wasTokens })
}

var ArcKeyPath = arcKeyPath
