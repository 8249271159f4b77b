package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// A crook runs a ledger with a good key and shows whatever it likes, at an address over HTTP. Those who watch are the program
// itself: three witnesses, the last of which replays the record, a mirror, a monitor, auditors, and readers with a receipt.
type crook struct {
	t       *testing.T
	dir     string
	url     string // of the ledger
	signers []ledger.Signer
	watch   []*watchman
	policy  string            // the readers' file
	strict  *verify.Policy    // one that asks for the replaying witness beside that
	rec     *rolltest.Record  // the true record, which is what was shown at first
	notes   map[uint64][]byte // published, by size

	mu     sync.Mutex
	leaves [][]byte // that are shown now
	note   []byte   // and the checkpoint
}

// A watchman is a witness, and the size that it cosigned last.
type watchman struct {
	dir, url string
	size     int
}

const crookText = "We, the undersigned, stand by the technical community.\n"

// newCrook is an honest ledger so far, of which everybody has seen six entries and finds nothing wrong with them.
func newCrook(t *testing.T) *crook {
	c := &crook{t: t, dir: t.TempDir(), notes: make(map[uint64][]byte)}
	web := httptest.NewServer(c)
	t.Cleanup(web.Close)
	c.url = web.URL + "/"
	var vkeys []keys.VKey
	c.signers, vkeys = frozenKeys(t, rolltest.Origin, "log", keys.TypeEd25519)
	var logs, policy strings.Builder
	for _, v := range vkeys {
		fmt.Fprintf(&logs, "log %s %s\n", v, c.url)
	}
	policy.WriteString(logs.String())
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	for i := range 3 {
		address := freeAddress(t)
		w := &watchman{dir: filepath.Join(c.dir, fmt.Sprintf("w%d", i+1)), url: "http://" + address}
		c.watch = append(c.watch, w)
		c.must("witness", "new", w.dir, "--name", fmt.Sprintf("w%d.example/w", i+1))
		policy.WriteString(c.must("witness", "show", w.dir, "--url", w.url))
		c.write(filepath.Join(w.dir, witnessLogsFile), []byte(logs.String()))
		args := []string{"witness", "serve", w.dir, "--listen", address}
		if i == 2 {
			args = append(args, "--replay")
		}
		running.Go(func() {
			if code, _, stderr := runWith(ctx, args...); code != codeOK && ctx.Err() == nil {
				t.Errorf("%v: exit code %d, %s", args, code, stderr)
			}
		})
		waitUntil(t, func() bool {
			resp, err := http.Get(w.url)
			if err == nil {
				resp.Body.Close()
			}
			return err == nil
		})
	}
	policy.WriteString("group undersigned-replaying any w3-example-w\n")
	var err error
	if c.strict, err = verify.ParsePolicy([]byte(policy.String() + "group plain any w1-example-w w2-example-w\ngroup strict all plain undersigned-replaying\nquorum strict\n")); err != nil {
		t.Fatal(err)
	}
	policy.WriteString("group two 2 w1-example-w w2-example-w undersigned-replaying\nquorum two\n")
	c.policy = filepath.Join(c.dir, "policy.txt")
	c.write(c.policy, []byte(policy.String()))
	c.must("mirror", "new", c.path("m"), "--name", "mirror.example/m")
	c.must("mirror", "show", c.path("m"))
	if err := os.MkdirAll(c.path("m", mirroredDir), 0o700); err != nil {
		t.Fatal(err)
	}
	c.write(c.path("m", mirroredDir, "ledger.txt"), []byte(policy.String()))

	// An hour and a half ago there were no witnesses yet, and since then there was no entry.
	operator := rolltest.NewOrg("operator.example", 1, 0, 1)
	c.rec = rolltest.Empty(t, operator)
	c.rec.Now = time.Now().UTC().Truncate(time.Millisecond).Add(-90 * time.Minute)
	charter := c.rec.Draft(&entry.Charter{
		Title: "A record for tests", Operator: operator.Domain, PublicKeys: []entry.PublicKey{operator.Keys[0].Line()},
		Admission: entry.Admission{Operator: true}, Roll: "manual",
	}, operator)
	charter.Genesis, charter.Previous = true, nil
	c.rec.Must(rolltest.Sign(charter))
	c.keep(c.sign(c.rec.Leaves, c.rec.Now))
	c.rec.Publish(crookText)
	c.rec.Join("a.example")
	c.rec.Join("b.example")
	c.keep(c.sign(c.rec.Leaves, c.rec.Now))
	c.rec.Must(c.endorsement(c.rec, "a.example"))
	c.rec.Must(c.endorsement(c.rec, "b.example"))
	c.publish()
	for _, look := range c.looks() {
		if code, out := look.run(0); code != codeOK {
			t.Fatalf("%s finds before any lie: exit code %d, %s", look.who, code, out)
		}
	}
	return c
}

