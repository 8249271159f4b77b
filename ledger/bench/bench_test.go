package bench

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

func TestConclude(t *testing.T) {
	round := func(ratio, others float64) Round {
		return Round{Ratio: ratio, Others: others, figures: []Figure{{"rate", 10 * ratio, "/s"}}}
	}
	for name, c := range map[string]struct {
		row       Row
		median    float64
		met       bool
		discarded int
		noisy     bool
	}{
		"quiet":               {Row{Goal: 2, Rounds: []Round{round(3, 0), round(1, 0), round(2, 0.1)}}, 2, true, 0, false},
		"missed":              {Row{Goal: 2.1, Rounds: []Round{round(3, 0), round(1, 0), round(2, 0)}}, 2, false, 0, false},
		"from above":          {Row{Goal: 2, AtMost: true, Rounds: []Round{round(3, 0), round(1, 0), round(2, 0)}}, 2, true, 0, false},
		"too much from above": {Row{Goal: 1.9, AtMost: true, Rounds: []Round{round(3, 0), round(1, 0), round(2, 0)}}, 2, false, 0, false},
		"an even number":      {Row{Rounds: []Round{round(4, 0), round(1, 0), round(2, 0), round(3, 0)}}, 2.5, true, 0, false},
		"one is discarded":    {Row{Goal: 1, Rounds: []Round{round(9, 0.5), round(1, 0), round(2, 0), round(3, 0)}}, 2, true, 1, false},
		"few are left":        {Row{Goal: 1, Rounds: []Round{round(9, 0.5), round(9, 0.5), round(2, 0), round(3, 0)}}, 6, true, 0, true},
		"not told":            {Row{Rounds: []Round{round(1, -1)}}, 1, true, 0, false},
	} {
		c.row.conclude()
		r := &c.row
		if *r.Median != c.median || r.Met != c.met || r.Discarded != c.discarded || r.Noisy != c.noisy {
			t.Errorf("%s: median %v, met %v, %d discarded, noisy %v", name, *r.Median, r.Met, r.Discarded, r.Noisy)
		}
		if len(r.Figures) != 1 || r.Figures[0].Value != 10*c.median {
			t.Errorf("%s: %v", name, r.Figures)
		}
		if c.discarded > 0 && (*r.High != 3 || !r.Rounds[0].Discarded) {
			t.Errorf("%s: a round that is discarded counts", name)
		}
	}
	var none Row
	if none.conclude(); none.Median != nil || none.Met {
		t.Error("without a round there is a median")
	}
}

// aCrowd is of two members.
func aCrowd(t *testing.T) *crowd {
	t.Helper()
	c, err := newCrowd(2, "2024-06-11")
	if err != nil {
		t.Fatal(err)
	}
	c.after = entry.After{Size: 1}
	return c
}

// TestVerifying holds the least that a server must do to doing it.
func TestVerifying(t *testing.T) {
	c := aCrowd(t)
	path := t.TempDir() + "/keys"
	if err := os.WriteFile(path, c.keyLines(), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := readKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	good := c.next(c.members[0])
	post := func(body []byte) int {
		w := httptest.NewRecorder()
		verifying(k).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/entries", bytes.NewReader(body)))
		return w.Code
	}
	if code := post(good); code != http.StatusOK {
		t.Errorf("a good entry: %d", code)
	}
	other, err := newMember("stranger.example")
	if err != nil {
		t.Fatal(err)
	}
	e, err := entry.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	e.Signatures[0].Sig = bytes.Clone(e.Signatures[0].Sig)
	e.Signatures[0].Sig[5] ^= 1
	for name, body := range map[string][]byte{"nothing": nil, "a bad signature": e.Bytes(), "an unknown key": c.next(other), "no entry": []byte("undersigned/endorsement/v1\n")} {
		if code := post(body); code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", name, code)
		}
	}
}

// TestChains: what members say follows what they said before, however it is prepared.
func TestChains(t *testing.T) {
	c := aCrowd(t)
	said := make(map[string]map[entry.Hash]entry.Hash)
	follow := func(raw []byte) {
		e, err := entry.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		about := e.Body.(*entry.Endorsement).Statement
		if said[e.Signer] == nil {
			said[e.Signer] = make(map[entry.Hash]entry.Hash)
		}
		before, ok := said[e.Signer][about]
		if ok != (e.Previous != nil) || ok && before != *e.Previous {
			t.Fatalf("%s does not follow what %s said before", raw, e.Signer)
		}
		said[e.Signer][about] = e.ID()
	}
	for _, of := range c.prepare(2, 20) {
		for _, raw := range of {
			follow(raw)
		}
	}
	for n := range 5 {
		entries := c.mixed(n)
		if len(entries) != n {
			t.Errorf("%d entries, want %d", len(entries), n)
		}
		for _, raw := range entries {
			follow(raw)
		}
	}
	for _, of := range c.prepare(1, 3) {
		for _, raw := range of {
			follow(raw)
		}
	}
}

