// Package words writes numbers, and counts of changes, as people read them, alike in
// every command and on every page.
package words

import "strconv"

// Thousands writes a number with commas: 1,234,567.
func Thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Count gives a number with its noun, which takes an s unless it is one: 1 round,
// 2,300 rounds.
func Count(n int, noun string) string { return CountOf(n, noun, noun+"s") }

// CountOf is Count for nouns with a plural of their own.
func CountOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Thousands(n) + " " + many
}
