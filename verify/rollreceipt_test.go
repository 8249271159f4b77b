package verify_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// A rolled is a world whose record seals two lists: apnic.net and dns.pt, then dns.pt alone, which is published after apnic.net has
// withdrawn; and whose witness 0 replays, by the policy replaying.
type rolled struct {
	*world
	first, second uint64 // roll entries
	withdrawal    uint64
}

func newRolled(tb testing.TB) *rolled {
	w := &rolled{world: newWorld(tb, 2)}
	w.first = w.rec.Seal(w.statement)
	w.publish()
	apnic := rolltest.NewOrg("apnic.net", 2, 1, 2)
	w.withdrawal = w.withdraw(apnic)
	w.rec.Now = w.rec.Now.Add(24 * time.Hour)
	w.second = w.rec.Seal(w.statement)
	w.publish()
	return w
}

func (w *rolled) replaying() *verify.Policy {
	return mustPolicy(w.tb, strings.Replace(w.policyText(), "group all all w0", "group undersigned-replaying any w0\ngroup all all undersigned-replaying", 1))
}

func (w *world) rollSource() verify.RollSource {
	return verify.RollSource{
		State: w.rec.State, Checkpoint: w.note,
		Leaf: func(i uint64) ([]byte, error) { return w.rec.Leaves[i], nil },
		Note: func(size uint64) ([]byte, error) {
			if n, ok := w.files[verify.CheckpointPath(size)]; ok {
				return n, nil
			}
			return nil, errors.New("no such note")
		},
		Nodes: nodesOf(w.rec.Leaves[:w.checkpoint().Size]),
	}
}

func (w *world) rollReceipt(index uint64, domain string) *verify.Receipt {
	w.tb.Helper()
	r, whole, err := verify.MakeRollReceipt(w.rollSource(), index, domain)
	if err != nil || !whole {
		w.tb.Fatalf("whole %v, %v", whole, err)
	}
	b := r.Bytes()
	again, err := verify.ParseReceipt(b)
	if err != nil || !bytes.Equal(again.Bytes(), b) {
		w.tb.Fatalf("it does not parse: %v", err)
	}
	return again
}