// waitUntil waits for something to hold.
func waitUntil(t *testing.T, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never came to be")
		}
	}
}

func (c *crook) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

func (c *crook) write(path string, b []byte) {
	c.t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// must runs the program, which must succeed.
func (c *crook) must(args ...string) string {
	c.t.Helper()
	code, out, stderr := runWith(c.t.Context(), args...)
	if code != codeOK {
		c.t.Fatalf("%v: exit code %d, %s", args, code, stderr)
	}
	return out
}

// ServeHTTP shows the ledger as tlog-tiles says.
func (c *crook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/")
	var b []byte
	if path == "checkpoint" {
		b = c.note
	}
	for size, note := range c.notes {
		if path == verify.CheckpointPath(size) {
			b = note
		}
	}
	if path == verify.BlobPath(entry.Sum([]byte(crookText))) {
		b = []byte(crookText)
	}
	if tile, err := verify.ParseTilePath(path); err == nil && tile.Index == 0 && tile.Level <= 0 && tile.Width <= len(c.leaves) {
		for _, leaf := range c.leaves[:tile.Width] {
			if tile.Level == -1 {
				b = verify.AppendBundleEntry(b, leaf)
				continue
			}
			h := verify.LeafHash(leaf)
			b = append(b, h[:]...)
		}
	}
	if b == nil {
		http.NotFound(w, r)
		return
	}
	w.Write(b)
}

// node returns the reader of a tree's hashes.
func node(leaves [][]byte) verify.NodeReader {
	var read verify.NodeReader
	read = func(level uint, index uint64) ([32]byte, error) {
		if level == 0 {
			return verify.LeafHash(leaves[index]), nil
		}
		l, err := read(level-1, 2*index)
		if err != nil {
			return l, err
		}
		r, err := read(level-1, 2*index+1)
		return verify.NodeHash(l, r), err
	}
	return read
}

// sign has the log's keys sign a tree.
func (c *crook) sign(leaves [][]byte, at time.Time) []byte {
	c.t.Helper()
	root, err := verify.RootAt(uint64(len(leaves)), node(leaves))
	if err != nil {
		c.t.Fatal(err)
	}
	checkpoint := verify.Checkpoint{Origin: rolltest.Origin, Size: uint64(len(leaves)), Root: root}
	note := append(checkpoint.Text(), '\n')
	for _, s := range c.signers {
		seconds := uint64(at.Unix())
		sig, err := s.Sign(verify.SignedMessage(s.VKey, seconds, checkpoint))
		if err != nil {
			c.t.Fatal(err)
		}
		if s.VKey.Type != keys.TypeEd25519 {
			sig = verify.TimestampedSignature(seconds, sig)
		}
		note = append(note, verify.SignatureLine(s.VKey, sig)...)
	}
	return note
}

// ask asks a witness for its cosignature, with the best proof that there is. It returns what was answered.
func (c *crook) ask(w *watchman, leaves [][]byte, note []byte) (status int, lines []byte) {
	c.t.Helper()
	body := fmt.Appendf(nil, "old %d\n", w.size)
	if 0 < w.size && w.size < len(leaves) {
		proof, err := verify.Consistency(uint64(w.size), uint64(len(leaves)), node(leaves))
		if err != nil {
			c.t.Fatal(err)
		}
		for _, h := range proof {
			body = fmt.Appendf(body, "%s\n", base64.StdEncoding.EncodeToString(h[:]))
		}
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Post(w.url+"/add-checkpoint", "text/plain", bytes.NewReader(append(append(body, '\n'), note...)))
		if err != nil {
			c.t.Fatal(err)
		}
		lines, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			c.t.Fatal(err)
		}
		if resp.StatusCode == http.StatusServiceUnavailable && time.Now().Before(end) {
			continue // it is reading
		}
		if resp.StatusCode == http.StatusOK {
			w.size = len(leaves)
			return resp.StatusCode, lines
		}
		return resp.StatusCode, nil
	}
}

