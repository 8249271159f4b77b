package roll_test

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// reread returns what a snapshot of s gives, which must give the same snapshot.
// TestHistories puts one of its states through it after each entry.
func reread(t testing.TB, s *roll.State) *roll.State {
	t.Helper()
	b := s.Snapshot()
	read, err := roll.ReadSnapshot(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read.Snapshot(), b) {
		t.Fatal("a snapshot that was read gives another one")
	}
	return read
}

// manySuites is a record with keys of every suite, a statement with renditions
// that is superseded, and an operator that changed.
func manySuites(t testing.TB) *rolltest.Record {
	r := rolltest.New(t)
	h := r.Publish("text")
	for i, suite := range []keys.Suite{keys.Ed25519, keys.ECDSAP256SHA256, keys.ECDSAP384SHA384, keys.RSAPSSSHA256, keys.RSAPKCS1SHA256, keys.MLDSA44} {
		domain := string(rune('a'+i)) + "xyz.example"
		o := &rolltest.Org{Domain: domain, Name: "Org " + string(rune('A'+i)) + "xyz", Keys: []*rolltest.Key{rolltest.NewKeyOf(suite, "s"+domain)}, Quorum: 1}
		r.Register(o)
		r.Endorse(o, h)
	}
	old := h
	r.Do(&entry.Statement{
		Action: entry.Publish, Statement: entry.Sum([]byte("new")), Title: "New", Language: "en", MediaType: "text/plain", Size: 3, Supersedes: &old,
		Renditions: []entry.Rendition{{Language: "de", Hash: entry.Sum([]byte("neu")), Size: 3, MediaType: "text/plain"}}, Closes: r.Now.AddDate(1, 0, 0),
	}, r.Operator)
	return r
}

func TestSnapshotSuites(t *testing.T) {
	r := manySuites(t)
	want := r.State
	r.State = reread(t, want)
	if !reflect.DeepEqual(r.State.Statements(), want.Statements()) || !reflect.DeepEqual(r.State.Standing(entry.Sum([]byte("text"))), want.Standing(entry.Sum([]byte("text")))) {
		t.Error("the statements are not the same")
	}
	for _, m := range want.Members() {
		got, ok := r.State.Member(m.Domain)
		if !ok || len(got.Keys) != 1 || got.Keys[0].Ref != m.Keys[0].Ref || !bytes.Equal(got.Keys[0].Public.SPKI(), m.Keys[0].Public.SPKI()) {
			t.Errorf("%+v, want %+v", got, m)
		}
		o := &rolltest.Org{Domain: m.Domain, Keys: []*rolltest.Key{rolltest.Find(m.Keys[0].Ref)}, Quorum: 1}
		withdrawal := r.Endorsement(entry.Withdraw, o, entry.Sum([]byte("text")))
		forged := *withdrawal
		forged.Signatures = []entry.Signature{withdrawal.Signatures[0]}
		forged.Signatures[0].Sig = bytes.Clone(forged.Signatures[0].Sig)
		forged.Signatures[0].Sig[len(forged.Signatures[0].Sig)/2] ^= 1
		checkRefusal(t, r.State.Admit(&entry.Leaf{Admitted: r.Now, Entry: &forged}, nil), roll.RuleSignature, "")
		r.Must(withdrawal)
	}
}

func TestSnapshotEdges(t *testing.T) {
	reread(t, roll.New(rolltest.Origin))
	refused := roll.New(rolltest.Origin)
	refused.Apply(0, []byte("no leaf"))
	if reread(t, refused).Size() != 1 {
		t.Error("the inadmissible leaf is gone")
	}
	r := manySuites(t)
	leaf := bytes.Replace(r.Leaf(r.Endorsement(entry.Endorse, rolltest.NewOrg("x.example", 1, 0, 1), entry.Sum(nil))), []byte("undersigned/endorsement/v1"), []byte("undersigned/endorsement/v9"), 1)
	want := r.State.Apply(r.State.Size(), leaf)
	if _, ok := want.(*roll.Beyond); !ok {
		t.Fatal(want)
	}
	read := reread(t, r.State)
	if err := read.Apply(read.Size(), r.Leaves[1]); err == nil || err.Error() != want.Error() {
		t.Errorf("%v, want %v", err, want)
	}
}

// TestSnapshotRefuses cuts a snapshot short and flips each of its bits: what is
// still accepted gives the same bytes again.
func TestSnapshotRefuses(t *testing.T) {
	r := rolltest.New(t)
	h := r.Publish("text")
	o := r.Join("a.example")
	r.Endorse(o, h)
	r.Withdraw(o, h)
	// The operator is member 2 of 3, so that one bit makes it operator 0.
	r.Join("b.example")
	r.Register(&rolltest.Org{Domain: r.Operator.Domain, Name: "The operator", Keys: []*rolltest.Key{rolltest.NewKey("as a member")}, Quorum: 1})
	good := r.State.Snapshot()
	accepted, total := 0, 0
	try := func(b []byte) {
		total++
		s, err := roll.ReadSnapshot(b)
		switch {
		case err == nil && !bytes.Equal(s.Snapshot(), b):
			t.Errorf("two forms of one state: %q", b)
		case err == nil:
			accepted++
		case err != roll.ErrSnapshot:
			t.Errorf("%v", err)
		}
	}
	for at := range good {
		try(good[:at])
		for bit := range 8 {
			b := bytes.Clone(good)
			b[at] ^= 1 << bit
			try(b)
		}
	}
	try(append(bytes.Clone(good), 0))
	t.Logf("%d of %d accepted", accepted, total)
	// Hashes, keys, texts and indexes can say anything.
	if accepted < total/4 || accepted > total*9/10 {
		t.Error("that is not what the form allows")
	}
}

// TestSnapshotCounts has counts that no state has.
func TestSnapshotCounts(t *testing.T) {
	good := roll.New("o").Snapshot()
	body := good[:len("undersigned/state/v1\n")+2]
	for name, rest := range map[string][]byte{
		"a huge list": binary.AppendUvarint([]byte{0, 0, 0}, 1<<60), "a group longer than its bytes": {0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff},
		"a group shorter than its items": {0, 0, 0, 9, 0, 0, 0, 1, 0}, "no lists": {0, 0, 0}, "a long form of zero": {0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		if _, err := roll.ReadSnapshot(append(bytes.Clone(body), rest...)); err != roll.ErrSnapshot {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzSnapshot(f *testing.F) {
	f.Add(roll.New(rolltest.Origin).Snapshot())
	f.Add(manySuites(f).State.Snapshot())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := roll.ReadSnapshot(b)
		if err != nil {
			if err != roll.ErrSnapshot {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(s.Snapshot(), b) {
			t.Fatal("two forms of one state")
		}
		for _, m := range s.Members() {
			s.Endorsements(m.Domain)
		}
		for _, st := range s.Statements() {
			s.Standing(st.Statement)
		}
		s.Charter()
	})
}
