package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/ledger/server/assets"
	"github.com/tccm/undersigned/testdata/tccm"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/check"
	"github.com/tccm/undersigned/verify/entry"
)

// skip leaves a test out for want of something; where nothing may be left out it fails.
func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("UNDERSIGNED_NO_SKIP") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// A reply is what the worker posts.
type reply struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
	MS     float64         `json:"ms"`
}

// A worker is worker.js in node, with the verifier that ships.
type worker struct {
	t    testing.TB
	in   io.WriteCloser
	out  *bufio.Reader
	next int
	load float64 // milliseconds
}

func startWorker(t testing.TB) *worker {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		skip(t, "node is not installed; install nodejs to run this test")
	}
	a := assets.Find(assets.Verifier)
	if a == nil {
		skip(t, "the verifier for browsers is not built; run make wasm before this test")
		return nil
	}
	dir := t.TempDir()
	args := []string{filepath.Join("testdata", "ask.mjs")}
	for name, data := range map[string][]byte{"worker.js": assets.Find("assets/worker.js").Body(), "wasm_exec.js": assets.Find("assets/wasm_exec.js").Body(), "packed": a.Gzip} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"worker.js", "wasm_exec.js", "packed"} {
		args = append(args, filepath.Join(dir, name))
	}
	cmd := exec.Command(node, args...)
	cmd.Stderr = os.Stderr
	w := &worker{t: t}
	if w.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.out = bufio.NewReaderSize(out, 1<<20)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error("node: ", err)
		}
	})
	loaded := w.read()
	if loaded.Error != "" {
		t.Fatal(loaded.Error)
	}
	w.load = loaded.MS
	return w
}

func (w *worker) read() (r reply) {
	w.t.Helper()
	line, err := w.out.ReadBytes('\n')
	if err != nil {
		w.t.Fatal("the worker does not answer: ", err)
	}
	if err := json.Unmarshal(line, &r); err != nil {
		w.t.Fatal(err)
	}
	return r
}

// ask asks the worker.
func (w *worker) ask(q check.Request) reply {
	w.t.Helper()
	w.next++
	question := map[string]any{"id": w.next, "do": q.Do, "base": q.Base, "limit": q.Limit, "statement": q.Statement, "as_of": q.AsOf, "size": q.Size, "name": q.Name, "domain": q.Domain, "index": q.Index}
	if q.Text != nil {
		question["text"] = *q.Text
	}
	files := map[string][]byte{}
	for name, data := range map[string][]byte{"bytes": q.Bytes, "about": q.About, "archive": q.Archive} {
		if data != nil {
			files[name] = data
		}
	}
	question["files"] = files
	line, err := json.Marshal(question)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.in.Write(append(line, '\n')); err != nil {
		w.t.Fatal("the worker has ended: ", err)
	}
	r := w.read()
	if r.ID != w.next {
		w.t.Fatalf("the worker answers question %d, not %d", r.ID, w.next)
	}
	return r
}

// A pair asks the verifier of this process and the one that ships, and holds the answers together.
type pair struct {
	t       *testing.T
	native  *check.Checker
	shipped *worker
	asked   int
	kinds   map[string]int // answers by kind and code
}

// ask returns the native answer.
func (p *pair) ask(what string, q check.Request) []byte {
	p.t.Helper()
	p.asked++
	r, err := p.native.Do(p.t.Context(), q, overHTTP, nil)
	got := p.shipped.ask(q)
	if err != nil {
		if want := check.Sentence(err); got.Error != want {
			p.t.Errorf("%s: the shipped verifier says %q and %s, want the error %q", what, got.Error, cut(got.Result), want)
		}
		p.kinds["error"]++
		return nil
	}
	want := r.JSON
	if r.Bytes != nil {
		var v map[string]any
		if err := json.Unmarshal(want, &v); err != nil {
			p.t.Fatal(err)
		}
		v["bytes"] = r.Bytes
		if want, err = json.Marshal(v); err != nil {
			p.t.Fatal(err)
		}
	}
	if !sameJSON(p.t, want, got.Result) {
		p.t.Errorf("%s: %s", what, difference(want, got))
	}
	var kind struct {
		Kind string `json:"kind"`
		Code int    `json:"code"`
	}
	if json.Unmarshal(want, &kind) == nil {
		p.kinds[fmt.Sprintf("%s %s %d", q.Do, kind.Kind, kind.Code)]++
	}
	return want
}