func TestRollVerdicts(t *testing.T) {
	w := newRolled(t)
	alone, replaying := w.policy(), w.replaying()
	text := []byte(w.text)
	// Both keys of witness 1 are missing where it is asked for.
	short := mustPolicy(t, strings.Replace(strings.Replace(w.policyText(), "witness w1 ", "witness w1 "+newCosigner(t, "witness.example/other", keys.TypeCosignatureEd25519, "other").vkey.String()+"\nwitness w2 ", 1), "group all all w0", "group undersigned-replaying any w0\ngroup all all undersigned-replaying", 1))
	strip := func(r *verify.Receipt) {
		r.Notes = nil
		r.Support = slices.DeleteFunc(r.Support, func(s verify.Support) bool { return !bytes.Contains(s.Leaf, []byte("undersigned/statement/v1")) })
	}
	record := func(r *verify.Receipt) *verify.Report {
		return w.audit(verify.AuditOptions{Receipts: []*verify.Receipt{r}})
	}
	for _, c := range []struct {
		name     string
		index    uint64
		domain   string
		policy   *verify.Policy
		record   bool
		change   func(in *verify.Input)
		code     int
		sentence []string
		stands   verify.AnswerState
	}{
		{"present, replaying witness", w.first, "apnic.net", replaying, false, nil, 0, []string{"Yes, as far as this file can show: ", "(APNIC), apnic.net, endorsed “A statement” on 11 June 2024", "stood as of 11 June 2024"}, verify.Confirmed},
		{"present, this text", w.first, "dns.pt", replaying, false, func(in *verify.Input) { in.Statement = text }, 0, []string{"dns.pt, endorsed this text"}, verify.Confirmed},
		{"present, another text", w.first, "dns.pt", replaying, false, func(in *verify.Input) { in.Statement = []byte("x") }, 10, []string{"not this text"}, verify.Confirmed},
		{"present, nobody replays", w.first, "apnic.net", alone, false, nil, 3, []string{"apnic.net, endorsed “A statement”", "ledger's word alone"}, verify.CouldNotCheck},
		{"present, replayed here", w.first, "dns.pt", alone, true, nil, 0, []string{"Yes, but look closer. ", "dns.pt", "operator alone"}, verify.Confirmed},
		{"present then, withdrawn since, replayed here", w.first, "apnic.net", alone, true, nil, 0, []string{"Yes, but look closer. ", "stood as of 11 June 2024", "withdrawn since"}, verify.LookCloser},
		{"withdrawn", w.second, "apnic.net", replaying, false, nil, 12, []string{"Withdrawn. ", "apnic.net, withdrew"}, verify.LookCloser},
		{"withdrawn, nobody replays", w.second, "apnic.net", alone, false, nil, 3, []string{"withdrew an endorsement", "ledger's word alone"}, verify.CouldNotCheck},
		{"withdrawn, replayed here", w.second, "apnic.net", alone, true, nil, 12, []string{"Withdrawn. ", "apnic.net, withdrew an endorsement of “A statement” on 11 June 2024."}, verify.LookCloser},
		{"withdrawn, and the file does not hold the withdrawal", w.second, "apnic.net", replaying, false, func(in *verify.Input) { strip(in.Receipt) }, 11, []string{"No standing endorsement"}, verify.Confirmed},
		{"withdrawn, the file does not hold the withdrawal, replayed here", w.second, "apnic.net", alone, true, func(in *verify.Input) { strip(in.Receipt) }, 12, []string{"Withdrawn. apnic.net withdrew"}, verify.LookCloser},
		{"present, too few witnesses", w.first, "dns.pt", short, false, nil, 21, []string{"Not enough witnesses"}, verify.CouldNotCheck},
		{"absent, too few witnesses", w.first, "example.org", short, false, nil, 21, []string{"Not enough witnesses"}, verify.CouldNotCheck},
		{"absent, too old", w.second, "example.org", replaying, false, func(in *verify.Input) { in.MaxAge = time.Hour }, 3, []string{"Could not check", "by example.org", "1 day old"}, verify.CouldNotCheck},
		{"withdrawn, too old", w.second, "apnic.net", replaying, false, func(in *verify.Input) { in.MaxAge = time.Hour }, 3, []string{"withdrew an endorsement", "1 day old"}, verify.CouldNotCheck},
		{"all, asked about one", w.first, "", replaying, false, func(in *verify.Input) { in.Domain = "dns.pt" }, 0, []string{"dns.pt is on the list"}, verify.Confirmed},
		{"all, asked about another", w.first, "", replaying, false, func(in *verify.Input) { in.Domain = "example.org" }, 11, []string{"by example.org is in this record"}, verify.Confirmed},
		{"absent", w.second, "example.org", replaying, false, nil, 11, []string{"No standing endorsement of “A statement” by example.org is in this record as of 12 June 2024"}, verify.Confirmed},
		{"absent, a member", w.second, "nic.example", replaying, false, nil, 11, []string{"by nic.example is in this record"}, verify.Confirmed},
		{"absent, replayed here", w.second, "a.example", alone, true, nil, 11, []string{"No endorsement of “A statement” by a.example is in this record"}, verify.Confirmed},
		{"absent, nobody replays", w.second, "example.org", alone, false, nil, 3, []string{"Could not check", "by example.org", "ledger's word alone"}, verify.CouldNotCheck},
		{"absent, of this text", w.second, "example.org", replaying, false, func(in *verify.Input) { in.Statement = text }, 11, []string{"of this text by example.org"}, verify.Confirmed},
		{"absent, of another text", w.second, "example.org", replaying, false, func(in *verify.Input) { in.Statement = []byte("x") }, 10, []string{"not this text"}, verify.Confirmed},
		{"another domain than asked", w.second, "example.org", replaying, false, func(in *verify.Input) { in.Domain = "apnic.net" }, 11, []string{"about example.org"}, verify.Confirmed},
		{"all", w.first, "", replaying, false, nil, 0, []string{"As of 11 June 2024", "2 organizations, and nobody else, stood behind “A statement”."}, verify.Confirmed},
		{"all, nobody replays", w.first, "", alone, false, nil, 3, []string{"Could not check whether the list", "ledger's word alone"}, verify.CouldNotCheck},
		{"all, one left", w.second, "", replaying, false, nil, 0, []string{"1 organization, and nobody else, stood"}, verify.Confirmed},
		{"too old", w.first, "dns.pt", replaying, false, func(in *verify.Input) { in.MaxAge = time.Hour }, 3, []string{"dns.pt, endorsed", "2 days old"}, verify.CouldNotCheck},
		{"all, too old", w.first, "", replaying, false, func(in *verify.Input) { in.MaxAge = time.Hour }, 3, []string{"Could not check whether the list", "2 days old"}, verify.CouldNotCheck},
		{"not too old", w.first, "dns.pt", replaying, false, func(in *verify.Input) { in.MaxAge = 96 * time.Hour }, 0, []string{"Yes, "}, verify.Confirmed},
		{"strict", w.first, "dns.pt", replaying, false, func(in *verify.Input) { in.Strict, in.Statement = true, text }, 0, []string{"Yes, "}, verify.Confirmed},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := verify.Input{Policy: c.policy, Receipt: w.rollReceipt(c.index, c.domain), Now: w.rec.Now.Add(24 * time.Hour), Known: []string{"nic.example"}}
			if c.change != nil {
				c.change(&in)
			}
			if c.record {
				in.Record = record(in.Receipt)
			}
			v := verify.Judge(in)
			if v.Code != c.code || v.Answers[3].State != c.stands {
				t.Errorf("code %d, want %d; stands %s, want %s: %s", v.Code, c.code, v.Answers[3].State, c.stands, v.Sentence)
			}
			for _, part := range c.sentence {
				if !strings.Contains(v.Sentence, part) {
					t.Errorf("%q is not in: %s", part, v.Sentence)
				}
			}
			if v.Roll == nil || (len(v.Roll.Recomputed) > 0) != (c.record || c.policy != alone) || v.Roll.Index != c.index {
				t.Errorf("%+v", v.Roll)
			}
			if v.Statement == nil || *v.Statement != w.statement {
				t.Errorf("statement %v", v.Statement)
			}
			if c.domain == "" {
				for _, l := range v.Roll.Lines {
					if l.Name == "" || l.Admitted == nil || l.NotBefore == nil || l.NoLater == nil || l.NoLater.Before(*l.NotBefore) || l.Date == "" {
						t.Errorf("%+v", l)
					}
				}
				if uint64(len(v.Roll.Lines)) != v.Roll.Count {
					t.Errorf("%d lines", len(v.Roll.Lines))
				}
			} else if v.Domain != c.domain {
				t.Errorf("domain %s", v.Domain)
			}
			if a := v.Answers[3]; c.code == 21 && (a.State != verify.CouldNotCheck || v.Answers[0].State == verify.No || v.Answers[0].State == verify.Confirmed) {
				t.Errorf("too few witnesses, and %+v", v.Answers)
			}
		})
	}
}

