package store_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scimbridge/sync/store"
)

const (
	crashDir    = "STORE_CRASH_DIR"
	crashRounds = 8
)

// TestMain makes the test binary the process that is killed, when asked to.
func TestMain(m *testing.M) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := runRounds(context.Background(), dir); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// runRounds writes a line before each step and after each round.
func runRounds(ctx context.Context, dir string) error {
	s, err := store.Open(ctx, options(dir))
	if err != nil {
		return err
	}
	defer s.Close()
	s.SetStageLimit(2000)
	s.SetFailpoint(func(step string) error {
		fmt.Println("step", step)
		return nil
	})
	src, err := s.Source(ctx, "a")
	if err != nil {
		return err
	}
	for n := int(src.Round) + 1; n <= crashRounds; n++ {
		if err := change(ctx, s, n); err != nil {
			return err
		}
		fmt.Println("done", n)
	}
	return nil
}

// killed runs rounds in another process, kills it after so many lines, and
// gives the last round that was reported done, 0 if none was, and whether the
// process ended by the signal.
func killed(t *testing.T, dir string, lines int) (done uint64, hit bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for sc := bufio.NewScanner(out); sc.Scan(); {
		if strings.HasPrefix(sc.Text(), "failed") {
			t.Error(sc.Text())
		}
		fmt.Sscanf(sc.Text(), "done %d", &done)
		if lines--; lines == 0 {
			cmd.Process.Kill()
		}
	}
	return done, cmd.Wait() != nil
}

func TestKilledAtAnyPoint(t *testing.T) {
	pictures := make([]string, crashRounds+1)
	for n := range pictures {
		pictures[n] = expected(t, n)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir, last := t.TempDir(), uint64(0)
	crashes := 0
	for range 30 {
		done, hit := killed(t, dir, 1+random.IntN(60))
		if hit {
			crashes++
		}
		last = max(last, done)
		s := openAt(t, dir, 0)
		src, err := s.Source(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		// The round after the last one reported may have been committed.
		if src.Round != last && src.Round != last+1 {
			t.Fatalf("round %d is done and the state is of round %d", last, src.Round)
		}
		last = src.Round
		if diff := cmp.Diff(pictures[last], picture(t, s)); diff != "" {
			t.Fatalf("the state of round %d is not whole:\n%s", last, diff)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if last > 0 {
			wantIndexes(t, s)
		}
		// The lock of the killed process is gone, and the state is written to.
		if err := s.SetApproved(t.Context(), "a", store.Approval{Round: last}); err != nil {
			t.Fatal(err)
		}
		s.Close()
		if last == crashRounds {
			dir, last = filepath.Join(t.TempDir(), "next"), 0
		}
	}
	t.Logf("%d crashes", crashes)
	if crashes < 10 {
		t.Error("that is too few to show anything")
	}
}