func cut(b []byte) []byte { return b[:min(len(b), 300)] }

// sameJSON compares values, not bytes: JavaScript has its own way to write them.
func sameJSON(t *testing.T, want, got []byte) bool {
	canonical := func(b []byte) []byte {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return b
		}
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	return bytes.Equal(canonical(want), canonical(got))
}

func difference(want []byte, got reply) string {
	if got.Error != "" {
		return fmt.Sprintf("the shipped verifier says %q, want %s", got.Error, cut(want))
	}
	i := 0
	for i < min(len(want), len(got.Result)) && want[i] == got.Result[i] {
		i++
	}
	from := max(0, i-100)
	return fmt.Sprintf("the shipped verifier says …%s, want …%s", cut(got.Result[min(from, len(got.Result)):]), cut(want[min(from, len(want)):]))
}

// overHTTP reads a record as worker.js does.
func overHTTP(base string) verify.Fetch {
	return func(ctx context.Context, path string) ([]byte, error) {
		r, err := http.Get(base + path)
		if err != nil {
			return nil, errors.New("the server cannot be reached")
		}
		defer r.Body.Close()
		switch r.StatusCode {
		case http.StatusOK:
		case http.StatusNotFound:
			return nil, fs.ErrNotExist
		default:
			return nil, errors.New("the server cannot be reached")
		}
		b, err := io.ReadAll(r.Body)
		if err != nil || int64(len(b)) > verify.FetchLimit(path) {
			return nil, errors.New("the server cannot be reached")
		}
		return b, nil
	}
}

const data = "../../testdata/tccm"

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// frozen is the frozen record, replayed in this process.
type frozen struct {
	policy, archive []byte
	record          *verify.Archive
	report          *verify.Report
	source          verify.RollSource
}

func readFrozen(t testing.TB) *frozen {
	t.Helper()
	f := &frozen{policy: readFile(t, data+"/policy.txt"), archive: readFile(t, data+"/archive.zip")}
	p, err := verify.ParsePolicy(f.policy)
	if err != nil {
		t.Fatal(err)
	}
	if f.record, err = verify.OpenArchive(bytes.NewReader(f.archive), int64(len(f.archive))); err != nil {
		t.Fatal(err)
	}
	if f.report, err = verify.AuditArchive(t.Context(), p, f.record, verify.AuditOptions{}); err != nil || !f.report.OK {
		t.Fatal(err, f.report.Sentence)
	}
	if f.source, err = check.ReceiptSource(t.Context(), f.report, f.record.Fetch); err != nil {
		t.Fatal(err)
	}
	return f
}

// receipts returns receipts of all entries, and of all sealed lists: whole, and of everybody and somebody else.
func (f *frozen) receipts(t *testing.T) map[string][]byte {
	all := map[string][]byte{"kept": readFile(t, data+"/apnic.net.tlog-proof")}
	for i := range f.report.Size {
		r, err := check.MakeReceipt(t.Context(), f.report, f.record.Fetch, i)
		if err != nil {
			t.Fatal(err)
		}
		all[fmt.Sprintf("entry %d", i)] = r.Bytes()
	}
	for _, st := range f.report.State.Statements() {
		for _, sealed := range f.report.State.Rolls(st.Statement) {
			domains := []string{"", "example.org", "zzz.example"}
			for _, m := range f.report.State.Members() {
				domains = append(domains, m.Domain)
			}
			for _, d := range domains {
				r, _, err := verify.MakeRollReceipt(f.source, sealed.Index, d)
				if err != nil {
					t.Fatal(err)
				}
				all[fmt.Sprintf("roll %d of %q", sealed.Index, d)] = r.Bytes()
			}
		}
	}
	return all
}