// TestRollBeside has a sealed list tell whether what a receipt holds still stands.
func TestRollBeside(t *testing.T) {
	w := newRolled(t)
	index := func(domain string) uint64 {
		e, _ := w.rec.State.Endorsement(domain, w.statement)
		return e.Index
	}
	endorsed := w.rec.State.Lines(w.statement, w.rec.Now.Add(-24*time.Hour-3*time.Second))[0].Index // apnic.net, before it withdrew
	other := newRolled(t)
	other.log = other.log[:1]
	for _, c := range []struct {
		name     string
		receipt  uint64
		roll     *verify.Receipt
		policy   *verify.Policy
		code     int
		sentence string
		stands   verify.AnswerState
	}{
		{"stands", index("dns.pt"), w.rollReceipt(w.second, "dns.pt"), w.replaying(), 0, "stood as of 12 June 2024", verify.Confirmed},
		{"stands, by the whole list", index("dns.pt"), w.rollReceipt(w.second, ""), w.replaying(), 0, "stood as of 12 June 2024", verify.Confirmed},
		{"stood then", endorsed, w.rollReceipt(w.first, "apnic.net"), w.replaying(), 0, "stood as of 11 June 2024", verify.Confirmed},
		{"withdrawn", endorsed, w.rollReceipt(w.second, "apnic.net"), w.replaying(), 12, "No longer. ", verify.LookCloser},
		{"withdrawn, by the whole list", endorsed, w.rollReceipt(w.second, ""), w.replaying(), 12, "No longer. ", verify.LookCloser},
		{"nobody replays", endorsed, w.rollReceipt(w.second, ""), w.policy(), 3, "ledger's word alone", verify.CouldNotCheck},
		{"about another", endorsed, w.rollReceipt(w.second, "dns.pt"), w.replaying(), 3, "does not say whether apnic.net is on it", verify.CouldNotCheck},
		{"older than the endorsement", w.withdrawal, w.rollReceipt(w.first, "apnic.net"), w.replaying(), 12, "Withdrawn", verify.LookCloser},
		{"no list", endorsed, w.receipt(w.withdrawal), w.replaying(), 3, "not the receipt of a sealed list", verify.CouldNotCheck},
		{"a list of nobody", endorsed, w.receipt(w.second), w.replaying(), 3, "does not say whether apnic.net is on it", verify.CouldNotCheck},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := verify.Judge(verify.Input{Policy: c.policy, Receipt: w.receipt(c.receipt), Roll: c.roll, Now: w.rec.Now})
			if v.Code != c.code || v.Answers[3].State != c.stands || !strings.Contains(v.Sentence, c.sentence) {
				t.Errorf("code %d, %s: %s\n%+v", v.Code, v.Answers[3].State, v.Sentence, v.Answers[3])
			}
		})
	}
}

// A receipt of a roll entry without any line proves that there is a list.
func TestRollReceiptBare(t *testing.T) {
	w := newRolled(t)
	v := verify.Judge(verify.Input{Policy: w.replaying(), Receipt: w.receipt(w.first), Now: w.rec.Now})
	if v.Code != 3 || !strings.Contains(v.Sentence, "not who is on it") {
		t.Errorf("%d: %s", v.Code, v.Sentence)
	}
}