// show shows a tree under a note.
func (c *crook) show(leaves [][]byte, note []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaves, c.note = slices.Clone(leaves), note
}

// publish publishes the true record, as an honest ledger does.
func (c *crook) publish() {
	c.t.Helper()
	note := c.sign(c.rec.Leaves, time.Now())
	c.mu.Lock()
	c.leaves = slices.Clone(c.rec.Leaves) // a replaying witness reads them before it cosigns
	c.mu.Unlock()
	whole := bytes.Clone(note)
	for _, w := range c.watch {
		status, lines := c.ask(w, c.rec.Leaves, note)
		if status != http.StatusOK {
			c.t.Fatalf("%s answers %d to an honest ledger", w.dir, status)
		}
		whole = append(whole, lines...)
	}
	c.keep(whole)
	c.show(c.rec.Leaves, whole)
}

// keep has the first note of the true record's size be the one that entries quote.
func (c *crook) keep(note []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notes[uint64(len(c.rec.Leaves))] = note
}

// lie has the witnesses asked about a tree, which is shown with whatever cosignatures they give, or none. It says who gave
// them.
func (c *crook) lie(leaves [][]byte) (note []byte, cosigned [3]bool) {
	c.t.Helper()
	note = c.sign(leaves, time.Now())
	c.show(leaves, note)
	whole := bytes.Clone(note)
	for i, w := range c.watch {
		status, lines := c.ask(w, leaves, note)
		cosigned[i] = status == http.StatusOK
		whole = append(whole, lines...)
	}
	c.show(leaves, whole)
	return whole, cosigned
}

// endorsement is a member's, of the statement, quoting the newest published checkpoint.
func (c *crook) endorsement(rec *rolltest.Record, domain string) *entry.Entry {
	size := uint64(0)
	for n := range c.notes {
		if n <= rec.State.Size() {
			size = max(size, n)
		}
	}
	return rolltest.Sign(rec.Draft(&entry.Endorsement{
		Action: entry.Endorse, Statement: entry.Sum([]byte(crookText)), After: entry.After{Size: size, Note: entry.Sum(c.notes[size])},
	}, rolltest.NewOrg(domain, 1, 0, 1)))
}

// fork returns a record that goes on from the first so many entries of the true one, at the same time of day.
func (c *crook) fork(size int) *rolltest.Record {
	c.t.Helper()
	rec := &rolltest.Record{TB: c.t, Origin: rolltest.Origin, Operator: c.rec.Operator, State: roll.New(rolltest.Origin), Now: c.rec.Now}
	for i, leaf := range c.rec.Leaves[:size] {
		if err := rec.State.Apply(uint64(i), leaf); err != nil {
			c.t.Fatal(err)
		}
		rec.Leaves = append(rec.Leaves, leaf)
	}
	return rec
}

