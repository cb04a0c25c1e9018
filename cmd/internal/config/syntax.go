package config

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// yamlError splits what the YAML library says into line, if any, and text.
var yamlError = regexp.MustCompile(`(?s)^yaml: (?:line (\d+): )?(.*)$`)

// syntaxFault makes a fault of what the YAML library says of a text it can't
// parse, in words that help.
func syntaxFault(file string, data []byte, err error) Fault {
	f := Fault{File: file, Line: 1, Message: err.Error(), Mend: "correct the YAML"}
	if m := yamlError.FindStringSubmatch(err.Error()); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		f.Message = "this is no YAML: " + m[2]
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	f.Line = failingLine(lines, max(f.Line, 1))
	if tab := bytes.IndexByte(lines[f.Line-1], '\t'); tab >= 0 && len(bytes.TrimSpace(lines[f.Line-1][:tab])) == 0 {
		f.Column = tab + 1
		f.Message, f.Mend = "a tab is in the indentation", "indent with spaces"
		return f
	}
	for _, known := range []struct{ said, what, mend string }{
		{"mapping values are not allowed", "a key is where none can be", "put keys of one section under each other, and values that have ': ' in them in quotes"},
		{"did not find expected ',' or", "a bracket that was opened is not closed", "close it, or put the value in quotes"},
		{"did not find expected", "the line does not fit those above it", "put keys of one section, and the '-' of one list, under each other"},
		{"found unexpected end of stream", "a quote that was opened is not closed", "close it"},
		{"could not find expected ':'", "the line is no 'key: value'", "write a colon and a space after the key"},
		{"cannot start any token", "a value begins with a character that means something in YAML", "put the value in quotes"},
		{"unknown anchor", "a value that begins with * is taken for an alias", "put the value in quotes"},
	} {
		if strings.Contains(f.Message, known.said) {
			f.Message, f.Mend = known.what, known.mend
			break
		}
	}
	return f
}

// failingLine finds the first line that can't be right, from 1: the one after
// the longest beginning of the file that can be parsed. The YAML library names
// the start of the enclosing block, or the end of the file, or (by one) the
// wrong line. Where the search would take long its word is taken.
func failingLine(lines [][]byte, said int) int {
	const mostLines, mostBytes = 1000, 64 << 10
	text := bytes.Join(lines, nil)
	if len(lines) > mostLines || len(text) > mostBytes {
		return min(said, len(lines))
	}
	for n := len(lines) - 1; n > 0; n-- {
		text = text[:len(text)-len(lines[n])]
		if yaml.Unmarshal(text, new(yaml.Node)) == nil {
			return n + 1
		}
	}
	return 1
}
