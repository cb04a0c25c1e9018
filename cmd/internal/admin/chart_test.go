package admin

import (
	"strings"
	"testing"
	"time"
)

func TestTrend(t *testing.T) {
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	rounds := func(users ...int) []PastRound {
		var past []PastRound
		for i, n := range users {
			past = append([]PastRound{{Started: start.Add(time.Duration(i) * time.Minute), Users: n, Groups: 5}}, past...)
		}
		return past
	}
	for name, c := range map[string]struct {
		rounds []PastRound
		points string
		span   string
	}{
		"nothing":                     {nil, "", "0"},
		"one round":                   {rounds(10), "", "0"},
		"two":                         {rounds(10, 20), "0,84 600,6", "10 to 20"},
		"a fall":                      {rounds(1000, 1000, 0, 500), "0,6 200,6 600,84", "500 to 1,000"},
		"level":                       {rounds(7, 7), "0,30 600,30", "7"},
		"rounds before any picture":   {append(rounds(5, 6), PastRound{Started: start.Add(-time.Hour)}), "0,84 600,6", "5 to 6"},
		"two rounds at the same time": {[]PastRound{{Started: start, Users: 1}, {Started: start, Users: 2}}, "", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "a fall" { // nobody served counts only where groups are not either
				c.rounds[1].Groups = 0
			}
			got := newTrend(c.rounds)
			if got.Users.Points != c.points || got.Users.Span() != c.span {
				t.Errorf("points %q, %s", got.Users.Points, got.Users.Span())
			}
		})
	}
	many := newTrend(rounds(make([]int, 1000)...))
	if n := len(strings.Fields(many.Groups.Points)); n != trendPoints || !strings.HasPrefix(many.Groups.Points, "0,") || !strings.HasSuffix(many.Groups.Points, "600,60") {
		t.Errorf("1000 rounds are drawn as %d points: %s", n, many.Groups.Points)
	}
}

// Nobody wants to know to the millisecond when a round was.
func TestRough(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "less than 1 s", 284 * time.Millisecond: "less than 1 s", time.Second: "1 s", 90 * time.Minute: "1 h 30 min",
	} {
		if got := rough(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