// receipt is that of an entry of a record, under a note.
func (c *crook) receipt(rec *rolltest.Record, index uint64, note []byte) string {
	c.t.Helper()
	leaf, err := entry.ParseLeaf(rec.Leaves[index])
	if err != nil {
		c.t.Fatal(err)
	}
	get := func(i uint64) ([]byte, error) { return rec.Leaves[i], nil }
	after := c.notes[leaf.Entry.Body.(*entry.Endorsement).After.Size]
	r, err := verify.MakeReceipt(index, rec.State.Support(index, leaf.Entry), after, note, get, node(rec.Leaves))
	if err != nil {
		c.t.Fatal(err)
	}
	path := c.path(fmt.Sprintf("receipt-%d", index))
	c.write(path, r.Bytes())
	return path
}

// A look is a round of somebody who watches.
type look struct {
	who string
	run func(later time.Duration) (code int, out string)
	dir string // of evidence
}

// rounds are when those who watch look, by their own clocks, and how the table calls it.
var rounds = []struct {
	later time.Duration
	name  string
}{{0, ""}, {6 * time.Minute, " after 6 minutes"}, {25 * time.Hour, " after 25 hours"}}

// runAt runs the program in this process with a clock that is ahead.
func runAt(ctx context.Context, ahead time.Duration, args ...string) (code int, out string) {
	var b bytes.Buffer
	a := newApp(strings.NewReader(""), &b, &b, nil)
	a.now = func() time.Time { return time.Now().Add(ahead) }
	err := a.run(ctx, args)
	if err != nil {
		fmt.Fprintln(&b, err)
	}
	return exitCode(ctx, err), b.String()
}

// looks are the rounds of those who watch, beside the witnesses.
func (c *crook) looks() []look {
	program := func(args ...string) func(time.Duration) (int, string) {
		return func(later time.Duration) (int, string) { return runAt(c.t.Context(), later, args...) }
	}
	return []look{
		{"mirror", program("mirror", "serve", c.path("m"), "--once"), c.path("m", evidenceDir)},
		{"monitor", program("monitor", c.url, "--policy", c.policy, "--state", c.path("monitor"), "--all", "--once"), c.path("monitor", evidenceDir)},
		{"auditor", program("audit", "--policy", c.policy, "--max-age", "24h", "--evidence", c.path("audited"), c.url), c.path("audited")},
	}
}

// evidence returns the cases of the files in a directory, after each was explained to somebody who has nothing else.
func (c *crook) evidence(dir string) (cases []string) {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "contradiction-*.txt"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			c.t.Fatal(err)
		}
		file, err := verify.ParseContradiction(b)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, args := range [][]string{{"verify", path}, {"verify", "--policy", c.policy, path}} {
			if code, out, stderr := runWith(c.t.Context(), args...); code != verify.CodeContradiction || !strings.Contains(out, rolltest.Origin) {
				c.t.Errorf("%v: exit code %d, %s%s", args, code, out, stderr)
			}
		}
		if name := "`" + string(file.Case) + "`"; !slices.Contains(cases, name) {
			cases = append(cases, name)
		}
	}
	slices.Sort(cases)
	return cases
}

// A swindle is what an operator may try.
type swindle struct {
	name string
	// do returns the receipt that a victim is handed; "": none.
	do func(c *crook) (cosigned [3]bool, receipt string)
}