// TestRollReceiptFlips changes each bit of what is not a signature, and swaps parts: nothing of it is confirmed.
func TestRollReceiptFlips(t *testing.T) {
	w := newRolled(t)
	p := w.replaying()
	wants := map[string]int{"apnic.net": 12, "dns.pt": 0, "example.org": 11, "": 0}
	for domain, want := range wants {
		good := w.rollReceipt(w.second, domain)
		b := good.Bytes()
		if v := verify.Judge(verify.Input{Policy: p, Receipt: good, Now: w.rec.Now}); v.Code != want {
			t.Fatalf("%q: %d: %s", domain, v.Code, v.Sentence)
		}
		line := strings.Split(string(b), "\n")[1]
		extra, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(line, "extra "))
		if err != nil {
			t.Fatal(err)
		}
		signatures := make([]bool, len(extra)) // of quoted notes, of which the policy needs not all
		for at := 0; ; {
			i := bytes.Index(extra[at:], []byte("\n— "))
			if i < 0 {
				break
			}
			end := bytes.IndexByte(extra[at+i+1:], '\n')
			for k := at + i + 1; k <= at+i+1+end; k++ {
				signatures[k] = true
			}
			at += i + 1 + end
		}
		rng := rand.New(rand.NewPCG(1, 2))
		for range 3000 {
			bit := rng.IntN(8 * len(extra))
			changed := bytes.Clone(extra)
			changed[bit/8] ^= 1 << (bit % 8)
			r, err := verify.ParseReceipt([]byte(strings.Replace(string(b), line, "extra "+base64.StdEncoding.EncodeToString(changed), 1)))
			if err != nil {
				continue
			}
			if v := verify.Judge(verify.Input{Policy: p, Receipt: r, Now: w.rec.Now}); v.Code == 0 || v.Code == 11 || v.Code == 12 {
				t.Fatalf("%q: bit %d of the extra data changed, and: %d: %s", domain, bit, v.Code, v.Sentence)
			}
		}
	}
}

// TestRollReceiptForged puts parts together that do not belong together.
func TestRollReceiptForged(t *testing.T) {
	w := newRolled(t)
	p := w.replaying()
	endorsement := func(domain string) verify.Support {
		for _, s := range w.rollReceipt(w.first, domain).Support {
			if bytes.Contains(s.Leaf, []byte("undersigned/endorsement/v1")) {
				return s
			}
		}
		t.Fatal("no endorsement")
		return verify.Support{}
	}
	for _, c := range []struct {
		name   string
		index  uint64
		domain string
		forge  func(r *verify.Receipt)
	}{
		{"absence of somebody present, with the neighbours of somebody absent", w.first, "dns.pt", func(r *verify.Receipt) {
			r.Placed = w.rollReceipt(w.first, "a.example").Placed
		}},
		{"absence with nothing", w.first, "dns.pt", func(r *verify.Receipt) { r.Placed = nil }},
		{"presence of somebody withdrawn, by the list before", w.second, "apnic.net", func(r *verify.Receipt) {
			r.Placed = w.rollReceipt(w.first, "apnic.net").Placed
		}},
		{"a presence for another domain", w.first, "dns.pt", func(r *verify.Receipt) { r.Domain = "apnic.net" }},
		{"a list without one of its lines", w.first, "", func(r *verify.Receipt) { r.Lines = r.Lines[1:] }},
		{"a list with one line twice", w.first, "", func(r *verify.Receipt) { r.Lines = append(r.Lines, r.Lines[0]) }},
		{"a list out of order", w.first, "", func(r *verify.Receipt) { slices.Reverse(r.Lines) }},
		{"a list, and a question", w.first, "", func(r *verify.Receipt) { r.Domain = "dns.pt" }},
		{"another's endorsement", w.first, "dns.pt", func(r *verify.Receipt) { r.Support = append(r.Support, endorsement("apnic.net")) }},
		{"an endorsement beside an absence", w.second, "example.org", func(r *verify.Receipt) { r.Support = append(r.Support, endorsement("dns.pt")) }},
		{"a charter", w.second, "example.org", func(r *verify.Receipt) {
			r.Support = append(r.Support, verify.Support{Index: 0, Leaf: w.rec.Leaves[0]})
		}},
		{"a note that nobody quotes", w.second, "example.org", func(r *verify.Receipt) { r.Notes = [][]byte{w.note} }},
		{"a statement with a wrong proof", w.second, "example.org", func(r *verify.Receipt) { r.Support[0].Proof[0][0] ^= 1 }},
		{"an entry that is not before the list", w.first, "dns.pt", func(r *verify.Receipt) {
			r.Support = append(r.Support, verify.Support{Index: w.withdrawal, Leaf: w.rec.Leaves[w.withdrawal]})
		}},
		{"the other list's leaf", w.first, "dns.pt", func(r *verify.Receipt) { r.Leaf = w.rec.Leaves[w.second] }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.rollReceipt(c.index, c.domain)
			c.forge(r)
			slices.SortFunc(r.Support, func(a, b verify.Support) int { return int(a.Index) - int(b.Index) })
			parsed, err := verify.ParseReceipt(r.Bytes())
			if err != nil {
				return
			}
			if v := verify.Judge(verify.Input{Policy: p, Receipt: parsed, Now: w.rec.Now}); v.Code != verify.CodeContradiction {
				t.Errorf("%d: %s", v.Code, v.Sentence)
			}
		})
	}
}

