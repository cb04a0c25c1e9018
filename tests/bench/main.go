// Command bench measures scim-bridge against the limit and the plain way to do
// it, and writes what it found to docs/performance.md.
//
//	go run ./tests/bench            # some quarter of an hour
//	go run ./tests/bench -quick     # does everything work? Prints, and writes nothing
//
// It starts everything it needs on the loopback interface: simulated tenants,
// the program itself, nginx serving the very same pages as files, and a plain
// server made of elimity-com/scim and maps. nginx and wrk are installed by
// apt-get where they are missing and that is possible; otherwise their side is
// left out, and said to be. All sides take turns within one run, so that what
// the machine does beside hits all of them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	// Some parts are this program again, in a process of its own.
	if len(os.Args) == 3 {
		if part := map[string]func(string, io.Writer) error{plainCommand: servePlain, paceCommand: servePace}[os.Args[1]]; part != nil {
			if err := part(os.Args[2], os.Stdout); err != nil {
				fmt.Fprintln(os.Stderr, "bench:", err)
				os.Exit(1)
			}
			return
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	sizes   []int
	seconds float64 // of one measurement of a rate
	repeat  int     // measurements of each figure
	rounds  int     // delta rounds of each size
	parts   []string
	plain   int // most people that the plain server is given
	install bool
	race    bool
	out     string // the document; empty: only print
}

// parts are the measurements, in the order in which they are made.
var parts = []string{"first", "serving", "lookups", "queries", "imports", "rounds", "latency", "memory", "restart", "small", "mapping"}

func parseOptions(args []string) (options, error) {
	var o options
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	sizes := set.String("sizes", "10000,100000,1000000", "people in the tenants, ascending")
	chosen := set.String("parts", strings.Join(parts, ","), "what to measure")
	set.Float64Var(&o.seconds, "seconds", 1.5, "length of one measurement of a rate")
	set.IntVar(&o.repeat, "repeat", 5, "measurements of each figure")
	set.IntVar(&o.rounds, "rounds", 30, "delta rounds at each size")
	set.IntVar(&o.plain, "plain", 100_000, "most people the plain server is given: it takes some 10 KB of memory for each")
	set.BoolVar(&o.install, "install", true, "install nginx and wrk by apt-get where they are missing")
	set.BoolVar(&o.race, "race", false, "build the program with the race detector: for its findings, not for figures")
	set.StringVar(&o.out, "out", "docs/performance.md", "document to write the tables into; empty: print them only")
	quick := set.Bool("quick", false, "see in half a minute that everything works: small, short, and printed only")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if *quick {
		*sizes, o.seconds, o.repeat, o.rounds, o.out = "1000,3000", 0.2, 1, 3, ""
	}
	for text := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1000 {
			return o, fmt.Errorf("-sizes: %q is not a number of people, at least 1000", text)
		}
		o.sizes = append(o.sizes, n)
	}
	slices.Sort(o.sizes)
	o.parts = strings.Split(*chosen, ",")
	for _, p := range o.parts {
		if !slices.Contains(parts, p) {
			return o, fmt.Errorf("-parts: no part is called %q; there are %s", p, strings.Join(parts, ", "))
		}
	}
	if o.repeat < 1 || o.rounds < 1 || o.seconds < 0.1 {
		return o, errors.New("-repeat and -rounds are at least 1, -seconds at least 0.1")
	}
	return o, nil
}

// A bench is one run.
type bench struct {
	options
	dir    string // removed in the end
	binary string // scim-bridge
	wrk    string // empty: there is none
	worlds []*world
	site   *site  // nginx; nil: there is none
	plain  *plain // nil: not started
	report *report
	begun  time.Time
}

// say tells on stderr how far it is.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(b.begun).Seconds(), fmt.Sprintf(format, args...))
}

func (b *bench) wants(part string) bool { return slices.Contains(b.parts, part) }

func run(ctx context.Context, args []string) (err error) {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	b := &bench{options: o, begun: time.Now()}
	b.report = newReport(b)
	if b.dir, err = os.MkdirTemp("", "scim-bridge-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	defer b.close()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	for _, part := range []struct {
		name    string
		measure func(context.Context) error
	}{
		{"serving", b.serving}, {"lookups", b.lookups}, {"queries", b.queries},
		{"imports", b.imports}, {"rounds", b.deltas}, {"latency", b.latency}, {"memory", b.memory}, {"restart", b.restarts}, {"small", b.small}, {"mapping", b.mapping},
	} {
		if !b.wants(part.name) {
			continue
		}
		b.say("measuring: %s", part.name)
		if err := part.measure(ctx); err != nil {
			return fmt.Errorf("measuring %s: %w", part.name, err)
		}
	}
	if err := b.checkLogs(); err != nil {
		return err
	}
	return b.report.write()
}

// prepare builds the program, has it import tenants of each size, and starts
// the others.
func (b *bench) prepare(ctx context.Context) error {
	b.binary = filepath.Join(b.dir, "scim-bridge")
	args := []string{"build", "-o", b.binary}
	if b.race {
		args = append(args, "-race")
	}
	b.say("building scim-bridge")
	if err := command(ctx, "go", append(args, "scimbridge/cmd/scim-bridge")...); err != nil {
		return err
	}
	b.tools(ctx)
	for _, n := range b.sizes {
		b.say("importing a tenant of %s people", thousands(n))
		w, err := b.newWorld(ctx, n)
		if err != nil {
			return err
		}
		b.worlds = append(b.worlds, w)
		if err := w.first(ctx); err != nil {
			return fmt.Errorf("a first round of %d people: %w", n, err)
		}
	}
	if b.wants("first") {
		if err := b.firsts(ctx); err != nil {
			return err
		}
	}
	if b.wants("serving") || b.wants("lookups") || b.wants("imports") || b.wants("queries") {
		return b.startOthers(ctx)
	}
	return nil
}

// close ends all that was started.
func (b *bench) close() {
	if b.site != nil {
		b.site.close()
	}
	if b.plain != nil {
		b.plain.close()
	}
	for _, w := range b.worlds {
		w.close()
	}
}

// serve is the world that serving is measured in: the largest of which the
// plain server can take as many.
func (b *bench) serve() *world {
	chosen := b.worlds[0]
	for _, w := range b.worlds {
		if w.people <= b.options.plain {
			chosen = w
		}
	}
	return chosen
}

// largest is the world with the most people.
func (b *bench) largest() *world { return b.worlds[len(b.worlds)-1] }

// processors says on which processors a server and its clients are to run: on
// one each, so that what is compared is what a core can do and nobody's threads
// get in each other's way. Nil: where they like.
func processors() (server, client []int) {
	if runtime.NumCPU() < 2 {
		return nil, nil
	}
	return []int{0}, []int{1}
}
