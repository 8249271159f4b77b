package roll

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// TestSnapshotFields fails when what a state consists of changes. Write the new
// field in snapshot.go, read it in readsnapshot.go (or derive it there), give
// the form another version, and name the field here.
func TestSnapshotFields(t *testing.T) {
	for _, x := range []struct {
		of     any
		fields []string
	}{
		{State{}, []string{"origin", "applying", "mu", "size", "beyond", "admitted", "charter", "operated", "members", "ordered", "joined", "lookup", "keys", "keysByID", "claims", "brought", "doubted", "statements", "published", "standings", "stamps", "stamped"}},
		{Beyond{}, []string{"Index", "What"}},
		{charter{}, []string{"Mark", "id", "title", "operator", "keys", "publishers", "admission", "roll"}},
		{member{}, []string{"id", "domain", "name", "legalName", "registered", "updated", "named", "left", "leftAt", "quorum", "keys", "recovery", "vouchers", "lastID", "history", "former", "chains", "recorded", "words", "seen", "said"}},
		{former{}, []string{"index", "name", "legalName"}},
		{voucher{}, []string{"domain", "index", "operator", "member", "keys"}},
		{key{}, []string{"id", "public", "ref", "domain", "role", "registered", "current", "suspended", "suspendedAt", "revoked", "revokedAt", "compromised", "compromisedAfter", "published"}},
		{statement{}, []string{"Mark", "id", "entryID", "hash", "publisher", "title", "language", "mediaType", "size", "renditions", "supersedes", "superseded", "closed", "closedAt", "closes", "lastID", "standing", "about", "past", "changed", "rolls", "sealed", "ranking", "moved"}},
		{past{}, []string{"record", "renditions", "index", "admitted", "id", "keys", "withdrawn"}},
		{sealed{}, []string{"index", "admitted", "asOf", "count"}},
		{stamp{}, []string{"index", "admitted", "size", "id"}},
		{chain{}, []string{"index", "admitted", "outcome", "notBefore", "notAfter", "hash"}},
		{word{}, []string{"labels", "final", "signed", "delegation", "gone"}},
		{span{}, []string{"first", "last", "ended", "end"}},
		{Mark{}, []string{"Index", "Admitted"}},
		{Event{}, []string{"Mark", "ID", "Action", "Signer", "Keys", "Added", "About"}},
		{record{}, []string{"id", "after", "index", "afterSize", "admitted", "date", "member", "statement", "keys", "renditions", "withdrawn"}},
		{standings{}, []string{"blocks", "n", "subjects", "sets", "interned"}},
		{subject{}, []string{"member", "statement"}},
		{claims{}, []string{"domains", "names"}},
		{look{}, []string{"which", "skeleton"}},
		{keys.Ref{}, []string{"Suite", "Fingerprint"}},
		{entry.Admission{}, []string{"Operator", "Vouched", "DNSSEC"}},
		{entry.Rendition{}, []string{"Language", "Hash", "Size", "MediaType"}},
	} {
		typ := reflect.TypeOf(x.of)
		var fields []string
		for i := range typ.NumField() {
			fields = append(fields, typ.Field(i).Name)
		}
		if !slices.Equal(fields, x.fields) {
			t.Errorf("%v has the fields %q; those that snapshots keep are %q", typ, fields, x.fields)
		}
	}
}

// large is a state with so many members, each of which endorses or has
// withdrawn from each of so many statements.
func large(members, statements int) *State {
	s := New("ledger.example/tccm")
	at := time.Date(2024, 6, 11, 9, 30, 0, 0, time.UTC)
	sum := func(kind string, n int) entry.Hash { return entry.Sum(fmt.Append(nil, kind, n)) }
	mark := func() Mark {
		s.size++
		at = at.Add(time.Second)
		s.admitted = at.UnixMilli()
		return Mark{s.size - 1, at}
	}
	newKey := func(n int, domain string, role Role) *key {
		seed := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
		public, err := keys.AcceptedPublicKey(keys.Ed25519, append([]byte("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"), seed[:]...))
		if err != nil {
			panic(err)
		}
		k := &key{id: uint32(len(s.keysByID)), public: public, ref: public.Ref(), domain: domain, role: role, registered: []uint64{s.size}, current: true}
		s.keys[k.ref.Fingerprint] = k
		s.keysByID = append(s.keysByID, k)
		return k
	}
	operator := newKey(0, "operator.example", OperatorKey)
	s.charter = &charter{Mark: mark(), title: "A record", operator: "operator.example", keys: []*key{operator}, roll: "manual"}
	s.operated = []string{"operator.example"}
	s.claims.takeDomain("operator.example", looks("operator.example"))
	for i := range statements {
		st := &statement{Mark: mark(), id: uint32(i), hash: sum("text", i), publisher: "operator.example", title: "A statement", language: "en", mediaType: "text/plain", size: 9, sealed: minTime}
		s.statements[st.hash], s.published = st, append(s.published, st)
	}
	for i := range members {
		domain := fmt.Sprintf("member-%07d.example", i)
		m := &member{id: uint32(i), domain: domain, name: fmt.Sprintf("Organization No. %d", i), quorum: 1, keys: []*key{newKey(i+1, domain, MemberKey)}}
		m.registered = mark()
		m.updated, m.named, m.lastID = m.registered, m.registered, sum("member", i)
		m.vouchers = []voucher{{domain: "operator.example", index: m.registered.Index, operator: true, keys: []*key{operator}}}
		m.history = []Event{{Mark: m.registered, ID: m.lastID, Action: entry.Register, Signer: domain, Keys: []keys.Ref{m.keys[0].ref}}}
		s.members[domain], s.ordered = m, append(s.ordered, m)
		s.claims.takeDomain(domain, looks(domain))
		s.claims.takeNames(domain, looks(m.name))
		s.joined++
	}
	for i, m := range s.ordered {
		for j, st := range s.published {
			mark := mark()
			r := record{
				id: sum("endorsement", i*statements+j), after: sum("after", i), index: mark.Index, afterSize: mark.Index, admitted: s.admitted,
				date: 19885, member: m.id, statement: st.id, keys: s.standings.intern(keySet{m.keys[0].id + 1}), withdrawn: (i+j)%8 == 0,
			}
			n := s.standings.add(r)
			m.said, st.about, st.changed = append(m.said, n), append(st.about, n), s.admitted
			if !r.withdrawn {
				st.standing++
			}
		}
	}
	return s
}

// TestSnapshotLarge has lists of several groups.
func TestSnapshotLarge(t *testing.T) {
	s := large(2500, 2)
	read, err := ReadSnapshot(s.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read, s) {
		t.Error("a large state is not the same after a snapshot")
	}
}

// BenchmarkSnapshot writes and reads the state of 1,000,000 entries: 200,000
// members that each endorsed 4 statements.
func BenchmarkSnapshot(b *testing.B) {
	s := large(200_000, 4)
	snapshot := s.Snapshot()
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(len(snapshot)))
		for b.Loop() {
			s.Snapshot()
		}
	})
	runtime.KeepAlive(s)
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(snapshot)))
		for b.Loop() {
			if _, err := ReadSnapshot(snapshot); err != nil {
				b.Fatal(err)
			}
		}
	})
}