// TestTook refuses answers that do not say what was asked for.
func TestTook(t *testing.T) {
	c := aCrowd(t)
	entries := [][]byte{c.next(c.members[0]), c.next(c.members[1])}
	line := func(of []byte, index, rest string) []byte {
		e, err := entry.Parse(of)
		if err != nil {
			t.Fatal(err)
		}
		return []byte(`{"status":200,"index":` + index + `,"id":"` + e.ID().String() + `",` + rest + `}`)
	}
	for name, answers := range map[string][][]byte{
		"":                     {line(entries[0], "5", `"published":true`), line(entries[1], "6", `"published":true`)},
		"one index for two":    {line(entries[0], "5", `"published":true`), line(entries[1], "5", `"published":true`)},
		"an index from before": {line(entries[0], "0", `"published":true`), line(entries[1], "5", `"published":true`)},
		"another's":            {line(entries[1], "5", `"published":true`), line(entries[0], "6", `"published":true`)},
		"not published":        {line(entries[0], "5", `"published":true`), line(entries[1], "6", `"published":false`)},
		"a duplicate":          {line(entries[0], "5", `"published":true`), line(entries[1], "6", `"published":true,"duplicate":true`)},
		"one too few":          {line(entries[0], "5", `"published":true`)},
		"no JSON":              {line(entries[0], "5", `"published":true`), []byte("yes")},
	} {
		r := &record{crowd: c, b: &bench{}, size: 3, given: map[uint64]bool{0: true}}
		if err := r.took(entries, answers, 0); (err == nil) != (name == "") {
			t.Errorf("%q: %v", name, err)
		}
		if name == "" && r.size != 5 {
			t.Errorf("the record has %d entries", r.size)
		}
	}
	r := &record{crowd: c, b: &bench{Config: Config{Now: time.Now}}, given: map[uint64]bool{}}
	if err := r.took(entries[:1], [][]byte{line(entries[0], "5", `"published":true,"receipt":"c2sp.org/tlog-proof@v1\n"`)}, 1); err == nil {
		t.Error("what is no receipt is taken for one")
	}
}

// TestRead reads answers as a client does.
func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		from string
		body string
		ok   bool
	}{
		"a length":    {"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX: y\r\n\r\nhi", "hi", true},
		"chunks":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", "hi", true},
		"refused":     {"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno", "", false},
		"no length":   {"HTTP/1.1 200 OK\r\n\r\nhi", "", false},
		"a bad one":   {"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nhi", "", false},
		"cut":         {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", "", false},
		"nothing":     {"", "", false},
		"no protocol": {"hello\r\n\r\n", "", false},
	} {
		for _, more := range []string{"", "HTTP/1.1 200 OK\r\n"} {
			conn := &connection{in: bufio.NewReader(strings.NewReader(c.from + more))}
			body, err := conn.read(true)
			if c.ok != (err == nil) && more == "" || c.ok && string(body) != c.body {
				t.Errorf("%s: %q, %v", name, body, err)
			}
			if rest, _ := conn.in.Peek(1); c.ok && more != "" && string(rest) != "H" {
				t.Errorf("%s: the next answer does not follow: %q", name, rest)
			}
		}
	}
}

// TestOther checks proofs of another server.
func TestOther(t *testing.T) {
	secret, public, err := note.GenerateKey(rand.Reader, "other.example/log")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	o := &other{}
	if o.policy, err = verify.ParsePolicy([]byte("log " + public + "\nquorum none\n")); err != nil {
		t.Fatal(err)
	}
	leaf, sibling := []byte("leaf"), verify.LeafHash([]byte("another"))
	proof := func(root [32]byte) string {
		text := "other.example/log\n2\n" + base64.StdEncoding.EncodeToString(root[:]) + "\n"
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		if err != nil {
			t.Fatal(err)
		}
		r := verify.Receipt{Leaf: leaf, Proof: [][32]byte{sibling}, Checkpoint: signed}
		return string(r.Bytes())
	}
	good := proof(verify.NodeHash(verify.LeafHash(leaf), sibling))
	if err := o.check(leaf, answer{Receipt: good}); err != nil {
		t.Error(err)
	}
	if o.check([]byte("leap"), answer{Receipt: good}) == nil {
		t.Error("it is taken for a proof of other bytes")
	}
	if o.check(leaf, answer{Receipt: good, Index: 1}) == nil {
		t.Error("it is taken for a proof of another index")
	}
	for name, receipt := range map[string]string{
		"nothing":                "",
		"another format":         strings.Replace(good, "@v1", "@v2", 1),
		"another index":          strings.Replace(good, "index 0", "index 1", 1),
		"another size":           strings.Replace(good, "\n2\n", "\n3\n", 1),
		"another root":           proof(verify.NodeHash(sibling, verify.LeafHash(leaf))),
		"an unsigned checkpoint": good[:strings.Index(good, "— ")],
	} {
		if o.check(leaf, answer{Receipt: receipt}) == nil {
			t.Errorf("%s: it is taken for a proof", name)
		}
	}
}
