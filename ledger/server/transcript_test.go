package server

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var show = flag.Bool("show", false, "print what the server answers to each request of a transcript")

// A transcript is a file of exchanges with a fresh world:
//
//	# What this shows.
//	> POST /entries?wait=0s
//	> Content-Type: text/plain
//	> @truncated
//	< 400
//	< Content-Type: application/problem+json
//	{"type":"urn:undersigned:problem:syntax",…}
//
// "@name" is one of bodies, "{text}" and "{closed}" are the statements' fingerprints in hexadecimal, "{entry}" is that of entry 8,
// and "…" stands for anything. A header without a value must be absent. After an answer of 4xx or
// 5xx the record must be as it was. The world of rolls.txt has sealed lists (seal).
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t)
			if strings.HasSuffix(file, "rolls.txt") {
				seal(w)
			}
			for _, e := range exchanges(t, strings.NewReplacer("{text}", hexOf(w.text), "{closed}", hexOf(w.closed), "{entry}", hexOf(w.idOf(8))).Replace(string(data))) {
				t.Run(e.title, func(t *testing.T) { e.check(t, w) })
			}
			if w.log.Len() > 0 {
				t.Errorf("clients made the server log:\n%s", &w.log)
			}
		})
	}
}

type exchange struct {
	title   string
	line    string
	headers []string
	body    string
	status  string
	want    []string
	answer  string
}

func exchanges(t *testing.T, text string) []*exchange {
	var all []*exchange
	var e *exchange
	for n, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "# "):
			e = &exchange{title: line[2:]}
			all = append(all, e)
		case e == nil:
			t.Fatalf("line %d comes before the first title", n+1)
		case strings.HasPrefix(line, "> @"):
			e.body = line[3:]
		case strings.HasPrefix(line, "> ") && e.line == "":
			e.line = line[2:]
		case strings.HasPrefix(line, "> "):
			e.headers = append(e.headers, line[2:])
		case strings.HasPrefix(line, "< ") && e.status == "":
			e.status = line[2:]
		case strings.HasPrefix(line, "< "):
			e.want = append(e.want, line[2:])
		default:
			e.answer += line + "\n"
		}
	}
	return all
}

func (e *exchange) check(t *testing.T, w *world) {
	var body []byte
	if e.body != "" {
		makeBody := bodies[e.body]
		if makeBody == nil {
			t.Fatalf("no body %q", e.body)
		}
		body = makeBody(w)
	}
	var raw bytes.Buffer
	fmt.Fprintf(&raw, "%s HTTP/1.1\r\nHost: ledger.example\r\n", e.line)
	for _, h := range e.headers {
		fmt.Fprintf(&raw, "%s\r\n", h)
	}
	if body != nil {
		fmt.Fprintf(&raw, "Content-Length: %d\r\n", len(body))
	}
	raw.WriteString("\r\n")
	raw.Write(body)
	// As the server would read it: no client has cleaned the path.
	r, err := http.ReadRequest(bufio.NewReader(&raw))
	if err != nil {
		t.Fatal(err)
	}

	before := w.ledger.Stats()
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	got := rec.Result()
	agrees(t, theContract(), r.Method, r.RequestURI, rec)
	if *show {
		t.Logf("%d %v\n%s", got.StatusCode, got.Header, rec.Body)
	}
	if fmt.Sprint(got.StatusCode) != e.status {
		t.Errorf("%s: status %d, want %s\n%s", e.line, got.StatusCode, e.status, rec.Body)
	}
	for _, h := range e.want {
		name, value, _ := strings.Cut(h, ":")
		if have := strings.Join(got.Header.Values(name), ", "); !matchesPattern(have, strings.TrimSpace(value)) {
			t.Errorf("%s: header %s: %q, want %q", e.line, name, have, strings.TrimSpace(value))
		}
	}
	if have := rec.Body.String(); strings.TrimSpace(e.answer) != "" && !matchesPattern(strings.TrimRight(have, "\n"), strings.TrimRight(e.answer, "\n")) {
		t.Errorf("%s: answer\n%s\nwant\n%s", e.line, have, e.answer)
	}
	if got.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(got.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%s: the security headers are not there", e.line)
	}
	if got.StatusCode >= 400 {
		if after := w.ledger.Stats(); after.Stored != before.Stored || after.Commits != before.Commits {
			t.Errorf("%s: a refused request changed the record", e.line)
		}
		if got.Header.Get("Content-Type") != typeProblem {
			t.Errorf("%s: an error of type %q", e.line, got.Header.Get("Content-Type"))
		}
	}
}

func matchesPattern(have, pattern string) bool {
	parts := strings.Split(pattern, "…")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`(?s)\A` + strings.Join(parts, ".*") + `\z`).MatchString(have)
}