var swindles = []swindle{
	{"two histories: the last entry is another one", func(c *crook) ([3]bool, string) {
		rec := c.fork(len(c.rec.Leaves) - 1)
		rec.Must(rolltest.Sign(rec.Draft(c.withdrawal(rec, "a.example"), rolltest.NewOrg("a.example", 1, 0, 1))))
		note, cosigned := c.lie(rec.Leaves)
		return cosigned, c.receipt(rec, rec.State.Size()-1, note)
	}},
	{"a dropped entry: the record goes on without one", func(c *crook) ([3]bool, string) {
		rec := c.fork(len(c.rec.Leaves) - 2)
		rec.Must(c.endorsement(rec, "b.example"))
		rec.Join("c.example")
		rec.Must(c.endorsement(rec, "c.example"))
		note, cosigned := c.lie(rec.Leaves)
		return cosigned, c.receipt(rec, rec.State.Size()-1, note)
	}},
	{"a rollback: the last entry was never there", func(c *crook) ([3]bool, string) {
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // signatures say seconds
		rec := c.fork(len(c.rec.Leaves) - 1)
		note, cosigned := c.lie(rec.Leaves)
		return cosigned, c.receipt(rec, rec.State.Size()-1, note)
	}},
	{"an old view: what was published before", func(c *crook) ([3]bool, string) {
		size := len(c.rec.Leaves)
		c.rec.Now = time.Now().UTC().Truncate(time.Millisecond)
		c.rec.Must(rolltest.Sign(c.rec.Draft(c.withdrawal(c.rec, "a.example"), rolltest.NewOrg("a.example", 1, 0, 1))))
		c.publish() // which some see, and others never will
		c.show(c.rec.Leaves[:size], c.notes[uint64(size)])
		return [3]bool{}, ""
	}},
	{"back-dating: an entry of now, recorded an hour ago", func(c *crook) ([3]bool, string) {
		rec := c.fork(len(c.rec.Leaves))
		rec.Join("c.example")
		rec.Must(c.endorsement(rec, "c.example"))
		note, cosigned := c.lie(rec.Leaves)
		return cosigned, c.receipt(rec, rec.State.Size()-1, note)
	}},
	{"a forged entry: a name without its key", func(c *crook) ([3]bool, string) {
		rec := c.fork(len(c.rec.Leaves))
		rec.Now = time.Now().UTC().Truncate(time.Millisecond)
		rec.Join("c.example")
		forged := c.endorsement(rec, "c.example")
		forged.Signatures[0].Sig = bytes.Clone(forged.Signatures[0].Sig)
		forged.Signatures[0].Sig[0] ^= 1
		rec.Leaves = append(rec.Leaves, rec.Leaf(forged))
		note, cosigned := c.lie(rec.Leaves)
		return cosigned, c.receipt(rec, uint64(len(rec.Leaves)-1), note)
	}},
	{"a false list: somebody who endorses is left out of what is sealed", func(c *crook) ([3]bool, string) {
		return c.sealed(func(*entry.Roll) {})
	}},
	{"a list of before: it is sealed as if the record were shorter", func(c *crook) ([3]bool, string) {
		return c.sealed(func(b *entry.Roll) { b.Size-- })
	}},
}

// sealed seals a list that false has changed, and returns who cosigned that, and a receipt by which a.example, who
// endorses, is not on it.
func (c *crook) sealed(false func(b *entry.Roll)) ([3]bool, string) {
	rec := c.fork(len(c.rec.Leaves))
	rec.Now = time.Now().UTC().Truncate(time.Millisecond)
	text := entry.Sum([]byte(crookText))
	b, ok := rec.State.Roll(text, rec.Now.Add(-time.Millisecond))
	if !ok {
		c.t.Fatal("there is no such statement")
	}
	var others []roll.Line
	for _, l := range rec.State.Lines(text, b.AsOf) {
		if l.Domain != "a.example" {
			others = append(others, l)
		}
	}
	b.Count, b.Root = uint64(len(others)), verify.LeafHash(others[0].Bytes())
	if len(others) != 1 {
		c.t.Fatalf("%d others", len(others))
	}
	false(b)
	index := uint64(len(rec.Leaves))
	rec.Leaves = append(rec.Leaves, rec.Leaf(&entry.Entry{Ledger: rec.Origin, Body: b}))
	note, cosigned := c.lie(rec.Leaves)
	r := &verify.Receipt{Index: index, Leaf: rec.Leaves[index], Checkpoint: note, Domain: "a.example"}
	var err error
	if r.Proof, err = verify.Inclusion(index, index+1, node(rec.Leaves)); err != nil {
		c.t.Fatal(err)
	}
	r.Placed, _ = roll.Prove(others, "a.example")
	path := c.path("receipt-of-the-list")
	c.write(path, r.Bytes())
	return cosigned, path
}

