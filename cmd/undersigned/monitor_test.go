package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tccm/undersigned/ledger/mirror"
)

// TestMonitorKilled ends a monitor with SIGKILL at any moment, again and again, while it hands its events to a program: whoever
// acts on each id once misses nothing, and acts on nothing twice.
func TestMonitorKilled(t *testing.T) {
	needTools(t, "tee")
	bin, dir, address := buildProgram(t), t.TempDir(), freeAddress(t)
	demo := filepath.Join(dir, "demo")
	if out, err := exec.Command(bin, "demo", "--once", "--dir", demo).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	serve := exec.Command(bin, "serve", "--dir", filepath.Join(demo, "ledger"), "--listen", address)
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		serve.Process.Signal(os.Interrupt)
		serve.Wait()
	}()
	for {
		resp, err := http.Get("http://" + address + "/healthz")
		if err == nil {
			resp.Body.Close()
			break
		}
		if serve.ProcessState != nil {
			t.Fatal("the ledger is not served")
		}
		time.Sleep(20 * time.Millisecond)
	}
	events := filepath.Join(dir, "events")
	kills := 0
	for delay := 20 * time.Millisecond; ; delay += delay / 3 {
		var said bytes.Buffer
		m := exec.Command(bin, "monitor", "http://"+address+"/", "--policy", filepath.Join(demo, "policy.txt"),
			"--state", filepath.Join(dir, "state"), "--all", "--once", "--exec", "tee -a "+events)
		m.Stderr = &said
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
		killer := time.AfterFunc(delay, func() { m.Process.Kill() })
		err := m.Wait()
		if killer.Stop() {
			if err != nil {
				t.Fatalf("after %d kills: %v\n%s", kills, err, said.Bytes())
			}
			break
		}
		kills++
	}
	f, err := os.Open(events)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := make(map[string]string)
	again := 0
	types := make(map[mirror.EventType]int)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e mirror.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		if before, known := seen[e.ID]; known {
			if again++; before != lines.Text() {
				t.Fatalf("two events have one id:\n%s\n%s", before, lines.Text())
			}
			continue
		}
		seen[e.ID] = lines.Text()
		if e.Sequence != uint64(len(seen)) {
			t.Fatalf("event %d, when %d is the next: %s", e.Sequence, len(seen), lines.Text())
		}
		types[e.Type]++
	}
	t.Logf("killed %d times; %d events, %d of them handed over again", kills, len(seen), again)
	if kills < 3 || fmt.Sprint(types[mirror.EventRegistration], types[mirror.EventEndorsement], types[mirror.EventWithdrawal], types[mirror.EventCharter], types[mirror.EventHeartbeat]) != "17 17 1 1 1" {
		t.Errorf("%d kills, %v", kills, types)
	}
}
