// Package graph reads users and groups from Microsoft Graph: it signs in,
// follows delta queries page by page, and turns what Graph sends into small
// typed values.
//
// [Client.Changes] is the heart: one round of one collection, as an iterator
// over pages. Everything that makes Graph hard to talk to stays inside it:
// tokens and their renewal, throttling, retries with an end, links that must
// not lead a token elsewhere, broken objects in a page that is otherwise sound.
// What a caller has to decide arrives as a sentinel: [ErrResync],
// [ErrRestartRound], [ErrCredentials], [ErrPermission], [ErrUnavailable],
// [ErrProtocol].
//
// A round in Graph's own terms:
//
//  1. Without a cursor the client asks for {collection}/delta with $select; with
//     one it asks for the cursor, a link that Graph gave at the end of the round
//     before. Links are opaque and are followed whole.
//  2. Each answer carries objects and exactly one link: @odata.nextLink while
//     there is more (a page may well be empty), @odata.deltaLink at the end.
//     The latter is the next cursor.
//  3. Objects come in any order, several times (the later is the newer), a big
//     group in parts, and changes of earlier rounds may come again. They are
//     passed on as they came; merging them is the caller's part.
//
// The package keeps no state beyond an access token in memory: it stores,
// merges, compares and serves nothing, and it knows neither SCIM nor the
// configuration file. sync/mirror, sync/consent and the commands use it.
//
// Sources: learn.microsoft.com/graph/delta-query-overview, /graph/throttling,
// /graph/errors, /graph/paging; learn.microsoft.com/entra/identity-platform/
// v2-oauth2-client-creds-grant-flow, certificate-credentials,
// reference-error-codes.
package graph
