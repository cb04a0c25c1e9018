// Command soak plays random histories on the mirror for a while and prints what
// was played. It ends with status 1 at the first deviation from the model.
//
//	go run ./tests/soak -for 10m
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"reflect"
	"text/tabwriter"
	"time"

	"scimbridge/sync/mirror/mirrortest"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run() error {
	length := flag.Duration("for", 10*time.Minute, "how long to play")
	seed := flag.Uint64("seed", uint64(time.Now().Unix()), "of the first history; those after it count up")
	steps := flag.Int("steps", 300, "steps of a history")
	flag.Parse()
	var all mirrortest.Figures
	started := time.Now()
	for s := *seed; time.Since(started) < *length; s++ {
		f, err := play(s, *steps)
		all.Add(f)
		if err != nil {
			print(all, *seed, time.Since(started))
			return err
		}
	}
	print(all, *seed, time.Since(started))
	return nil
}

// play plays one history in a directory of its own.
func play(seed uint64, steps int) (mirrortest.Figures, error) {
	dir, err := os.MkdirTemp("", "scim-bridge-soak-")
	if err != nil {
		return mirrortest.Figures{}, err
	}
	defer os.RemoveAll(dir)
	return mirrortest.Play(context.Background(), mirrortest.Options{Dir: dir, Seed: seed, Steps: steps})
}

func print(f mirrortest.Figures, seed uint64, took time.Duration) {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "first seed\t%d\n", seed)
	fmt.Fprintf(w, "time\t%s\n", took.Round(time.Second))
	v := reflect.ValueOf(f)
	for i := range v.NumField() {
		fmt.Fprintf(w, "%s\t%d\n", v.Type().Field(i).Name, v.Field(i).Int())
	}
	w.Flush()
}
