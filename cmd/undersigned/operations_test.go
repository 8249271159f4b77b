package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger/collector"
	"github.com/tccm/undersigned/ledger/tsa"
	"github.com/tccm/undersigned/ledger/witness"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// TestOperations runs the drills of docs/operations.md in order, in one shell, and holds what each block prints against
// what the page says.
func TestOperations(t *testing.T) {
	needTools(t, "bash", "curl", "go")
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	var script strings.Builder
	script.WriteString("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n")
	want := map[int][]string{}
	n := 0
	for _, b := range regexp.MustCompile("(?s)```(sh|text)\n(.*?)```").FindAllSubmatch(page, -1) {
		if string(b[1]) == "text" {
			want[n] = strings.Split(strings.TrimSpace(string(b[2])), "\n")
			continue
		}
		n++
		fmt.Fprintf(&script, "echo '=== block %d'\n", n)
		for line := range strings.Lines(strings.ReplaceAll(string(b[2]), "127.0.0.1:8080", address)) {
			script.WriteString(line)
			if strings.HasSuffix(line, "& server=$!\n") {
				script.WriteString("for i in $(seq 200); do (: < /dev/tcp/${ADDRESS/:/\\/}) 2> /dev/null && break; sleep 0.05; done\n")
			}
		}
	}
	cmd := exec.Command("bash", "-c", script.String())
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(buildProgram(t))+":"+os.Getenv("PATH"), "ADDRESS="+address, "HOME="+cmd.Dir, "XDG_CONFIG_HOME="+cmd.Dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("a drill fails: %v\n%s", err, out)
	}
	printed := regexp.MustCompile(`(?m)^=== block \d+\n`).Split(string(out), -1)
	if len(printed) != n+1 || len(want) < n/2 {
		t.Fatalf("%d blocks, %d of which say what they print\n%s", n, len(want), out)
	}
	for i, lines := range want {
		for _, line := range lines {
			pattern := "(?m)^" + strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + "$"
			if !regexp.MustCompile(pattern).MatchString(printed[i]) {
				t.Errorf("block %d does not print %q but\n%s", i, line, printed[i])
			}
		}
	}
}