// bent returns variants of a file: bits flipped, lines dropped, doubled and swapped, and ends cut off.
func bent(r *rand.Rand, b []byte, n int) [][]byte {
	var all [][]byte
	for range n {
		c := slices.Clone(b)
		c[r.IntN(len(c))] ^= 1 << r.IntN(8)
		all = append(all, c)
	}
	lines := bytes.SplitAfter(b, []byte("\n"))
	for range n / 4 {
		i, j := r.IntN(len(lines)), r.IntN(len(lines))
		swapped := slices.Clone(lines)
		swapped[i], swapped[j] = swapped[j], swapped[i]
		all = append(all, bytes.Join(slices.Delete(slices.Clone(lines), i, i+1), nil), bytes.Join(slices.Insert(slices.Clone(lines), i, lines[j]), nil), bytes.Join(swapped, nil), b[:r.IntN(len(b))])
	}
	return all
}

func typed(s string) check.Request { return check.Request{Do: "check", Text: &s} }

// TestShipped asks the verifier that ships, in node, what it asks the one in this process, and wants the same answers: about every receipt of the
// frozen record and damaged ones, archives, policies, texts and names.
func TestShipped(t *testing.T) {
	p := &pair{t: t, native: check.New(time.Now), shipped: startWorker(t), kinds: map[string]int{}}
	f := readFrozen(t)
	random := rand.New(rand.NewPCG(7, 7))
	flips := 24
	if testing.Short() {
		flips = 4
	}
	receipts := f.receipts(t)
	names := make([]string, 0, len(receipts))
	for name := range receipts {
		names = append(names, name)
	}
	slices.Sort(names)
	if testing.Short() {
		names = slices.DeleteFunc(names, func(name string) bool {
			return strings.Contains(name, " of ") && !strings.HasSuffix(name, `""`) && !strings.HasSuffix(name, `of "apnic.net"`)
		})
	}
	text := tccm.Statement
	altered := bytes.Replace(text, []byte("equal footing"), []byte("fair footing"), 1)
	file := func(name string, b []byte) check.Request { return check.Request{Do: "check", Name: name, Bytes: b} }
	policy := string(f.policy)

	p.ask("a question before any policy", file("x", receipts["kept"]))
	p.ask("no question", check.Request{Do: "nothing"})
	for i, b := range bent(random, f.policy, flips) {
		if p.ask(fmt.Sprintf("policy %d", i), file("policy.txt", b)); p.t.Failed() {
			break
		}
		s := string(b)
		p.ask(fmt.Sprintf("policy %d, to judge by", i), check.Request{Do: "policy", Text: &s})
	}
	for _, s := range []string{"", "quorum none\n", strings.Repeat("#\n", verify.MaxPolicy)} {
		p.ask("another policy", check.Request{Do: "policy", Text: &s})
	}
	p.ask("the policy", check.Request{Do: "policy", Text: &policy})

	// Without a record.
	for _, name := range names {
		p.ask(name, file(name, receipts[name]))
	}
	for i, b := range bent(random, receipts["kept"], 4*flips) {
		p.ask(fmt.Sprintf("damaged receipt %d", i), file("x", b))
	}
	p.ask("a text, without a record", file("x", text))
	p.ask("a name, without a record", typed("apnic.net"))
	p.ask("a text to be kept", check.Request{Do: "text", Bytes: text})
	p.ask("a text, among texts", file("x", altered))
	p.ask("another text beside a receipt", check.Request{Do: "check", Name: "x", Bytes: receipts["kept"], About: altered})

	// With one that was damaged.
	for i, b := range bent(random, f.archive, flips) {
		p.ask(fmt.Sprintf("damaged archive %d", i), check.Request{Do: "record", Archive: b, Limit: 1000})
		if i%4 == 0 {
			p.ask(fmt.Sprintf("a receipt beside damaged archive %d", i), file("x", receipts["kept"]))
			p.ask(fmt.Sprintf("a text beside damaged archive %d", i), file("x", text))
		}
	}
	p.ask("a damaged archive that was dropped", file("x", bent(random, f.archive, 1)[0]))

	// With too small a limit, and with all of it.
	p.ask("part of the record", check.Request{Do: "record", Archive: f.archive, Limit: 3})
	p.ask("a receipt beside part of the record", file("x", receipts["kept"]))
	p.ask("a text beside part of the record", file("x", text))
	p.ask("the archive, dropped", file("archive.zip", f.archive))
	for _, name := range names {
		p.ask(name+", with the record", file(name, receipts[name]))
		p.ask(name+", about a text", check.Request{Do: "check", Name: name, Bytes: receipts[name], About: altered})
	}
	sealed := slices.IndexFunc(names, func(name string) bool { return strings.HasSuffix(name, ` of "apnic.net"`) })
	for i, b := range bent(random, receipts[names[sealed]], flips) {
		p.ask(fmt.Sprintf("damaged roll receipt %d", i), file("x", b))
	}
	corpus, err := filepath.Glob("../../verify/wording/testdata/corpus/*")
	if err != nil || len(corpus) < 80 {
		t.Fatal(err, len(corpus))
	}
	for _, path := range corpus {
		p.ask(path, file(filepath.Base(path), readFile(t, path)))
	}
	for i, b := range bent(random, text, flips) {
		p.ask(fmt.Sprintf("bent text %d", i), file("x", b))
	}
	statement := entry.Sum(text).String()
	for _, m := range f.report.State.Members() {
		p.ask(m.Domain, typed(m.Domain))
		p.ask(m.Name, typed(m.Name))
		p.ask(m.Domain, check.Request{Do: "organization", Domain: m.Domain, Statement: statement})
	}
	for _, s := range []string{"apnic", "https://www.apnic.net/about", "example.org", "net", "Registry", "on an equal footing", "on a fair footing", "\u202eevil", "<script>alert(1)</script>", " ", "\x00", "xn--a.example", strings.Repeat("a", 10_000), "%PDF-1.7\n", "{\\rtf1"} {
		p.ask(s, typed(s))
	}
	for _, b := range [][]byte{{0xff, 0xfe, 'a', 0}, {0, 1, 2, 3}, []byte("PK\x03\x04nothing"), []byte("%PDF-1.7\n%\xe2\xe3"), {}} {
		p.ask(fmt.Sprintf("%q", b), file("x", b))
	}
	for _, asOf := range []string{"", "2024-06-01", "2024-06-11", "2024-07-18", "2024-08-09", "2024-06-11T09:30:00Z", "yesterday"} {
		for _, size := range []uint64{0, 1, 30, 41, 42} {
			p.ask(fmt.Sprintf("the list as of %q, of %d", asOf, size), check.Request{Do: "roll", Statement: statement, AsOf: asOf, Size: size})
		}
	}
	p.ask("a list of nothing", check.Request{Do: "roll", Statement: "sha256:00"})
	for _, i := range []uint64{0, 20, 40, 41} {
		p.ask(fmt.Sprintf("receipt %d", i), check.Request{Do: "receipt", Index: i})
	}
	t.Logf("%d questions, %v", p.asked, p.kinds)
	for _, want := range []string{"check receipt 0", "check receipt 1", "check receipt 10", "check receipt 11", "check receipt 13", "check roll-receipt 0", "check text 0", "check text 10", "check quote 0", "check html 0", "record  20", "check policy 0", "check unknown 3", "check archive 0"} {
		if p.kinds[want] == 0 && !testing.Short() {
			t.Errorf("nothing was asked that is answered with %q", want)
		}
	}
}

