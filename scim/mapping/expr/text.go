package expr

import (
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"golang.org/x/text/unicode/norm"
)

// title gives each word a capital.
func title(s string) string {
	inside := false
	return strings.Map(func(r rune) rune {
		was := inside
		inside = unicode.IsLetter(r) || unicode.IsMark(r) || r == '\'' || r == '’'
		if was {
			return unicode.ToLower(r)
		}
		return unicode.ToTitle(r)
	}, s)
}

// spelt are letters that don't come apart into a letter of ASCII and a mark.
var spelt = strings.NewReplacer("ß", "ss", "ẞ", "SS", "æ", "ae", "Æ", "AE", "œ", "oe", "Œ", "OE", "ø", "o", "Ø", "O",
	"ł", "l", "Ł", "L", "đ", "d", "Đ", "D", "ð", "d", "Ð", "D", "þ", "th", "Þ", "Th", "ı", "i", "ŋ", "n", "Ŋ", "N",
	"ħ", "h", "Ħ", "H", "ŧ", "t", "Ŧ", "T", "ĸ", "k", "’", "'", "‘", "'", "–", "-", "—", "-", "\u00a0", " ")

// ascii leaves out what is not ASCII, after taking accents off.
func ascii(s string) string {
	plain := true
	for i := range len(s) {
		plain = plain && s[i] < utf8.RuneSelf
	}
	if plain {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return -1
		}
		return r
	}, norm.NFKD.String(spelt.Replace(s)))
}

// localPart gives what is before the last @.
func localPart(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return s[:i]
	}
	return s
}

// domain gives what is behind the last @.
func domain(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return s[i+1:]
	}
	return ""
}

// unroutable are the domains that Microsoft gives every tenant, in its clouds:
// user principal names below them are seldom mailboxes.
var unroutable = []string{"onmicrosoft.com", "onmicrosoft.us", "onmicrosoft.de", "onmschina.cn"}

// Routable says whether a user principal name can be taken for an e-mail
// address: one @ between a local part without the #EXT# of guests and a domain
// with a dot that is not one of Microsoft's own.
func Routable(name string) bool {
	local, domain, ok := strings.Cut(name, "@")
	if !ok || local == "" || strings.ContainsAny(name, " \t\r\n") ||
		strings.Contains(domain, "@") || strings.Contains(strings.ToUpper(local), "#EXT#") {
		return false
	}
	if dot := strings.IndexByte(domain, '.'); dot <= 0 || dot == len(domain)-1 {
		return false
	}
	for _, suffix := range unroutable {
		rest := len(domain) - len(suffix)
		if rest >= 0 && strings.EqualFold(domain[rest:], suffix) && (rest == 0 || domain[rest-1] == '.') {
			return false
		}
	}
	return true
}

// smtp gives the e-mail addresses of entries with a scheme, the primary first.
func smtp(entries []string) []string {
	var primary, others []string
	for _, entry := range entries {
		scheme, address, ok := strings.Cut(entry, ":")
		if address = strings.TrimSpace(address); !ok || address == "" || !strings.EqualFold(scheme, "smtp") {
			continue
		}
		if scheme == "SMTP" {
			primary = append(primary, address)
		} else {
			others = append(others, address)
		}
	}
	return unique(append(primary, others...))
}

// firstOf gives the first text of a list.
func firstOf(l []string) string {
	if len(l) == 0 {
		return ""
	}
	return l[0]
}

// unique drops texts that were there before.
func unique(l []string) []string {
	seen, kept := map[string]bool{}, make([]string, 0, len(l))
	for _, s := range l {
		if key := strings.ToLower(s); !seen[key] {
			seen[key] = true
			kept = append(kept, s)
		}
	}
	return kept
}

// join puts texts behind one another.
func join(l []string, separator string) ref.Val {
	var b strings.Builder
	for _, s := range l {
		switch {
		case s == "":
			continue
		case b.Len()+len(separator)+len(s) > MaxText:
			return errTooLong
		case b.Len() > 0:
			b.WriteString(separator)
		}
		b.WriteString(s)
	}
	return types.String(b.String())
}