// TestRollDishonest has the log seal lists that are not right: whoever replays says so, and who does not says that it cannot tell.
func TestRollDishonest(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines func(lines []roll.Line) []roll.Line
		seal  func(b *entry.Roll)
	}{
		{"a name dropped", func(l []roll.Line) []roll.Line { return l[1:] }, nil},
		{"a name added", func(l []roll.Line) []roll.Line { return append(l, roll.Line{Domain: "zz.example", Index: 3}) }, nil},
		{"a name changed", func(l []roll.Line) []roll.Line { l[0].Domain = "aa.example"; return l }, nil},
		{"an old size", nil, func(b *entry.Roll) { b.Size-- }},
		{"a moment to come", nil, func(b *entry.Roll) { b.AsOf = b.AsOf.Add(time.Hour) }},
		{"a wrong count", nil, func(b *entry.Roll) { b.Count++ }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 2)
			b, _ := w.rec.State.Roll(w.statement, w.rec.Now.Add(-time.Millisecond))
			lines := w.rec.State.Lines(w.statement, b.AsOf)
			if c.lines != nil {
				lines = c.lines(lines)
				var leaves [][]byte
				for _, l := range lines {
					leaves = append(leaves, l.Bytes())
				}
				b.Count, b.Root = uint64(len(lines)), slowRoot(leaves)
			}
			if c.seal != nil {
				c.seal(b)
			}
			index := uint64(len(w.rec.Leaves))
			w.rec.Leaves = append(w.rec.Leaves, w.rec.Leaf(&entry.Entry{Ledger: rolltest.Origin, Body: b}))
			w.rec.Now = w.rec.Now.Add(time.Second)
			w.publish()
			if r := w.audit(verify.AuditOptions{}); r.OK || r.Code != verify.CodeContradiction || len(r.Findings) != 1 || r.Findings[0].Index == nil || *r.Findings[0].Index != index || r.Findings[0].Rule != string(roll.RuleRoll) {
				t.Errorf("the audit says: %+v", r.Findings)
			}
			if c.lines == nil {
				return
			}
			r := &verify.Receipt{Index: index, Leaf: w.rec.Leaves[index], Checkpoint: w.note, Domain: "apnic.net"}
			var err error
			if r.Proof, err = verify.Inclusion(index, index+1, nodesOf(w.rec.Leaves)); err != nil {
				t.Fatal(err)
			}
			r.Placed, _ = roll.Prove(lines, "apnic.net")
			v := verify.Judge(verify.Input{Policy: w.policy(), Receipt: r, Now: w.rec.Now})
			if v.Code != verify.CodeUnchecked {
				t.Errorf("without a replay: %d: %s", v.Code, v.Sentence)
			}
			v = verify.Judge(verify.Input{Policy: w.policy(), Receipt: r, Now: w.rec.Now, Record: w.audit(verify.AuditOptions{Receipts: []*verify.Receipt{r}})})
			if v.Code != verify.CodeContradiction {
				t.Errorf("with a replay: %d: %s", v.Code, v.Sentence)
			}
		})
	}
}

// TestRollAgain has a withdrawal's receipt beside a list on which the organization stands again.
func TestRollAgain(t *testing.T) {
	w := newRolled(t)
	w.endorse(rolltest.NewOrg("apnic.net", 2, 1, 2))
	again := w.rec.Seal(w.statement)
	w.publish()
	v := verify.Judge(verify.Input{Policy: w.replaying(), Receipt: w.receipt(w.withdrawal), Roll: w.rollReceipt(again, "apnic.net"), Now: w.rec.Now})
	if v.Code != 0 || !strings.Contains(v.Sentence, "withdrew an endorsement of “A statement” on 11 June 2024, and stood behind it again as of 12 June 2024") || strings.Contains(v.Sentence, "net, endorsed") {
		t.Errorf("%d: %s", v.Code, v.Sentence)
	}
}

// TestRollOfTheFuture has a list say that it is younger than every signature on it.
func TestRollOfTheFuture(t *testing.T) {
	w := newRolled(t)
	later := w.rec.Now.AddDate(5, 0, 0)
	b, _ := w.rec.State.Roll(w.statement, later.Add(-time.Millisecond))
	index := uint64(len(w.rec.Leaves))
	now := w.rec.Now
	w.rec.Now = later
	w.rec.Must(&entry.Entry{Ledger: rolltest.Origin, Body: b})
	w.rec.Now = now
	w.publish()
	for _, domain := range []string{"dns.pt", "example.org", ""} {
		v := verify.Judge(verify.Input{Policy: w.replaying(), Receipt: w.rollReceipt(index, domain), Now: later})
		if v.Code != verify.CodeContradiction {
			t.Errorf("%q: %d: %s", domain, v.Code, v.Sentence)
		}
	}
}

