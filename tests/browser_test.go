package tests

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A browser is Chromium without a window, led by its own protocol over pipes
// (chromedevtools.github.io/devtools-protocol, --remote-debugging-pipe).
type browser struct {
	t       *testing.T
	to      *os.File
	answers chan cdpMessage
	gone    chan struct{}
	session string
	last    atomic.Int64
}

// A cdpMessage is an answer, or an event, which has no id.
type cdpMessage struct {
	ID     int64
	Result json.RawMessage
	Error  *struct{ Message string }
}

// startBrowser opens an empty page, or skips the test where there is no browser.
func startBrowser(t *testing.T, more ...string) *browser {
	t.Helper()
	path := chromium(t)
	fromUs, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, fromIt, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run",
		"--hide-scrollbars", "--remote-debugging-pipe", "--user-data-dir=" + t.TempDir(), "--window-size=1080,1150",
	}, more...)...)
	cmd.ExtraFiles = []*os.File{fromUs, fromIt} // 3 and 4, where it expects them
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fromUs.Close()
	fromIt.Close()
	b := &browser{t: t, to: to, answers: make(chan cdpMessage, 100), gone: make(chan struct{})}
	go b.listen(from)
	t.Cleanup(func() {
		cmd.Process.Kill()
		to.Close()
		<-b.gone
		_ = cmd.Wait() // it was killed
	})
	var target struct{ TargetID string }
	b.must("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.must("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	return b
}

// listen takes messages, which end with a zero byte, until the browser is gone.
func (b *browser) listen(from *os.File) {
	defer close(b.gone)
	defer from.Close()
	scan := bufio.NewScanner(from)
	scan.Buffer(nil, 64<<20)
	scan.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, 0); i >= 0 {
			return i + 1, data[:i], nil
		}
		return 0, nil, nil
	})
	for scan.Scan() {
		var m cdpMessage
		if json.Unmarshal(scan.Bytes(), &m) == nil && m.ID != 0 {
			b.answers <- m
		}
	}
}

// call makes one call of the protocol.
func (b *browser) call(method string, params, result any) error {
	id := b.last.Add(1)
	message := map[string]any{"id": id, "method": method, "params": params}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if _, err := b.to.Write(append(data, 0)); err != nil {
		return err
	}
	deadline := time.After(patience)
	for {
		select {
		case m := <-b.answers:
			switch {
			case m.ID != id:
				continue
			case m.Error != nil:
				return errors.New(m.Error.Message)
			case result == nil:
				return nil
			}
			return json.Unmarshal(m.Result, result)
		case <-b.gone:
			return errors.New("the browser is gone")
		case <-deadline:
			return errors.New("no answer from the browser")
		}
	}
}

func (b *browser) must(method string, params, result any) {
	b.t.Helper()
	if err := b.call(method, params, result); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
}

// open opens an address.
func (b *browser) open(address string) {
	b.t.Helper()
	b.must("Page.navigate", map[string]any{"url": address}, nil)
}

// eval gives the value of an expression in the page.
func (b *browser) eval(expression string) (string, error) {
	var answer struct {
		Result struct{ Value any }
		Fault  *struct{ Text string } `json:"exceptionDetails"`
	}
	err := b.call("Runtime.evaluate", map[string]any{"expression": expression}, &answer)
	if err == nil && answer.Fault != nil {
		err = errors.New(answer.Fault.Text)
	}
	return fmt.Sprint(answer.Result.Value), err
}

// shows waits until the page shows all of the texts.
func (b *browser) shows(texts ...string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		text, err := b.eval("document.readyState === 'complete' ? document.title + '\\n' + document.body.innerText : ''")
		missing := ""
		for _, want := range texts {
			if !strings.Contains(text, want) {
				missing = want
			}
		}
		if err == nil && missing == "" {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("the page does not show %q (%v):\n%s", missing, err, text)
		}
		time.Sleep(50 * time.Millisecond) // between two looks, nothing depends on it
	}
}

// click clicks the link or button with a text.
func (b *browser) click(text string) {
	b.t.Helper()
	found, err := b.eval(fmt.Sprintf(`(() => { const all = [...document.querySelectorAll('a,button,summary')].filter(e => e.textContent.trim() === %q);
		if (all.length) all[0].click(); return all.length })()`, text))
	if err != nil || found == "0" {
		b.t.Fatalf("there is nothing to click with %q: %v", text, err)
	}
}

// picture keeps a picture of the page where SCIM_BRIDGE_SCREENSHOTS names a
// directory.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("SCIM_BRIDGE_SCREENSHOTS")
	if dir == "" {
		return
	}
	var shot struct{ Data string }
	b.must("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &shot)
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
