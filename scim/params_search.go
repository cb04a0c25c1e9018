package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	schemaSearch = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"

	// maxSearchBody bounds a SearchRequest: a filter, and lists of attributes.
	maxSearchBody = 64 << 10
)

// readSearch reads the SearchRequest of RFC 7644 §3.4.3 from a request.
func readSearch(w http.ResponseWriter, r *http.Request) (params, *scimError) {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return params{}, newError(http.StatusUnsupportedMediaType, "",
			"the request's body is encoded ("+shown(coding)+"); send it as it is, without Content-Encoding").
			with("Accept-Encoding", "identity") // RFC 9110 §15.5.16
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSearchBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return params{}, newError(http.StatusRequestEntityTooLarge, "", "the request's body is larger than 64 KiB")
	case err != nil:
		return params{}, invalidSyntax("the request's body broke off")
	}
	return parseSearch(body)
}

// noParameters refuses a query string with parameters of RFC 7644 in it.
func noParameters(raw string) *scimError {
	return pairs(raw, func(name, _ string) *scimError {
		if name == "" {
			return nil
		}
		return invalidSyntax("the parameters of a .search stand in its body; " + name + " is in the URL")
	})
}

// parseSearch reads a SearchRequest. Names are taken in any case, unknown ones
// are ignored as in a query string, null is as good as absent, and schemas may
// be left out; all else must be as RFC 7644 §3.4.3 and RFC 9865 §3 have it.
func parseSearch(body []byte) (params, *scimError) {
	body = bytes.TrimPrefix(body, []byte("\ufeff")) // as .NET writes UTF-8
	if !utf8.Valid(body) {
		return params{}, invalidSyntax("the request's body is not UTF-8")
	}
	p := params{startIndex: 1}
	err := members(body, func(name string, value json.RawMessage) *scimError {
		if strings.EqualFold(name, "schemas") {
			return checkSearchSchemas(value)
		}
		known, ok := canonical[strings.ToLower(name)]
		switch {
		case !ok:
			p.other = true
			return nil
		case string(value) == "null":
			return nil
		}
		return p.setJSON(known, value)
	})
	if err != nil {
		return params{}, err
	}
	return p, p.check()
}

// members calls f for each member of the JSON object that body is.
func members(body []byte, f func(name string, value json.RawMessage) *scimError) *scimError {
	dec := json.NewDecoder(bytes.NewReader(body))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return invalidSyntax("the request's body must be a JSON object")
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return invalidSyntax("the request's body is not JSON")
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return invalidSyntax("the request's body is not JSON")
		}
		if err := f(name.(string), value); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return invalidSyntax("the request's body is not JSON")
	}
	if _, err := dec.Token(); err != io.EOF {
		return invalidSyntax("the request's body goes on after the JSON object")
	}
	return nil
}

// checkSearchSchemas refuses a body that says it is something else.
func checkSearchSchemas(value json.RawMessage) *scimError {
	var urns []string
	if err := json.Unmarshal(value, &urns); err != nil {
		return invalidSyntax("schemas must be an array of strings")
	}
	is := func(urn string) bool { return strings.EqualFold(urn, schemaSearch) }
	if len(urns) > 0 && !slices.ContainsFunc(urns, is) {
		return invalidSyntax("schemas must name " + schemaSearch)
	}
	return nil
}

// setJSON takes one parameter from its JSON value.
func (p *params) setJSON(name string, value json.RawMessage) *scimError {
	switch name {
	case "attributes", "excludedAttributes":
		var names []string
		if err := json.Unmarshal(value, &names); err != nil {
			return invalidSyntax(name + " must be an array of strings")
		}
		return p.set(name, strings.Join(names, ","))
	case "startIndex", "count":
		return p.set(name, string(value))
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return invalidSyntax(name + " must be a string")
	}
	return p.set(name, text)
}