// What a reader requires is asked of everybody on a list.
func TestRequireOfAList(t *testing.T) {
	w := newNamed(t, "our.example")
	our := rolltest.NewOrg("our.example", 1, 0, 1)
	w.join(our, 10*aDay)
	w.publish()
	w.endorse(our)
	w.rec.Now = w.rec.Now.Add(time.Hour)
	index := w.rec.Seal(w.statement)
	w.publish()
	replaying := (&rolled{world: w.world}).replaying()
	dnssec, vouched, both := verify.Require{DNSSEC: true}, verify.Require{Vouched: 1}, verify.Require{Vouched: 1, DNSSEC: true}
	strip := func(r *verify.Receipt) { r.Notes, r.Support = nil, r.Support[:0] }
	for _, c := range []struct {
		name     string
		domain   string
		require  verify.Require
		record   bool
		change   func(r *verify.Receipt)
		code     int
		sentence []string
		missing  string // those of whom it is said
	}{
		{"all, nothing required", "", verify.Require{}, true, nil, 0, []string{"3 organizations"}, ""},
		{"all, dnssec", "", dnssec, true, nil, 3, []string{"What is required of those on the list is not there for 2 of 3: apnic.net, dns.pt."}, "apnic.net dns.pt"},
		{"all, vouched", "", vouched, true, nil, 3, []string{"for 2 of 3: dns.pt, our.example."}, "dns.pt our.example"},
		{"all, both", "", both, true, nil, 3, []string{"for 3 of 3: apnic.net, dns.pt, our.example."}, "apnic.net dns.pt our.example"},
		{"all, without a record", "", dnssec, false, nil, 3, []string{"takes a copy of the whole record to tell"}, ""},
		{"all, without their signatures", "", dnssec, true, strip, 3, []string{"for 2 of 3: apnic.net, dns.pt."}, "apnic.net dns.pt"},
		{"one that is proven", "our.example", dnssec, true, nil, 0, []string{"Yes. "}, ""},
		{"one that is not", "apnic.net", dnssec, true, nil, 3, []string{"It is required that the domain itself published the keys"}, ""},
		{"one, without a record", "our.example", dnssec, false, nil, 3, []string{"takes a copy of the whole record to tell"}, ""},
		{"the line of one that is not", "apnic.net", dnssec, true, strip, 3, []string{"It is required that the domain itself published the keys"}, ""},
		{"the line of one that is", "our.example", dnssec, true, strip, 0, []string{"our.example is on the list"}, ""},
		{"the line of one, without a record", "our.example", dnssec, false, strip, 3, []string{"takes a copy of the whole record to tell"}, ""},
		{"one that is not on it", "example.org", dnssec, true, nil, 11, []string{"No endorsement"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := verify.Input{Policy: replaying, Receipt: w.rollReceipt(index, c.domain), Now: w.rec.Now, Known: []string{"nic.example"}, Require: c.require}
			if c.change != nil {
				c.change(in.Receipt)
			}
			if c.record {
				in.Record = mustAudit(t, replaying, w.fetch, verify.AuditOptions{Receipts: []*verify.Receipt{in.Receipt}, Covering: w.covering})
			}
			v := check(t, c.name, in, c.code)
			for _, s := range c.sentence {
				if !strings.Contains(v.Sentence, s) {
					t.Errorf("%q is not in %q", s, v.Sentence)
				}
			}
			var missing []string
			for _, l := range v.Roll.Lines {
				if len(l.Missing) > 0 {
					missing = append(missing, l.Domain)
				}
			}
			if strings.Join(missing, " ") != c.missing {
				t.Errorf("missing of %v", missing)
			}
		})
	}
	// A key that was stolen is in doubt on lists, too, whether anything is required or not.
	stolen, next := our.Keys[0].Ref(), rolltest.NewKey("next of our.example")
	line, from := next.Line(), uint64(1)
	w.rec.Do(&entry.KeyEvent{Action: entry.Rotate, Member: our.Domain, PublicKey: &line, Revokes: &stolen, CompromisedAfter: &from}, our, our.Keys[0], next)
	w.publish()
	for _, c := range []struct {
		name    string
		require verify.Require
		code    int
		change  func(r *verify.Receipt)
	}{
		{"nothing required", verify.Require{}, 0, nil},
		{"nothing required, without their signatures", verify.Require{}, 0, strip},
		{"dnssec", dnssec, 3, nil},
	} {
		in := verify.Input{Policy: replaying, Receipt: w.rollReceipt(index, ""), Now: w.rec.Now, Require: c.require}
		if c.change != nil {
			c.change(in.Receipt)
		}
		in.Record = mustAudit(t, replaying, w.fetch, verify.AuditOptions{Receipts: []*verify.Receipt{in.Receipt}, Covering: w.covering})
		v := check(t, c.name, in, c.code)
		i := slices.IndexFunc(v.Roll.Lines, func(l verify.Signatory) bool { return l.Domain == our.Domain })
		if l := v.Roll.Lines[i]; len(l.Closer) == 0 || !strings.HasPrefix(l.Closer[0], "The endorsement is disputed") || (len(l.Missing) > 0) != (c.code != 0) {
			t.Errorf("%s: %+v", c.name, l)
		}
		if !slices.Contains(v.Answers[0].Reasons, "Disputed, because of a stolen key: our.example.") {
			t.Errorf("%s: %q", c.name, v.Answers[0].Reasons)
		}
	}
}

// Of somebody on a list who has said something else since, the record's state does not have the keys that signed then; the file may.
func TestRequireOfAnEarlierWord(t *testing.T) {
	w := newNamed(t, "our.example")
	our := rolltest.NewOrg("our.example", 1, 0, 1)
	w.join(our, 10*aDay)
	w.publish()
	w.endorse(our)
	w.rec.Now = w.rec.Now.Add(time.Hour)
	index := w.rec.Seal(w.statement)
	w.publish()
	w.endorse(our)
	w.publish()
	for name, strip := range map[string]bool{"the file has its endorsement": false, "the file does not": true} {
		r := w.rollReceipt(index, "")
		if strip {
			r.Notes, r.Support = nil, r.Support[:0]
		}
		in := verify.Input{Policy: w.policy(), Receipt: r, Domain: "our.example", Now: w.rec.Now, Require: verify.Require{DNSSEC: true}, Record: w.audit(verify.AuditOptions{Receipts: []*verify.Receipt{r}, Covering: w.covering})}
		want := 0
		if strip {
			want = verify.CodeUnchecked
		}
		if v := check(t, name, in, want); strip && !strings.Contains(v.Sentence, "it has said something else since") {
			t.Error(v.Sentence)
		}
	}
}

