package scim

import (
	"strings"
	"time"
)

// parseTime reads a dateTime as clients send it in filters, and as the
// directory renders it. It takes what RFC 7643 §2.3.5 asks for (xsd:dateTime)
// and, because importers build their timestamps from patterns of their own:
//
//   - no zone: UTC;
//   - a date alone: its first moment, UTC;
//   - hour 24 (the pattern letters kk, which count from 1 to 24): hour 0 of the
//     same day. XML Schema has 24:00:00 as the next day, but a client that sends
//     24:15 means a quarter past midnight, and the earlier of two readings can
//     only add to what an incremental import is given;
//   - a date written by the week-year pattern (YYYY): as the plain date it looks
//     like;
//   - a blank in the place of T, and in that of the offset's plus sign, which
//     an undecoded + in a query string turns into; offsets without colon or
//     minutes; lower-case t and z; seconds left out; a comma as decimal mark.
//
// Second 60 is the first of the next minute.
func parseTime(s string) (time.Time, bool) {
	p := timeParser{rest: s}
	year := p.digits(4)
	p.byte("-")
	month := p.digits(2)
	p.byte("-")
	day := p.digits(2)
	var hour, minute, second, nano int
	zone := time.UTC
	if p.rest != "" {
		p.byte("Tt ")
		hour = p.digits(2)
		p.byte(":")
		minute = p.digits(2)
		if strings.HasPrefix(p.rest, ":") {
			p.byte(":")
			second = p.digits(2)
			nano = p.fraction()
		}
		zone = p.zone()
	}
	switch {
	case p.bad || p.rest != "", month < 1 || month > 12, day < 1 || day > daysIn(year, month),
		hour > 24, minute > 59, second > 60:
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour%24, minute, second, nano, zone), true
}

// daysIn is the number of days of a month.
func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// A timeParser eats a timestamp from the front; bad stays set once it finds
// something else than what it was asked for.
type timeParser struct {
	rest string
	bad  bool
}

// byte eats one of the given characters and gives it.
func (p *timeParser) byte(oneOf string) byte {
	if p.bad || p.rest == "" || strings.IndexByte(oneOf, p.rest[0]) < 0 {
		p.bad = true
		return 0
	}
	c := p.rest[0]
	p.rest = p.rest[1:]
	return c
}

// digits eats exactly n digits and gives their number.
func (p *timeParser) digits(n int) int {
	value := 0
	for range n {
		value = value*10 + int(p.byte("0123456789")-'0')
	}
	if p.bad {
		return 0
	}
	return value
}

// fraction eats a fraction of a second, if there is one, and gives it in
// nanoseconds; finer digits are dropped.
func (p *timeParser) fraction() int {
	if p.rest == "" || p.rest[0] != '.' && p.rest[0] != ',' {
		return 0
	}
	p.rest = p.rest[1:]
	n := 0
	for n < len(p.rest) && '0' <= p.rest[n] && p.rest[n] <= '9' {
		n++
	}
	p.bad = p.bad || n == 0
	nano, unit := 0, int(100*time.Millisecond)
	for _, digit := range p.rest[:n] {
		nano += int(digit-'0') * unit
		unit /= 10
	}
	p.rest = p.rest[n:]
	return nano
}

// zone eats the zone.
func (p *timeParser) zone() *time.Location {
	if p.rest == "" {
		return time.UTC
	}
	sign := p.byte("Zz+- ")
	if p.bad || sign == 'Z' || sign == 'z' {
		return time.UTC
	}
	hours, minutes := p.digits(2), 0
	if p.rest != "" {
		if p.rest[0] == ':' {
			p.byte(":")
		}
		minutes = p.digits(2)
	}
	if hours > 14 || minutes > 59 {
		p.bad = true
	}
	offset := hours*3600 + minutes*60
	if sign == '-' {
		offset = -offset
	}
	if offset == 0 {
		return time.UTC
	}
	return time.FixedZone("", offset)
}