// split2 takes a text apart.
func split2(s, separator string) ref.Val {
	switch {
	case separator == "":
		return failing("split needs a separator")
	case s == "":
		return textList(nil)
	}
	return textList(strings.Split(s, separator))
}

// replace puts new in place of old.
func replace(s, old, new string) ref.Val {
	n := strings.Count(s, old)
	switch {
	case old == "" || n == 0:
		return types.String(s)
	case len(s)+n*(len(new)-len(old)) > MaxText:
		return errTooLong
	}
	return types.String(strings.ReplaceAll(s, old, new))
}

// group is a reference to a group in a replacement.
var group = regexp.MustCompile(`\$(\d)`)

// regexReplace puts new in place of each match of a pattern.
func (e *Env) regexReplace(s, pattern, new string) ref.Val {
	re, err := e.pattern(pattern)
	if err != nil {
		return failing("a pattern is no regular expression")
	}
	template := group.ReplaceAllString(new, "$${$1}")
	var out []byte
	end := 0
	for _, m := range re.FindAllStringSubmatchIndex(s, -1) {
		out = append(out, s[end:m[0]]...)
		if out = re.ExpandString(out, template, s, m); len(out) > MaxText {
			return errTooLong
		}
		end = m[1]
	}
	return bounded(string(append(out, s[end:]...)))
}

// regexExtract gives what a pattern matches.
func (e *Env) regexExtract(s, pattern string) ref.Val {
	re, err := e.pattern(pattern)
	if err != nil {
		return failing("a pattern is no regular expression")
	}
	m := re.FindStringSubmatch(s)
	switch len(m) {
	case 0:
		return types.String("")
	case 1:
		return types.String(m[0])
	}
	return types.String(m[1])
}

// substring gives the characters from one place to before another.
func substring(s string, from, to int) ref.Val {
	begin, end, n := len(s), len(s), 0
	for i := range s {
		if n == from {
			begin = i
		}
		if n == to {
			end = i
			break
		}
		n++
	}
	if begin > end {
		return types.String("")
	}
	return types.String(s[begin:end])
}

// padLeft fills a text up.
func padLeft(s string, length int, with string) ref.Val {
	const most = 1000
	missing := min(length, most) - utf8.RuneCountInString(s)
	if missing <= 0 || with == "" {
		return types.String(s)
	}
	fill := []rune(strings.Repeat(with, missing/utf8.RuneCountInString(with)+1))
	return types.String(string(fill[:missing]) + s)
}

// parseDate reads a date.
func parseDate(s string) ref.Val {
	if s == "" {
		return types.Timestamp{}
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return types.Timestamp{Time: t.UTC()}
		}
	}
	return failing("a text is no date of the form 2026-11-26 or of RFC 3339")
}

// layoutParts are what a layout may have, longest first.
var layoutParts = []struct{ name, layout string }{
	{"yyyy", "2006"}, {"yy", "06"}, {"MM", "01"}, {"M", "1"}, {"dd", "02"}, {"d", "2"},
	{"HH", "15"}, {"mm", "04"}, {"ss", "05"},
}

// checkLayout refuses a layout with letters that stand for nothing.
func checkLayout(_ *Env, layout string) (fault, mend string) {
	rest := layout
	for _, p := range layoutParts {
		rest = strings.ReplaceAll(rest, p.name, "\x00")
	}
	for _, r := range rest {
		if unicode.IsLetter(r) && r != 'T' && r != 'Z' {
			return "the layout has a " + string(r) + ", which stands for nothing", "write yyyy, yy, MM, M, dd, d, HH, mm, ss and what is no letter (T and Z are themselves)"
		}
	}
	return "", ""
}

// formatDate writes a date.
func formatDate(v ref.Val, layout string) ref.Val {
	t, ok := v.(types.Timestamp)
	if !ok || t.Time.IsZero() {
		return types.String("")
	}
	var b strings.Builder
next:
	for layout != "" && b.Len() < MaxText {
		for _, p := range layoutParts {
			if strings.HasPrefix(layout, p.name) {
				b.WriteString(t.Time.UTC().Format(p.layout))
				layout = layout[len(p.name):]
				continue next
			}
		}
		b.WriteByte(layout[0])
		layout = layout[1:]
	}
	return types.String(b.String())
}