// ring is the receipt of a list of n members of whom each vouched for the next and the last for the first, and which all endorsed; what the first rests on is up to
// its registration.
func ring(w *named, n int, first func(o *rolltest.Org)) *verify.Receipt {
	orgs := make([]*rolltest.Org, n)
	for i := range orgs {
		orgs[i] = rolltest.NewOrg(fmt.Sprintf("m%03d.example", i), 1, 0, 1)
		if i == 0 {
			first(orgs[0])
		} else {
			w.rec.Register(orgs[i], orgs[i-1])
		}
	}
	w.update(orgs[0], orgs[0].Name, orgs[n-1])
	w.publish()
	for _, o := range orgs {
		w.endorse(o)
	}
	index := w.rec.Seal(w.statement)
	w.publish()
	return w.rollReceipt(index, "")
}

// In a large circle everybody rests on everybody before; on nobody, if nobody is in it whose own key rests on anything.
func TestRequireOfARing(t *testing.T) {
	for _, c := range []struct {
		name   string
		proven bool
		want   string
	}{
		{"nobody is proven", false, "is not there for 42 of 42"},
		{"the first is proven", true, "is not there for 3 of 42: apnic.net, dns.pt, m000.example."}, // which only those vouched for that rest on it
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newNamed(t, "m000.example")
			r := ring(w, 40, func(o *rolltest.Org) {
				if w.rec.Register(o); c.proven {
					w.observe(o.Domain, 10*aDay, o.Keys[0])
					w.publish()
				}
			})
			in := verify.Input{Policy: w.policy(), Receipt: r, Record: w.audit(verify.AuditOptions{Receipts: []*verify.Receipt{r}, Covering: w.covering}), Now: w.rec.Now, Require: verify.Require{Vouched: 1}}
			if v := check(t, c.name, in, verify.CodeUnchecked); !strings.Contains(v.Sentence, c.want) {
				t.Error(v.Sentence)
			}
		})
	}
	// A long way is told by its first steps and its last.
	w := newNamed(t, "m000.example")
	ring(w, 40, func(o *rolltest.Org) {
		w.rec.Register(o)
		w.observe(o.Domain, 10*aDay, o.Keys[0])
		w.publish()
	})
	last, _ := w.rec.State.Endorsement("m039.example", w.statement)
	ev := evidenceOf(check(t, "a long way", w.asked(last.Index, verify.AuditOptions{Covering: w.covering}), 0), verify.ByMembers)
	through := ev.Vouchers[0].Through
	if len(through) != 16 || through[0] != "m037.example" || through[15] != "m000.example" || !strings.Contains(ev.Sentence, "m023.example, and that by others in a row, 22 of them, to m000.example, which you know") {
		t.Errorf("%q: %s", through, ev.Sentence)
	}
}

// A list with a time after every signature on it contradicts itself, whoever has recomputed it, and however old it may be.
func TestRollAfterItsSignatures(t *testing.T) {
	w := newWorld(t, 2)
	signed := w.rec.Now
	w.rec.Now = signed.Add(48 * time.Hour)
	index := w.rec.Seal(w.statement)
	now := w.rec.Now.Add(48 * time.Hour)
	w.rec.Now = signed.Add(time.Minute)
	w.publish()
	replaying := (&rolled{world: w}).replaying()
	for name, in := range map[string]verify.Input{
		"recomputed":          {Policy: replaying},
		"recomputed, too old": {Policy: replaying, MaxAge: time.Hour},
		"by the log alone":    {Policy: w.policy()},
	} {
		for _, domain := range []string{"", "dns.pt", "example.org"} {
			in.Receipt, in.Now = w.rollReceipt(index, domain), now
			if v := verify.Judge(in); v.Code != verify.CodeContradiction || v.Answers[3].State != verify.CouldNotCheck || v.Answers[2].State != verify.No {
				t.Errorf("%s, %q: %d: %s\n%+v", name, domain, v.Code, v.Sentence, v.Answers)
			}
		}
	}
}

