package roll_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// A record of all suites, asked about all at once before any entry of it is applied.
func TestQuestion(t *testing.T) {
	r := rolltest.New(t)
	var all []*rolltest.Org
	for i, suite := range []keys.Suite{keys.Ed25519, keys.ECDSAP256SHA256, keys.ECDSAP384SHA384, keys.MLDSA44, keys.SSHSIG, keys.RSAPSSSHA256} {
		o := rolltest.NewOrg("member"+string(rune('0'+i))+".example", 1, 1, 1)
		o.Keys[0] = rolltest.NewKeyOf(suite, o.Domain)
		all = append(all, o)
		r.Register(o)
	}
	h := r.Publish("We stand by this.\n")
	for _, o := range all {
		r.Endorse(o, h)
	}
	state := roll.New(rolltest.Origin)
	asker := state.Asker()
	var entries []*entry.Entry
	var leaves []*entry.Leaf
	for _, raw := range r.Leaves {
		l, err := entry.ParseLeaf(raw)
		if err != nil {
			t.Fatal(err)
		}
		leaves, entries = append(leaves, l), append(entries, l.Entry)
	}
	question := asker.Ask(entries)
	answer, err := roll.NewAnswerer().Answer(question.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for i, sigs := range question.Answered(answer) {
		if n := len(entries[i].Signatures); sigs.Done() != n {
			t.Errorf("entry %d: %d of %d signatures are answered", i, sigs.Done(), n)
		}
		if err := state.ApplyLeaf(uint64(i), leaves[i], sigs); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
	}
	asker.Applied(question)
	// Once they are applied, all keys are known, and the state is the one of who has checked all himself.
	again := asker.Ask(entries)
	if answer, err = roll.NewAnswerer().Answer(again.Bytes()); err != nil {
		t.Fatal(err)
	}
	for i, sigs := range again.Answered(answer) {
		if n := len(entries[i].Signatures); sigs.Done() != n {
			t.Errorf("entry %d, applied: %d of %d signatures are answered", i, sigs.Done(), n)
		}
	}
	for _, o := range all {
		k, ok := state.Key(o.Keys[0].Ref())
		if want, _ := r.State.Key(o.Keys[0].Ref()); !ok || !bytes.Equal(k.Public.SPKI(), want.Public.SPKI()) || !reflect.DeepEqual(k.Registered, want.Registered) {
			t.Fatalf("%s: %+v", o.Domain, k)
		}
		if text := []byte(o.Domain); !k.Public.Verify(rolltest.Origin, text, o.Keys[0].Sign(text)) {
			t.Errorf("%s: its key verifies nothing", o.Domain)
		}
	}
}

// Whatever an answer says, the fold says the same; and it says yes of the bytes that it names alone.
func TestAnswerIsBound(t *testing.T) {
	s := newScene(t, byOperator)
	good := s.endorse(s.two, nil)
	bad := s.endorse(s.two, nil)
	bad.Signatures[1].Sig[7] ^= 1
	asker := s.State.Asker()
	ask := func(all ...*entry.Entry) (*roll.Question, []byte) {
		q := asker.Ask(all)
		answer, err := roll.NewAnswerer().Answer(q.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		return q, answer
	}
	q, answer := ask(good)
	_, other := ask(bad)
	if got := q.Answered(answer)[0].Done(); got != 2 {
		t.Fatalf("%d of 2 signatures are answered", got)
	}
	if got := q.Answered(other)[0]; got != nil {
		t.Error("the answer about other bytes was taken")
	}
	for i := range answer {
		q, _ := ask(good)
		bent := bytes.Clone(answer)
		bent[i] ^= 0x80
		if got := q.Answered(bent)[0]; got != nil && got.Done() == 2 {
			t.Errorf("byte %d does not matter", i)
		}
		q, _ = ask(good)
		if q.Answered(answer[:i])[0] != nil {
			t.Errorf("%d bytes of the answer were enough", i)
		}
	}
	// No is not said, and looked at again.
	q, _ = ask(bad)
	checkRefusal(t, s.State.Admit(&entry.Leaf{Admitted: s.Now, Entry: bad}, q.Answered(other)[0]), roll.RuleSignature, "line 2")
	// A yes about the same text with another signature is of no use.
	q, answer = ask(good)
	checkRefusal(t, s.State.Admit(&entry.Leaf{Admitted: s.Now, Entry: bad}, q.Answered(answer)[0]), roll.RuleSignature, "line 2")

	// A key that is not sound is never yes; a key that nobody knows is not asked about.
	weak := rolltest.NewOrg("weak.example", 1, 0, 1)
	q, answer = ask(s.register(weak, nil), s.endorse(rolltest.NewOrg("stranger.example", 2, 0, 2), nil), nil)
	sigs := q.Answered(answer)
	if sigs[0].Done() == 0 || sigs[1] != nil || sigs[2] != nil {
		t.Error("what was answered:", sigs)
	}
	for _, c := range refusals {
		s := newScene(t, c.admission)
		e := c.entry(s)
		l, err := entry.ParseLeaf(s.Leaf(e))
		if err != nil {
			continue
		}
		q := s.State.Asker().Ask([]*entry.Entry{l.Entry})
		answer, err := roll.NewAnswerer().Answer(q.Bytes())
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		checkRefusal(t, s.State.Admit(l, q.Answered(answer)[0]), c.rule, c.detail)
	}
}

// FuzzAnswer gives an Answerer any bytes.
func FuzzAnswer(f *testing.F) {
	scenes := &testing.T{} // newScene reports here what cannot happen
	s := newScene(scenes, byOperator)
	f.Add(s.State.Asker().Ask([]*entry.Entry{s.endorse(s.two, nil), s.register(rolltest.NewOrg("new.example", 2, 1, 1), nil)}).Bytes())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, question []byte) {
		answer, err := roll.NewAnswerer().Answer(question)
		if err != nil && answer != nil || err == nil && (len(question) == 0) != (len(answer) == 0) {
			t.Errorf("%x, %v", answer, err)
		}
	})
}
