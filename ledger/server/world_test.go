package server

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/mldsa"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

const (
	worldText  = "We stand by this\n\nWe, the undersigned:\n\n- keep our word;\n- <b>mark nothing up</b>.\n"
	worldTitle = "We stand by this"
	closedText = "It is too late for this.\n"
	hostile    = `<img src=x onerror="alert(1)"> & Söhne`
)

// A world is a ledger in memory with some history, and the server of it:
//
//	0 charter           operator.example
//	1 register          apnic.net
//	2 register          cira.ca
//	3 register          weird.example, whose name is hostile
//	4 publish           worldText
//	5 publish           closedText
//	6 roll              closedText, which the log seals
//	7 close             closedText
//	8 endorse           apnic.net, worldText
//	9 endorse           cira.ca, worldText
//	10 withdraw         cira.ca, worldText
//
// Entry n was admitted n seconds after rolltest.Start up to 6, n-1 from 7 on, and 10 a day later.
type world struct {
	testing.TB
	ledger   *ledger.Ledger
	server   *Server
	operator *rolltest.Org
	orgs     map[string]*rolltest.Org
	text     entry.Hash
	closed   entry.Hash
	log      bytes.Buffer

	mu  sync.Mutex
	now time.Time
}

// logSigners are the ledger's two keys, the same each time.
func logSigners(t testing.TB, origin string) []ledger.Signer {
	t.Helper()
	ed := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	edKey, err := keys.NewVKey(origin, keys.TypeEd25519, ed.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	pq, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	pqKey, err := keys.NewVKey(origin, keys.TypeCosignatureMLDSA44, pq.PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return []ledger.Signer{
		{VKey: edKey, Sign: func(msg []byte) ([]byte, error) { return ed25519.Sign(ed, msg), nil }},
		{VKey: pqKey, Sign: func(msg []byte) ([]byte, error) { return pq.SignDeterministic(msg, nil) }},
	}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// newLedger makes a ledger in memory that holds a charter.
func newLedger(t testing.TB, origin string, now func() time.Time, operator *rolltest.Org, change ...func(*ledger.Config)) (*ledger.Ledger, ledger.Config) {
	t.Helper()
	last, err := ledger.OpenLastSigned(filepath.Join(t.TempDir(), "last-signed"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { last.Close() })
	cfg := ledger.Config{Origin: origin, Store: storetest.NewMemory(), Signers: logSigners(t, origin), LastSigned: last, Now: now}
	for _, f := range change {
		f(&cfg)
	}
	charter := &entry.Charter{Title: "A record for tests", Operator: operator.Domain, Admission: entry.Admission{Operator: true}, Roll: "manual"}
	genesis := &entry.Entry{Ledger: origin, Genesis: true, Body: charter, Signer: operator.Domain, Date: now().Format(time.DateOnly)}
	for _, k := range operator.Keys {
		charter.PublicKeys = append(charter.PublicKeys, k.Line())
		genesis.Keys = append(genesis.Keys, k.Ref())
	}
	ctx := context.Background()
	if err := ledger.Create(ctx, cfg, rolltest.Sign(genesis)); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, cfg
}

// newEmptyWorld returns a world that holds a charter alone.
func newEmptyWorld(t testing.TB, origin string, change ...func(*ledger.Config)) *world {
	t.Helper()
	w := &world{TB: t, operator: rolltest.NewOrg("operator.example", 1, 0, 1), orgs: map[string]*rolltest.Org{}, now: rolltest.Start}
	w.ledger, _ = newLedger(t, origin, w.clock, w.operator, change...)
	w.server = New(Config{
		Ledger: w.ledger, URL: "https://ledger.example", Now: w.clock,
		Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	w.advance(time.Second)
	return w
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return fill(newEmptyWorld(t, rolltest.Origin))
}

// fill makes the history of a world.
func fill(w *world) *world {
	w.Helper()
	w.join("apnic.net", "Asia Pacific Network Information Centre (APNIC)")
	w.join("cira.ca", "Canadian Internet Registration Authority (CIRA)")
	w.join("weird.example", hostile)
	w.text = w.publish(worldText, worldTitle)
	w.closed = w.publish(closedText, "Too late")
	w.must(w.draft(&entry.Statement{Action: entry.Close, Statement: w.closed}, w.operator))
	w.must(w.endorsement(entry.Endorse, "apnic.net", w.text))
	w.must(w.endorsement(entry.Endorse, "cira.ca", w.text))
	w.advance(24 * time.Hour)
	w.must(w.endorsement(entry.Withdraw, "cira.ca", w.text))
	return w
}

// draft returns an unsigned entry as the signer would write it now.
func (w *world) draft(body entry.Body, signer *rolltest.Org, ks ...*rolltest.Key) *entry.Entry {
	w.Helper()
	e := &entry.Entry{Ledger: w.ledger.Origin(), Body: body, Signer: signer.Domain, Date: w.clock().Format(time.DateOnly)}
	err := w.ledger.View(func(st *roll.State) {
		if h, ok := st.Previous(e); ok {
			e.Previous = &h
		}
	})
	if err != nil {
		w.Fatal(err)
	}
	if len(ks) == 0 {
		ks = signer.Keys[:signer.Quorum]
	}
	for _, k := range ks {
		e.Keys = append(e.Keys, k.Ref())
	}
	return e
}

// must signs and submits an entry, moves the clock on by a second, and returns the index.
func (w *world) must(e *entry.Entry) uint64 {
	w.Helper()
	r := w.ledger.Submit(context.Background(), rolltest.Sign(e).Bytes())[0]
	if r.Err != nil {
		w.Fatalf("%s entry of %s: %v", e.Body.Kind(), e.Signer, r.Err)
	}
	w.advance(time.Second)
	return r.Index
}

// registration returns the unsigned entry that registers a new organization with one key.
func (w *world) registration(domain, name string) *entry.Entry {
	w.Helper()
	o := rolltest.NewOrg(domain, 1, 0, 1)
	o.Name = name
	w.orgs[domain] = o
	return w.draft(&entry.Membership{
		Action: entry.Register, Member: domain, Name: name, Quorum: 1,
		PublicKeys: []entry.PublicKey{o.Keys[0].Line()}, Vouchers: w.operator.Vouch(),
	}, o)
}

func (w *world) join(domain, name string) {
	w.Helper()
	w.must(w.registration(domain, name))
}

// joinWithTwo registers an organization with two keys of which either signs alone.
func (w *world) joinWithTwo(domain string) *rolltest.Org {
	w.Helper()
	o := rolltest.NewOrg(domain, 2, 0, 1)
	w.orgs[domain] = o
	w.must(w.draft(&entry.Membership{
		Action: entry.Register, Member: domain, Name: domain, Quorum: 1,
		PublicKeys: []entry.PublicKey{o.Keys[0].Line(), o.Keys[1].Line()}, Vouchers: w.operator.Vouch(),
	}, o, o.Keys...))
	return o
}

func (w *world) publish(text, title string) entry.Hash {
	w.Helper()
	h := entry.Sum([]byte(text))
	w.must(w.draft(&entry.Statement{
		Action: entry.Publish, Statement: h, Title: title, Language: "en", MediaType: "text/plain", Size: int64(len(text)),
	}, w.operator))
	return h
}

// endorsement returns an unsigned endorsement or withdrawal that quotes the published checkpoint.
func (w *world) endorsement(action entry.Action, domain string, statement entry.Hash) *entry.Entry {
	w.Helper()
	size := w.ledger.Published().Size
	note, err := w.ledger.CheckpointAt(context.Background(), size)
	if err != nil {
		w.Fatal(err)
	}
	return w.draft(&entry.Endorsement{
		Action: action, Statement: statement, After: entry.After{Size: size, Note: sha256.Sum256(note)},
	}, w.orgs[domain])
}

// frame puts entries into one body.
func frame(entries ...[]byte) []byte {
	var body []byte
	for _, e := range entries {
		body = verify.AppendBundleEntry(body, e)
	}
	return body
}

// bodies are what transcripts send, by name.
var bodies = map[string]func(w *world) []byte{
	"weird endorses": func(w *world) []byte {
		return rolltest.Sign(w.endorsement(entry.Endorse, "weird.example", w.text)).Bytes()
	},
	"newcomer": func(w *world) []byte {
		return rolltest.Sign(w.registration("newcomer.example", "Newcomer")).Bytes()
	},
	// What apnic.net has signed already, byte for byte.
	"the endorsement of apnic.net": func(w *world) []byte { return w.entryAt(8) },
	// What cira.ca signed before it withdrew.
	"the endorsement of cira.ca": func(w *world) []byte { return w.entryAt(9) },
	// A second text that names the same previous entry, kept back by whoever has it.
	"a spare endorsement": func(w *world) []byte {
		e := w.endorsement(entry.Endorse, "cira.ca", w.text)
		e.Previous = nil
		return rolltest.Sign(e).Bytes()
	},
	"truncated": func(w *world) []byte {
		b := rolltest.Sign(w.endorsement(entry.Endorse, "weird.example", w.text)).Bytes()
		return b[:len(b)-20]
	},
	"not UTF-8":      func(w *world) []byte { return w.edit("action endorse", "action endors\xe9") },
	"CR LF":          func(w *world) []byte { return w.edit("\n", "\r\n") },
	"trailing space": func(w *world) []byte { return w.edit("action endorse\n", "action endorse \n") },
	"a field twice":  func(w *world) []byte { return w.edit("action endorse\n", "action endorse\naction endorse\n") },
	"fields in disorder": func(w *world) []byte {
		return w.edit("previous none\naction endorse\n", "action endorse\nprevious none\n")
	},
	"an attack on the log": func(w *world) []byte {
		return w.edit("action endorse\n", "action \x1b[2Jendorse level=ERROR msg=\"hacked\"\n")
	},
	"another ledger": func(w *world) []byte {
		e := w.endorsement(entry.Endorse, "weird.example", w.text)
		e.Ledger = "ledger.example/other"
		return rolltest.Sign(e).Bytes()
	},
	"a kind of later": func(w *world) []byte { return w.edit("undersigned/endorsement/v1", "undersigned/image/v1") },
	"a roll": func(w *world) []byte {
		return []byte("undersigned/roll/v1\nledger " + rolltest.Origin + "\nstatement sha256:" + strings.Repeat("0", 64) +
			"\nsize 1\nasof 2024-06-11T23:59:59.999Z\ncount 0\nroot 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")
	},
	"no kind": func(w *world) []byte { return w.edit("undersigned/endorsement/v1", "checkpoint") },
	"a suite of later": func(w *world) []byte {
		return w.edit("key ed25519 ", "key sshsig ")
	},
	"no suite": func(w *world) []byte { return w.edit("key ed25519 ", "key rot13 ") },
	"another previous": func(w *world) []byte {
		e := w.endorsement(entry.Endorse, "weird.example", w.text)
		h := entry.Sum([]byte("another"))
		e.Previous = &h
		return rolltest.Sign(e).Bytes()
	},
	"signed by another member": func(w *world) []byte {
		e := w.endorsement(entry.Endorse, "weird.example", w.text)
		e.Keys = []keys.Ref{w.orgs["apnic.net"].Keys[0].Ref()}
		return rolltest.Sign(e).Bytes()
	},
	"no signature":   func(w *world) []byte { return w.cutLine(1) },
	"two signatures": func(w *world) []byte { return append(w.spare(), w.lastLine()...) },
	"another's signature": func(w *world) []byte {
		e := w.endorsement(entry.Endorse, "weird.example", w.text)
		b := rolltest.Sign(e).Bytes()
		e.Signatures[0].Sig = w.orgs["apnic.net"].Keys[0].Sign(e.Text())
		if bytes.Equal(b, e.Bytes()) {
			w.Fatal("the signatures are equal")
		}
		return e.Bytes()
	},
	"an unknown statement": func(w *world) []byte {
		return rolltest.Sign(w.endorsement(entry.Endorse, "weird.example", entry.Sum([]byte("nothing")))).Bytes()
	},
	"a closed statement": func(w *world) []byte {
		return rolltest.Sign(w.endorsement(entry.Endorse, "weird.example", w.closed)).Bytes()
	},
	"a note never published": func(w *world) []byte {
		e := w.endorsement(entry.Endorse, "weird.example", w.text)
		e.Body.(*entry.Endorsement).After.Note = entry.Sum([]byte("a note"))
		return rolltest.Sign(e).Bytes()
	},
	"a key registered twice": func(w *world) []byte {
		e := w.registration("second.example", "Second")
		key := w.orgs["apnic.net"].Keys[0]
		e.Body.(*entry.Membership).PublicKeys[0] = key.Line()
		e.Keys[0] = key.Ref()
		return rolltest.Sign(e).Bytes()
	},
	"an old date": func(w *world) []byte {
		e := w.endorsement(entry.Endorse, "weird.example", w.text)
		e.Date = "2024-01-01"
		return rolltest.Sign(e).Bytes()
	},
	"a stranger": func(w *world) []byte {
		w.orgs["stranger.example"] = rolltest.NewOrg("stranger.example", 1, 0, 1)
		return rolltest.Sign(w.endorsement(entry.Endorse, "stranger.example", w.text)).Bytes()
	},
	"signed by a revoked key": func(w *world) []byte {
		o := w.joinWithTwo("revoked.example")
		ref := o.Keys[0].Ref()
		w.must(w.draft(&entry.KeyEvent{Action: entry.Revoke, Member: o.Domain, Revokes: &ref}, o, o.Keys[0]))
		e := w.endorsement(entry.Endorse, o.Domain, w.text)
		return rolltest.Sign(e).Bytes()
	},
	"signed by a suspended key": func(w *world) []byte {
		o := w.joinWithTwo("suspended.example")
		ref := o.Keys[0].Ref()
		w.must(w.draft(&entry.KeyEvent{Action: entry.Suspend, Member: o.Domain, Revokes: &ref}, w.operator))
		e := w.endorsement(entry.Endorse, o.Domain, w.text)
		return rolltest.Sign(e).Bytes()
	},
	"65535 bytes":   func(w *world) []byte { return bytes.Repeat([]byte("x"), 65535) },
	"65536 bytes":   func(w *world) []byte { return bytes.Repeat([]byte("x"), 65536) },
	"16 MiB and 1":  func(w *world) []byte { return make([]byte, 16<<20+1) },
	"nothing":       func(w *world) []byte { return nil },
	"10000 entries": func(w *world) []byte { return bytes.Repeat(frame([]byte("x")), 10_000) },
	"half a length": func(w *world) []byte { return append(frame(w.entryAt(8)), 1) },
	"half an entry": func(w *world) []byte {
		b := frame(w.entryAt(8), w.entryAt(9))
		return b[:len(b)-1]
	},
	"good, bad, good, known": func(w *world) []byte {
		return frame(
			rolltest.Sign(w.registration("first.example", "First")).Bytes(),
			[]byte("nonsense"),
			rolltest.Sign(w.registration("second.example", "Second")).Bytes(),
			w.entryAt(8),
		)
	},
	"one framed": func(w *world) []byte { return frame(w.entryAt(8)) },
	"the text":   func(w *world) []byte { return []byte(worldText) },
	"another text": func(w *world) []byte {
		return []byte(strings.Replace(worldText, "stand", "fall!", 1))
	},
	"a longer text": func(w *world) []byte { return []byte(worldText + "!") },
	"hello":         func(w *world) []byte { return []byte("hello") },
}

// entryAt returns a published entry as it was submitted.
func (w *world) entryAt(index uint64) []byte {
	w.Helper()
	b, err := w.ledger.Leaf(context.Background(), index)
	if err != nil {
		w.Fatal(err)
	}
	leaf, err := entry.ParseLeaf(b)
	if err != nil {
		w.Fatal(err)
	}
	return leaf.Entry.Bytes()
}

// spare returns a signed endorsement of weird.example that nobody has submitted.
func (w *world) spare() []byte {
	w.Helper()
	return rolltest.Sign(w.endorsement(entry.Endorse, "weird.example", w.text)).Bytes()
}

// edit returns spare with a part replaced.
func (w *world) edit(old, new string) []byte {
	w.Helper()
	b := w.spare()
	if !bytes.Contains(b, []byte(old)) {
		w.Fatalf("the entry has no %q", old)
	}
	return bytes.ReplaceAll(b, []byte(old), []byte(new))
}

// lastLine returns the signature line of spare.
func (w *world) lastLine() []byte {
	b := w.spare()
	return b[bytes.LastIndexByte(b[:len(b)-1], '\n')+1:]
}

// cutLine returns spare without its last n lines.
func (w *world) cutLine(n int) []byte {
	b := w.spare()
	for range n {
		b = b[:bytes.LastIndexByte(b[:len(b)-1], '\n')+1]
	}
	return b
}

// cosigning makes a Config.Cosign of what adds lines to a note.
func cosigning(f func(ctx context.Context, note []byte) ([]byte, error)) func(context.Context, *ledger.Pending) (*ledger.Cosigned, error) {
	return func(ctx context.Context, p *ledger.Pending) (*ledger.Cosigned, error) {
		note, err := f(ctx, p.Note)
		return &ledger.Cosigned{Note: note}, err
	}
}