// TestMetricNames finds each metric that the pages for operators name at /metrics.
func TestMetricNames(t *testing.T) {
	dir := t.TempDir()
	if _, err := makeHouse(t.Context(), dir, first(aCharter(t)), noon); err != nil {
		t.Fatal(err)
	}
	h, err := openHouse(t.Context(), dir, nil, noon, nil)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := writeCertificate(t, t.TempDir(), 1)
	if h.cert, err = openCertificate(certFile, keyFile, "", slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	_, vkeys := frozenKeys(t, "witness.example/w", "witness that is never asked", keys.TypeCosignatureEd25519)
	policy, err := verify.ParsePolicy(witnessedPolicyText(h.logs, "", policyVoter{vkeys: vkeys, address: "http://127.0.0.1:1/"}))
	if err != nil {
		t.Fatal(err)
	}
	if h.asked, err = witness.NewClient(witness.ClientConfig{Origin: h.ledger.Origin(), Logs: h.logs, Policy: policy, Now: noon}); err != nil {
		t.Fatal(err)
	}
	stamps, err := tsa.NewClient("http://127.0.0.1:1/", noon, nil)
	if err != nil {
		t.Fatal(err)
	}
	h.stamper = tsa.NewStamper(h.ledger, []*tsa.Client{stamps}, noon, nil)
	h.keeper = collector.NewKeeper(h.ledger, &collector.Collector{Resolver: "127.0.0.1:1", Now: noon}, nil, nil)
	service, err := startService(t.Context(), h, "127.0.0.1:0", "", noon, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	// What counts by label is there once it has counted.
	r, err := client.Post(service.url+"entries", "text/plain", strings.NewReader("no entry"))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	// A request is counted after it was answered.
	var metrics []byte
	for end := time.Now().Add(10 * time.Second); !bytes.Contains(metrics, []byte("undersigned_http_requests_total")) && time.Now().Before(end); {
		if r, err = client.Get(service.url + "metrics"); err != nil {
			t.Fatal(err)
		}
		if metrics, err = io.ReadAll(r.Body); err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
	}
	if bytes.Contains(metrics, []byte("undersigned_certificate_expiry_timestamp_seconds 0\n")) {
		t.Error("the metrics do not tell when the certificate expires")
	}
	for _, page := range []string{"operations.md", "alerts.yml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`\b(undersigned|process)_[a-z_]+[a-z]\b`).FindAll(text, -1)
		if len(names) < 10 {
			t.Errorf("%s names %d metrics", page, len(names))
		}
		for _, name := range names {
			if !bytes.Contains(metrics, append([]byte("# TYPE "), append(name, ' ')...)) {
				t.Errorf("%s names %s, which is not at /metrics", page, name)
			}
		}
	}
}

// freeAddress returns an address at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// buildProgram builds this program and returns its path, whose last part is undersigned.
func buildProgram(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "undersigned")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// TestUnit holds docs/undersigned.service against systemd, and starts the server as it says.
func TestUnit(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "undersigned.service"))
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/(undersigned serve .*)$`).FindSubmatch(text)
	if command == nil {
		t.Fatal("the unit starts something else")
	}
	dir := t.TempDir()
	if _, err := makeHouse(t.Context(), filepath.Join(dir, "ledger"), first(aCharter(t)), noon); err != nil {
		t.Fatal(err)
	}
	args := strings.NewReplacer("/var/lib/undersigned", dir, "127.0.0.1:8080", "127.0.0.1:0").Replace(string(command[1]))
	serve := exec.Command(buildProgram(t), strings.Fields(args)[1:]...)
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if !strings.HasPrefix(line, "Serving ledger.example at http://127.0.0.1:") {
		t.Errorf("it says %q", line)
	}
	serve.Process.Signal(syscall.SIGTERM)
	if err := serve.Wait(); err != nil {
		t.Errorf("it does not end well: %v", err)
	}

	needTools(t, "systemd-analyze")
	// systemd looks for the program and the user.
	unit := filepath.Join(dir, "undersigned.service")
	checked := strings.NewReplacer("/usr/local/bin/undersigned", "/bin/true", "User=undersigned", "User=daemon").Replace(string(text))
	if err := os.WriteFile(unit, []byte(checked), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", unit).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func first[A, B any](a A, _ B) A { return a }

// TestProxy puts nginx, as docs/operations.md configures it, before a server: the record is audited, and written to,
// through it, and no byte or path changes on the way.
func TestProxy(t *testing.T) {
	needTools(t, "nginx")
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	config := regexp.MustCompile("(?s)```nginx\n(.*?)```").FindSubmatch(page)
	if config == nil {
		t.Fatal("the page has no configuration")
	}
	dir := t.TempDir()
	key, policy := filepath.Join(dir, "operator.pem"), filepath.Join(dir, "ledger", policyFile)
	for _, args := range [][]string{
		{"key", "new", "--no-password", "-o", key},
		{"init", "--dir", filepath.Join(dir, "ledger"), "--origin", "ledger.example", "--title", "Test", "--operator", "ledger.example", "--operator-key", key},
	} {
		if code, _, stderr := runWith(t.Context(), args...); code != codeOK {
			t.Fatal(stderr)
		}
	}
	h, err := openHouse(t.Context(), filepath.Join(dir, "ledger"), nil, time.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	service, err := startService(t.Context(), h, "127.0.0.1:0", "", time.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	behind := strings.TrimSuffix(strings.TrimPrefix(service.url, "http://"), "/")
	address := freeAddress(t)
	server := regexp.MustCompile(`(?m)^\s*ssl_.*\n`).ReplaceAllString(string(config[1]), "")
	server = strings.NewReplacer("listen 443 ssl http2;", "listen "+address+";", "http://127.0.0.1:8080", "http://"+behind).Replace(server)
	whole := "daemon off;\nerror_log stderr;\npid " + dir + "/pid;\nevents {}\nhttp {\naccess_log off;\n"
	if os.Geteuid() == 0 {
		whole = "user root;\n" + whole // workers of another user could not enter the directory
	}
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		whole += kind + "_temp_path " + dir + "/" + kind + ";\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(whole+server+"}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	nginx := exec.Command("nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
	nginx.Stderr = &said
	if err := nginx.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		nginx.Process.Signal(syscall.SIGTERM)
		nginx.Wait()
	}()
	public := "http://" + address + "/"
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("nginx does not listen: %s", &said)
		}
	}

	// A text of the greatest size is published, and the record audited.
	text := filepath.Join(dir, "statement.txt")
	if err := os.WriteFile(text, append(bytes.Repeat([]byte("a"), entry.MaxStatement-1), '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	common := []string{"--ledger", public, "--policy", policy, "--key", key, "--domain", "ledger.example"}
	for _, args := range [][]string{
		append([]string{"statement", "publish", "--statement", text, "--title", "A text", "--receipt", filepath.Join(dir, "receipt")}, common...),
		{"audit", "--policy", policy, public},
	} {
		if code, stdout, stderr := runWith(t.Context(), args...); code != codeOK {
			t.Fatalf("%q: %d %s %s", args[0], code, stdout, stderr)
		}
	}
	// get asks for a path as it is written, which net/http's client does not.
	get := func(at, path string) string {
		t.Helper()
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: ledger.example\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n", path)
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		head := []string{r.Status}
		for _, name := range []string{"Content-Type", "Content-Encoding", "Cache-Control", "Etag", "Access-Control-Allow-Origin", "Content-Security-Policy"} {
			head = append(head, name+": "+strings.Join(r.Header[name], ", "))
		}
		return strings.Join(head, "\n") + "\n\n" + string(b)
	}
	for _, path := range []string{
		"/checkpoint", "/checkpoints/2", "/tile/0/000.p/2", "/tile/entries/000.p/2", "/readyz",
		"//checkpoint", "/tile//0/000.p/2", "/tile/0/%30%30%30.p/2", "/a/../checkpoint", "/checkpoint/", "/checkpoints/02", "/%63heckpoint", "/nothing",
		"/api/v1/statements?limit=1&limit=2",
	} {
		if direct, through := get(behind, path), get(address, path); direct != through {
			t.Errorf("%s is\n%s\nand through nginx\n%s", path, direct, through)
		}
	}
	if got := get(address, "/metrics"); !strings.HasPrefix(got, "403 ") {
		t.Errorf("everybody may read the metrics: %.200s", got)
	}
}