func (c *crook) withdrawal(rec *rolltest.Record, domain string) *entry.Endorsement {
	e := c.endorsement(rec, domain).Body.(*entry.Endorsement)
	e.Action = entry.Withdraw
	return e
}

// row is the line of the table about a swindle: what each of those who watch made of it.
func (s swindle) row(t *testing.T) string {
	c := newCrook(t)
	honest := c.receipt(c.rec, c.rec.State.Size()-1, c.notes[c.rec.State.Size()])
	text := c.path("statement.txt")
	c.write(text, []byte(crookText))
	if _, err := c.strict.Open(c.note); err != nil {
		t.Errorf("before any lie: %v", err)
	}
	cosigned, receipt := s.do(c)
	if _, err := c.strict.Open(c.note); (err == nil) != (receipt == "") {
		t.Errorf("%s, by a policy that asks for the replaying witness: %v", s.name, err)
	}
	cells := []string{s.name}
	for _, who := range [][]int{{0, 1}, {2}} {
		word := "refuse"
		if receipt == "" {
			word = "not asked"
		}
		var cases []string
		for _, n := range who {
			if cosigned[n] {
				word = "cosign"
			}
			if cosigned[n] != cosigned[who[0]] {
				t.Errorf("%s: one of two witnesses alone cosigns", s.name)
			}
			for _, name := range c.evidence(filepath.Join(c.watch[n].dir, evidenceDir)) {
				if !slices.Contains(cases, name) {
					cases = append(cases, name)
				}
			}
		}
		if len(cases) > 0 {
			word += ", " + strings.Join(cases, " ")
		}
		cells = append(cells, word)
	}
	// A reader who is handed a receipt of the lie, and one who holds an honest receipt and asks for news.
	readers := []look{
		{"a reader of a new receipt", func(later time.Duration) (int, string) {
			return runAt(t.Context(), later, "verify", "--policy", c.policy, "--statement", text, "--evidence", c.path("handed"), receipt)
		}, c.path("handed")},
		{"a reader who asks for news", func(later time.Duration) (int, string) {
			return runAt(t.Context(), later, "verify", "--policy", c.policy, "--statement", text, "--evidence", c.path("asked"), "--ledger", c.url, "--max-age", "24h", "--strict", honest)
		}, c.path("asked")},
	}
	for _, l := range append(c.looks(), readers...) {
		if l.dir == c.path("handed") && receipt == "" {
			cells = append(cells, "none to be had")
			continue
		}
		cell := "nothing"
		for _, round := range rounds {
			code, out := l.run(round.later)
			if code == codeOK {
				continue
			}
			t.Logf("%s, %s%s: exit code %d: %s", s.name, l.who, round.name, code, out)
			cell = fmt.Sprintf("%d%s", code, round.name)
			if cases := c.evidence(l.dir); len(cases) > 0 {
				cell += ", " + strings.Join(cases, " ")
			}
			break
		}
		cells = append(cells, cell)
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

// TestDishonestOperator has an operator with a good key cheat in every way that was thought of, and holds who notices, when, and
// by which file, to the table of docs/dishonest-operator.md.
func TestDishonestOperator(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "dishonest-operator.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range swindles {
		t.Run(strings.ReplaceAll(strings.SplitN(s.name, ":", 2)[0], " ", "-"), func(t *testing.T) {
			t.Parallel()
			if row := s.row(t); !bytes.Contains(page, []byte("\n"+row+"\n")) {
				t.Errorf("docs/dishonest-operator.md lacks the line\n%s", row)
			}
		})
	}
}