// A receipt and a sealed list of two copies that cannot be of one record contradict each other.
func TestRollBesideFork(t *testing.T) {
	one, other := newWorld(t, 2), newWorld(t, 2)
	one.rec.Seal(one.statement)
	one.publish()
	other.rec.Now = other.rec.Now.Add(time.Second)
	index := other.rec.Seal(other.statement)
	other.publish()
	a, b := one.checkpoint(), other.checkpoint()
	if a.Size != b.Size || a.Root == b.Root {
		t.Fatal("the record does not fork")
	}
	e, _ := one.rec.State.Endorsement("dns.pt", one.statement)
	for _, domain := range []string{"dns.pt", ""} {
		v := verify.Judge(verify.Input{Policy: (&rolled{world: one}).replaying(), Receipt: one.receipt(e.Index), Roll: other.rollReceipt(index, domain), Now: other.rec.Now})
		if v.Code != verify.CodeContradiction || v.Answers[3].State != verify.No || !strings.Contains(v.Sentence, "disagree about its first") {
			t.Errorf("%q: %d: %s\n%+v", domain, v.Code, v.Sentence, v.Answers[3])
		}
	}
}

// A list that names what cannot be on it is wrong, whoever says that he has recomputed it: a withdrawal, or an entry that did not exist.
func TestRollOfWhatCannotStand(t *testing.T) {
	w := newWorld(t, 2)
	withdrawal := w.withdraw(rolltest.NewOrg("apnic.net", 2, 1, 2))
	leaf, err := entry.ParseLeaf(w.rec.Leaves[withdrawal])
	if err != nil {
		t.Fatal(err)
	}
	index, now := withdrawal+1, w.rec.Now.Add(time.Second)
	for name, line := range map[string]roll.Line{
		"a withdrawal":      {Domain: "apnic.net", Index: withdrawal, ID: leaf.Entry.ID()},
		"itself":            {Domain: "apnic.net", Index: index, ID: leaf.Entry.ID()},
		"an entry after it": {Domain: "apnic.net", Index: index + 1000, ID: leaf.Entry.ID()},
	} {
		sealed := &entry.Leaf{Admitted: now, Entry: &entry.Entry{Ledger: rolltest.Origin, Body: &entry.Roll{
			Statement: w.statement, Size: index, AsOf: now.Add(-time.Millisecond), Count: 1, Root: verify.LeafHash(line.Bytes()),
		}}}
		w.rec.Leaves = append(w.rec.Leaves[:index], sealed.Bytes())
		w.publish()
		of := func(domain string) verify.Input {
			r := w.receipt(index)
			r.Lines = []roll.Line{line}
			if r.Domain = domain; domain != "" {
				r.Lines, r.Placed = nil, []roll.Placed{{Line: line}}
			}
			return verify.Input{Policy: (&rolled{world: w}).replaying(), Receipt: r, Now: now}
		}
		beside := of("apnic.net")
		beside.Receipt, beside.Roll = w.receipt(withdrawal), beside.Receipt
		inputs := map[string]verify.Input{"beside": beside}
		if line.Index != withdrawal { // which only the withdrawal itself tells
			inputs["present"], inputs["absent"], inputs["all"] = of("apnic.net"), of("example.org"), of("")
		}
		for how, in := range inputs {
			if v := verify.Judge(in); v.Code != verify.CodeContradiction {
				t.Errorf("%s, %s: %d: %s", name, how, v.Code, v.Sentence)
			}
		}
	}
}

// Who is not on a list and has endorsed since is not told to be gone, where the record at hand shows it.
func TestRollAndEndorsedSince(t *testing.T) {
	w := newRolled(t)
	w.rec.Now = w.rec.Now.Add(24 * time.Hour)
	w.endorse(rolltest.NewOrg("apnic.net", 2, 1, 2))
	w.endorse(rolltest.NewOrg("nic.example", 1, 0, 1))
	w.publish()
	for _, c := range []struct {
		domain   string
		bare     bool // the file does not hold what the organization said
		code     int
		sentence string
	}{
		{"apnic.net", false, verify.CodeWithdrawn, "withdrew an endorsement of “A statement” on 11 June 2024. It has been endorsed again since, on 13 June 2024."},
		{"apnic.net", true, verify.CodeWithdrawn, "withdrew its endorsement of “A statement” on 11 June 2024. It has been endorsed again since, on 13 June 2024."},
		{"nic.example", false, verify.CodeNotFound, "No endorsement of “A statement” by nic.example is in this record as of 12 June 2024, 09:30:09 UTC. It has been endorsed since, on 13 June 2024."},
		{"example.org", false, verify.CodeNotFound, "by example.org is in this record as of 12 June 2024, 09:30:09 UTC."},
	} {
		r := w.rollReceipt(w.second, c.domain)
		if c.bare {
			r.Notes = nil
			r.Support = slices.DeleteFunc(r.Support, func(s verify.Support) bool { return !bytes.Contains(s.Leaf, []byte("undersigned/statement/v1")) })
		}
		v := verify.Judge(verify.Input{Policy: w.policy(), Receipt: r, Now: w.rec.Now, Record: w.audit(verify.AuditOptions{Receipts: []*verify.Receipt{r}})})
		if v.Code != c.code || !strings.HasSuffix(v.Sentence, c.sentence) {
			t.Errorf("%s: %d: %s", c.domain, v.Code, v.Sentence)
		}
		if again := strings.Contains(strings.Join(v.Answers[3].Reasons, " "), "It has been endorsed again since, on 13 June 2024."); again != (c.code == verify.CodeWithdrawn) {
			t.Errorf("%s: %v", c.domain, v.Answers[3].Reasons)
		}
	}
}