// TestShippedOverHTTP has the verifier that ships read a record from a server, honest and not.
func TestShippedOverHTTP(t *testing.T) {
	p := &pair{t: t, native: check.New(time.Now), shipped: startWorker(t), kinds: map[string]int{}}
	f := readFrozen(t)
	policy := string(f.policy)
	lie := func(path string, b []byte) ([]byte, int) { return b, http.StatusOK }
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := f.record.Fetch(r.Context(), strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		b, code := lie(r.URL.Path, slices.Clone(b))
		w.WriteHeader(code)
		w.Write(b)
	}))
	defer s.Close()
	flip := func(prefix string) func(string, []byte) ([]byte, int) {
		return func(path string, b []byte) ([]byte, int) {
			if strings.HasPrefix(path, prefix) {
				b[len(b)/2] ^= 1
			}
			return b, http.StatusOK
		}
	}
	gone := func(prefix string) func(string, []byte) ([]byte, int) {
		return func(path string, b []byte) ([]byte, int) {
			if strings.HasPrefix(path, prefix) {
				return nil, http.StatusNotFound
			}
			return b, http.StatusOK
		}
	}
	for name, l := range map[string]func(string, []byte) ([]byte, int){
		"honest":           lie,
		"an altered entry": flip("/tile/entries/"),
		"altered hashes":   flip("/tile/0/"),
		"an altered note":  flip("/checkpoint"),
		"an altered quote": flip("/checkpoints/"),
		"an altered text":  flip("/blobs/"),
		"no entries":       gone("/tile/entries/"),
		"no quotes":        gone("/checkpoints/"),
		"no text":          gone("/blobs/"),
		"no checkpoint":    gone("/checkpoint"),
		"too long a note": func(path string, b []byte) ([]byte, int) {
			return append(b, make([]byte, verify.MaxNote)...), http.StatusOK
		},
		"a server that fails": func(path string, b []byte) ([]byte, int) { return b, http.StatusInternalServerError },
	} {
		lie = l
		p.ask("the policy", check.Request{Do: "policy", Text: &policy})
		got := p.ask(name, check.Request{Do: "record", Base: s.URL + "/", Limit: 1000})
		if name == "honest" && !bytes.Contains(got, []byte(`"replayed":true,"sentence":"Your browser re-checked all 41 entries."`)) {
			t.Errorf("%s: %s", name, cut(got))
		}
		p.ask(name+", a text", check.Request{Do: "check", Name: "x", Bytes: append(slices.Clone(tccm.Statement), " More."...)})
		p.ask(name+", a receipt", check.Request{Do: "check", Name: "x", Bytes: readFile(t, data+"/apnic.net.tlog-proof")})
		p.ask(name+", an organization", check.Request{Do: "organization", Domain: "apnic.net"})
	}
	lie = func(path string, b []byte) ([]byte, int) { return b, http.StatusOK }
	p.ask("no address", check.Request{Do: "record", Base: "ftp://example.org/"})
}

// BenchmarkShipped prints how long the verifier that ships takes in node: to load, to give the first verdict on a receipt and a later one, and
// to replay the frozen record, for each of its entries. Timings in node are a browser's, give or take its machine.
func BenchmarkShipped(b *testing.B) {
	w := startWorker(b)
	policy, receipt, archive := string(readFile(b, data+"/policy.txt")), readFile(b, data+"/apnic.net.tlog-proof"), readFile(b, data+"/archive.zip")
	w.ask(check.Request{Do: "policy", Text: &policy})
	judge := func() float64 { return w.ask(check.Request{Do: "check", Name: "x", Bytes: receipt}).MS }
	first := judge()
	var verdicts, replays float64
	n := 0
	for b.Loop() {
		verdicts += judge()
		replays += w.ask(check.Request{Do: "record", Archive: archive, Limit: 1000}).MS
		w.ask(check.Request{Do: "policy", Text: &policy}) // forgets the record
		n++
	}
	b.ReportMetric(w.load, "load-ms")
	b.ReportMetric(first, "first-verdict-ms")
	b.ReportMetric(verdicts/float64(n), "verdict-ms")
	b.ReportMetric(replays/float64(n)/41, "replay-ms/entry")
	b.ReportMetric(0, "ns/op")
}
