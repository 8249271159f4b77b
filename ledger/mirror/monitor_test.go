package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// stage is a ledger with witnesses as those who watch it see it.
type stage struct {
	tb        testing.TB
	rec       *rolltest.Record
	logs      []ledger.Signer
	witnesses []ledger.Signer
	quorum    int
	files     map[string][]byte
	down      bool              // the ledger
	sights    map[string][]byte // what witnesses show
	now       time.Time

	state     []byte // of the monitor
	told      []Event
	lines     map[string]string // what was handed over, by ID
	again     int               // events that were handed over a second time
	deliver   error
	proofs    []*verify.Contradiction
	saveFails error
}

func newStage(tb testing.TB, witnesses, quorum int) *stage {
	s := &stage{
		tb: tb, rec: rolltest.New(tb), quorum: quorum, files: make(map[string][]byte), sights: make(map[string][]byte), lines: make(map[string]string),
	}
	for suite, typ := range map[keys.Suite]byte{keys.Ed25519: keys.TypeEd25519, keys.MLDSA44: keys.TypeCosignatureMLDSA44} {
		s.logs = append(s.logs, stageSigner(tb, rolltest.Origin, suite, typ))
	}
	for i := range witnesses {
		s.witnesses = append(s.witnesses, stageSigner(tb, fmt.Sprintf("witness%d.example", i), keys.Ed25519, keys.TypeCosignatureEd25519))
	}
	s.publish()
	s.now = s.rec.Now
	return s
}

func stageSigner(tb testing.TB, name string, suite keys.Suite, typ byte) ledger.Signer {
	k := rolltest.NewKeyOf(suite, "cosigner "+name)
	spki := k.Public.SPKI()
	v, err := keys.NewVKey(name, typ, spki[len(spki)-map[keys.Suite]int{keys.Ed25519: 32, keys.MLDSA44: 1312}[suite]:])
	if err != nil {
		tb.Fatal(err)
	}
	return ledger.Signer{VKey: v, Sign: func(msg []byte) ([]byte, error) { return k.Sign(msg), nil }}
}

func (s *stage) policy() *verify.Policy {
	s.tb.Helper()
	var b strings.Builder
	for _, l := range s.logs {
		fmt.Fprintf(&b, "log %s\n", l.VKey)
	}
	names := ""
	for i, w := range s.witnesses {
		fmt.Fprintf(&b, "witness w%d %s\n", i, w.VKey)
		names += fmt.Sprintf(" w%d", i)
	}
	quorum := "quorum none\n"
	if names != "" {
		quorum = fmt.Sprintf("group g %d%s\nquorum g\n", s.quorum, names)
	}
	p, err := verify.ParsePolicy([]byte(b.String() + quorum))
	if err != nil {
		s.tb.Fatal(err)
	}
	return p
}

// note signs what the record of a stage holds, at a time, by the log and these witnesses.
func (s *stage) note(at time.Time, witnesses ...ledger.Signer) []byte {
	s.tb.Helper()
	c := verify.Checkpoint{Origin: rolltest.Origin, Size: uint64(len(s.rec.Leaves)), Root: stageRoot(s.tb, s.rec.Leaves)}
	note := append(c.Text(), '\n')
	for _, k := range append(slices.Clone(s.logs), witnesses...) {
		seconds := uint64(at.Unix())
		sig, err := k.Sign(verify.SignedMessage(k.VKey, seconds, c))
		if err != nil {
			s.tb.Fatal(err)
		}
		if k.VKey.Type != keys.TypeEd25519 {
			sig = verify.TimestampedSignature(seconds, sig)
		}
		note = append(note, verify.SignatureLine(k.VKey, sig)...)
	}
	return note
}

func stageRoot(tb testing.TB, leaves [][]byte) [32]byte {
	root, err := verify.RootAt(uint64(len(leaves)), func(level uint, index uint64) ([32]byte, error) { return stageNode(leaves, level, index), nil })
	if err != nil {
		tb.Fatal(err)
	}
	return root
}

func stageNode(leaves [][]byte, level uint, index uint64) [32]byte {
	if level == 0 {
		return verify.LeafHash(leaves[index])
	}
	return verify.NodeHash(stageNode(leaves, level-1, 2*index), stageNode(leaves, level-1, 2*index+1))
}

// publish publishes all, cosigned by these witnesses; none named: by all.
func (s *stage) publish(witnesses ...ledger.Signer) {
	s.tb.Helper()
	if len(witnesses) == 0 {
		witnesses = s.witnesses
	}
	s.show(s.note(s.rec.Now, witnesses...))
}

// show publishes the tiles of the record and this note.
func (s *stage) show(note []byte) {
	leaves := s.rec.Leaves
	for t := range verify.TilesFor(uint64(len(leaves))) {
		var b []byte
		for i := range t.Width {
			if t.Level < 0 {
				b = verify.AppendBundleEntry(b, leaves[int(t.Index)*verify.TileWidth+i])
				continue
			}
			h := stageNode(leaves, uint(8*t.Level), t.Index*verify.TileWidth+uint64(i))
			b = append(b, h[:]...)
		}
		s.files[t.Path()] = b
	}
	s.files["checkpoint"] = note
	s.files[verify.CheckpointPath(uint64(len(leaves)))] = note
}

func (s *stage) fetch(_ context.Context, path string) ([]byte, error) {
	if s.down {
		return nil, errors.New("nobody answers")
	}
	if b, ok := s.files[path]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

// endorsement quotes the newest published note.
func (s *stage) endorse(action entry.Action, o *rolltest.Org, h entry.Hash) {
	s.tb.Helper()
	note := s.files["checkpoint"]
	c, err := s.policy().OpenPast(note)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.rec.Do(&entry.Endorsement{Action: action, Statement: h, After: entry.After{Size: c.Size, Note: entry.Sum(note)}}, o)
}

// later lets time pass, for the record and for those who watch.
func (s *stage) later(d time.Duration) {
	s.rec.Now = s.rec.Now.Add(d)
	s.now = s.rec.Now
}

// monitor starts a monitor from what was saved last.
func (s *stage) monitor(watch string, change ...func(*MonitorConfig)) *Monitor {
	s.tb.Helper()
	w, err := ParseWatch([]byte(watch))
	if err != nil {
		s.tb.Fatal(err)
	}
	l := MonitoredLedger{Origin: rolltest.Origin, Policy: s.policy(), Fetch: s.fetch}
	for _, k := range s.witnesses {
		l.Witnesses = append(l.Witnesses, Sight{k.VKey.Name, func(context.Context) ([]byte, error) {
			if b, ok := s.sights[k.VKey.Name]; ok {
				return b, nil
			}
			return nil, fs.ErrNotExist
		}})
	}
	cfg := MonitorConfig{
		Ledgers: []MonitoredLedger{l}, Watch: w, State: s.state, Now: func() time.Time { return s.now },
		Save: func(b []byte) error {
			if s.saveFails != nil {
				return s.saveFails
			}
			s.state = bytes.Clone(b)
			return nil
		},
		Deliver: s.take,
		Evidence: func(c *verify.Contradiction) (string, error) {
			s.proofs = append(s.proofs, c)
			return fmt.Sprintf("proof-%d", len(s.proofs)), nil
		},
	}
	for _, c := range change {
		c(&cfg)
	}
	m, err := NewMonitor(cfg)
	if err != nil {
		s.tb.Fatal(err)
	}
	return m
}

// take is where events arrive: nothing is acted upon twice.
func (s *stage) take(_ context.Context, lines [][]byte) (int, error) {
	if s.deliver != nil {
		return 0, s.deliver
	}
	for _, l := range lines {
		var e Event
		if err := json.Unmarshal(l, &e); err != nil {
			s.tb.Fatal(err)
		}
		if before, known := s.lines[e.ID]; known {
			if s.again++; before != string(l) {
				s.tb.Fatalf("event %s was handed over as two:\n%s%s", e.ID, before, l)
			}
			continue
		}
		s.lines[e.ID] = string(l)
		if want := uint64(len(s.told) + 1); e.Sequence != want || e.Schema != EventSchema || e.Sentence == "" || e.Level == "" {
			s.tb.Fatalf("event %s, when number %d is expected", l, want)
		}
		s.told = append(s.told, e)
	}
	return len(lines), nil
}

// look looks once and returns the exit code and the types of what was told.
func (s *stage) look(m *Monitor) (int, []EventType) {
	s.tb.Helper()
	from := len(s.told)
	code, err := m.Look(context.Background())
	if err != nil {
		s.tb.Fatal(err)
	}
	var types []EventType
	for _, e := range s.told[from:] {
		types = append(types, e.Type)
	}
	return code, types
}

// expect looks once and compares.
func (s *stage) expect(m *Monitor, code int, types ...EventType) {
	s.tb.Helper()
	got, told := s.look(m)
	if got != code || !slices.Equal(told, types) {
		s.tb.Fatalf("exit code %d, told %q; want %d, %q", got, told, code, types)
	}
}

func (s *stage) last() Event { return s.told[len(s.told)-1] }

func TestMonitorEntries(t *testing.T) {
	s := newStage(t, 3, 2)
	m := s.monitor("domain apnic.net\ndomain nic.example\nname modern\n")
	s.expect(m, 0)
	nic := s.rec.Join("nic.example")
	s.publish()
	s.expect(m, 0, EventRegistration)
	apnic := rolltest.NewOrg("apnic.net", 2, 1, 2)
	s.rec.Register(apnic, nic)
	h := s.rec.Publish("A text.\n")
	s.rec.Join("other.example")
	s.publish()
	s.expect(m, 0, EventRegistration, EventVouched)
	if e := s.told[1]; e.Domain != "apnic.net" || e.Level != LevelAlert || *e.Expected || e.Size == nil || *e.Size != 5 || *e.Index != 2 || len(e.Keys) != 3 || e.Watched[0] != "domain apnic.net" {
		t.Errorf("%+v", e)
	}
	s.endorse(entry.Endorse, apnic, h)
	s.publish()
	s.expect(m, 0, EventEndorsement)
	if e := s.last(); e.Statement != h.String() || e.Admitted == nil || !strings.Contains(e.Sentence, "apnic.net endorsed") {
		t.Errorf("%+v", e)
	}
	s.endorse(entry.Withdraw, apnic, h)
	added := rolltest.NewKey("one more")
	line := added.Line()
	s.rec.Must(rolltest.Sign(s.rec.Draft(&entry.KeyEvent{Action: entry.Add, Member: apnic.Domain, PublicKey: &line}, apnic, apnic.Keys[0], apnic.Keys[1], added)))
	ref := added.Ref()
	s.rec.Do(&entry.KeyEvent{Action: entry.Suspend, Member: apnic.Domain, Revokes: &ref}, s.rec.Operator)
	s.rec.Do(&entry.KeyEvent{Action: entry.Revoke, Member: apnic.Domain, Revokes: &ref}, apnic)
	s.rec.Do(&entry.Membership{Action: entry.Update, Member: apnic.Domain, Name: "Asia Pacific", Quorum: 2, RecoveryKeys: []entry.PublicKey{apnic.Recovery[0].Line()}}, apnic, apnic.Keys[0], apnic.Keys[1], apnic.Recovery[0])
	s.rec.Do(&entry.Membership{Action: entry.Leave, Member: apnic.Domain}, apnic)
	s.publish()
	s.expect(m, 0, EventWithdrawal, EventKeyAdded, EventKeySuspended, EventKeyRevoked, EventUpdate, EventLeave)

	// An impostor.
	fake := rolltest.NewOrg("registry.example", 1, 0, 1)
	fake.Name = "rnodern"
	s.rec.Must(s.rec.Registration(fake))
	s.rec.Publish("Another text.\n")
	s.publish()
	s.expect(m, 0, EventLookAlike)
	if e := s.last(); e.Like != "modern" || e.Domain != "registry.example" {
		t.Errorf("%+v", e)
	}

	// To all, everything is told, and nothing twice.
	all := newStage(t, 0, 0)
	all.rec, all.logs = s.rec, s.logs
	all.files = s.files
	all.files["checkpoint"] = all.note(s.rec.Now)
	all.now = s.now
	m = all.monitor("all\n")
	if _, told := all.look(m); len(told) != len(s.rec.Leaves) {
		t.Errorf("%d events of %d entries: %q", len(told), len(s.rec.Leaves), told)
	}
	all.expect(m, 0)
	all.expect(all.monitor("all\n"), 0)
	fromNow := newStage(t, 0, 0)
	fromNow.rec, fromNow.files, fromNow.now = s.rec, all.files, s.now
	fromNow.expect(fromNow.monitor("all\n", func(c *MonitorConfig) { c.FromNow = true }), 0)
}

func TestMonitorStatements(t *testing.T) {
	s := newStage(t, 0, 0)
	h := s.rec.Publish("A text.\n")
	s.publish()
	m := s.monitor("statement " + h.String() + "\n")
	s.expect(m, 0, EventStatementPublished)
	new := entry.Sum([]byte("Better.\n"))
	s.rec.Do(&entry.Statement{Action: entry.Publish, Statement: new, Title: "Better", Language: "en", MediaType: "text/plain", Size: 8, Supersedes: &h}, s.rec.Operator)
	s.rec.Do(&entry.Statement{Action: entry.Close, Statement: h}, s.rec.Operator)
	s.rec.Do(&entry.Statement{Action: entry.Reopen, Statement: h}, s.rec.Operator)
	o := s.rec.Join("a.example")
	s.endorse(entry.Endorse, o, h)
	s.endorse(entry.Endorse, o, new)
	s.endorse(entry.Withdraw, o, h)
	s.rec.Do(&entry.Charter{Title: "New rules", Operator: s.rec.Operator.Domain, PublicKeys: []entry.PublicKey{s.rec.Operator.Keys[0].Line()}, Admission: entry.Admission{Operator: true}, Roll: "manual"}, s.rec.Operator)
	s.publish()
	s.expect(m, 0, EventStatementSuperseded, EventStatementClosed, EventStatementReopened, EventEndorsement, EventWithdrawal, EventCharter)
}

func TestMonitorLookAlikeDomain(t *testing.T) {
	s := newStage(t, 0, 0)
	m := s.monitor("domain modern.example\n")
	s.expect(m, 0)
	s.rec.Join("rnodern.example") // nobody else has registered: the rules let it in
	s.publish()
	s.expect(m, 0, EventLookAlike)
	if e := s.last(); e.Like != "modern.example" || e.Level != LevelAlert || e.Domain != "rnodern.example" || e.Expected != nil {
		t.Errorf("%+v", e)
	}
}

// Who watches a domain hears of each key that it is seen to publish in the DNS, and of each that it no longer does; not of months in which nothing changes.
func TestMonitorDomainWord(t *testing.T) {
	const domain, reads, fake = "xn--mnchen-3ya.example", "xn--mnchen-3ya.example (münchen.example)", "xn--rnnchen-o2a.example"
	s := newStage(t, 0, 0)
	d := dnssectest.New(s.rec.Now, s.rec.Now)
	d.Zone("example", dnssectest.Options{})
	d.Zone(domain, dnssectest.Options{})
	dnssectest.Trust(d.Anchors()...)
	our := rolltest.NewOrg(domain, 2, 1, 1)
	chain := func(ks ...*rolltest.Key) []byte {
		t.Helper()
		s.rec.Now = s.rec.Now.Add(24 * time.Hour)
		d.Window(s.rec.Now.Add(-time.Hour), s.rec.Now.Add(14*24*time.Hour))
		var list []dnssec.Record
		for _, k := range ks {
			list = append(list, dnssec.Record{Ledger: rolltest.Origin, Key: k.Ref().Fingerprint})
		}
		d.Publish(domain, list...)
		b, _, err := d.Chain(domain, s.rec.Now)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	evidence := func(chain []byte) {
		t.Helper()
		s.rec.Must(&entry.Entry{Ledger: rolltest.Origin, Body: &entry.Evidence{Type: entry.DNSSEC, Member: domain, Data: chain}})
		s.publish()
	}
	told := func(typ EventType, level Level, sentence string, ks ...*rolltest.Key) {
		t.Helper()
		var refs []string
		for _, k := range ks {
			refs = append(refs, k.Ref().String())
		}
		e := s.last()
		if e.Type != typ || e.Level != level || !strings.Contains(e.Sentence, sentence) || !strings.Contains(e.Sentence, reads) || !slices.Equal(e.Keys, refs) || e.Domain != domain || e.Unicode != "münchen.example" || *e.Index+1 != uint64(len(s.rec.Leaves)) || e.Expected != nil {
			t.Errorf("%+v", e)
		}
	}
	m := s.monitor("domain " + domain + "\n")
	s.expect(m, 0)
	if err := s.rec.ApplyWith(s.rec.Registration(our), chain(our.Keys...)); err != nil {
		t.Fatal(err)
	}
	s.publish()
	s.expect(m, 0, EventRegistration, EventKeyPublished)
	told(EventKeyPublished, LevelInfo, "publishes 2 of its keys", our.Keys...)
	evidence(chain(our.Keys...))
	s.expect(m, 0)
	evidence(chain(our.Keys[0]))
	s.expect(m, 0, EventKeyGone)
	told(EventKeyGone, LevelAlert, "no longer publishes one of its keys in the DNS: its zone says, signed, that it is not there", our.Keys[1])
	evidence(chain(our.Keys...))
	s.expect(m, 0, EventKeyPublished)
	told(EventKeyPublished, LevelInfo, "publishes one of its keys", our.Keys[1])
	// A key that was replaced goes.
	next := rolltest.NewKey("our next")
	line, ref := next.Line(), our.Keys[1].Ref()
	s.rec.Must(rolltest.Sign(s.rec.Draft(&entry.KeyEvent{Action: entry.Rotate, Member: domain, Revokes: &ref, PublicKey: &line}, our, our.Keys[0], next)))
	evidence(chain(our.Keys[0]))
	s.expect(m, 0, EventKeyRotated, EventKeyGone)
	told(EventKeyGone, LevelInfo, "no longer publishes one of its keys", our.Keys[1])
	// Its zone is signed no more.
	d.Zone(domain, dnssectest.Options{Unsigned: true})
	evidence(chain())
	s.expect(m, 0, EventKeyGone)
	told(EventKeyGone, LevelAlert, "its zone is no longer signed", our.Keys[0])
	// Others do not hear of it, but who watches everything does.
	for watch, times := range map[string]int{"domain somebody.example\n": 0, "all\n": 5} {
		other := newStage(t, 0, 0)
		other.rec, other.logs, other.files, other.now = s.rec, s.logs, s.files, s.now
		n := 0
		_, types := other.look(other.monitor(watch))
		for _, typ := range types {
			if typ == EventKeyGone || typ == EventKeyPublished {
				n++
			}
		}
		if n != times {
			t.Errorf("%s: told %d times", watch, n)
		}
	}
	// Somebody imitates it, where it has not registered itself.
	other := newStage(t, 0, 0)
	m = other.monitor("domain " + domain + "\n")
	other.expect(m, 0)
	other.rec.Join(fake)
	other.publish()
	other.expect(m, 0, EventLookAlike)
	if e := other.last(); e.Like != domain || e.Domain != fake || e.Unicode != "rnünchen.example" || e.Level != LevelAlert || !strings.Contains(e.Sentence, fake+" (rnünchen.example) registered") || !strings.Contains(e.Sentence, "mistaken for "+reads) {
		t.Errorf("%+v", e)
	}
}

func TestMonitorExpectations(t *testing.T) {
	s := newStage(t, 0, 0)
	o := s.rec.Join("a.example")
	h := s.rec.Publish("A text.\n")
	other := s.rec.Publish("Another.\n")
	s.publish()
	day := s.now.Format(time.DateOnly)
	watch := fmt.Sprintf("domain a.example\nexpect endorse a.example %s until %s\nexpect withdraw a.example %s until %s\n", h, day, h, day)
	m := s.monitor(watch, func(c *MonitorConfig) { c.FromNow = true; c.MaxAge = 1000 * time.Hour })
	s.expect(m, 0)
	s.endorse(entry.Endorse, o, other)
	s.endorse(entry.Endorse, o, h)
	s.publish()
	s.expect(m, 0, EventEndorsement, EventEndorsement)
	if a, b := s.told[1], s.told[0]; !*a.Expected || a.Level != LevelInfo || *b.Expected || b.Level != LevelAlert {
		t.Errorf("%+v %+v", a, b)
	}
	// Announced once, it is expected once; and a restart does not forget it.
	m = s.monitor(watch, func(c *MonitorConfig) { c.MaxAge = 1000 * time.Hour })
	s.endorse(entry.Endorse, o, h)
	s.publish()
	s.expect(m, 0, EventEndorsement)
	if *s.last().Expected {
		t.Error("expected a second time")
	}
	// What does not come is told once, when the record is known to be past the day.
	s.now = s.now.Add(48 * time.Hour)
	s.expect(m, 0)
	// What comes after its day is not expected.
	s.later(48 * time.Hour)
	s.endorse(entry.Withdraw, o, h)
	s.publish()
	s.expect(m, 0, EventWithdrawal, EventExpectedMissing)
	if e := s.last(); !strings.Contains(e.Sentence, "withdraw") || *s.told[len(s.told)-2].Expected {
		t.Errorf("%+v", e)
	}
	s.expect(m, 0)
}

func TestMonitorAges(t *testing.T) {
	s := newStage(t, 3, 2)
	m := s.monitor("domain a.example\n", func(c *MonitorConfig) { c.Heartbeat = 24 * time.Hour })
	s.expect(m, 0, EventHeartbeat)
	if e := s.last(); !strings.HasPrefix(e.Sentence, "All quiet as of 1 ") || e.Level != LevelInfo {
		t.Errorf("%+v", e)
	}
	s.now = s.now.Add(23 * time.Hour)
	s.expect(m, 0)
	s.now = s.now.Add(2 * time.Hour)
	s.expect(m, 3, EventStale, EventWitnessMissing, EventWitnessMissing, EventWitnessMissing, EventHeartbeat)
	if e := s.last(); !strings.Contains(e.Sentence, "checkpoint-stale, witness-missing") || e.Level != LevelWarning {
		t.Errorf("%+v", e)
	}
	s.expect(m, 3)
	// Two witnesses come back.
	s.rec.Now = s.now
	s.publish(s.witnesses[0], s.witnesses[2])
	s.expect(m, 0, EventNormal, EventNormal, EventNormal)
	s.expect(s.monitor("domain a.example\n"), 0)
	// The third shows elsewhere that it is there.
	s.sights["witness1.example"] = s.note(s.now, s.witnesses[1])
	s.expect(m, 0, EventNormal)
	if e := s.last(); e.About != EventWitnessMissing || e.Witness != "witness1.example" {
		t.Errorf("%+v", e)
	}
	// The ledger alone cannot make itself fresh.
	s.later(30 * time.Hour)
	s.show(s.note(s.now, s.witnesses[0]))
	s.expect(m, 21, EventQuorumMissed, EventStale, EventWitnessMissing, EventWitnessMissing, EventHeartbeat)
}

// TestMonitorAhead has signers whose clocks are ahead, or who want to look fresh for ever.
func TestMonitorAhead(t *testing.T) {
	s := newStage(t, 3, 2)
	m := s.monitor("")
	s.expect(m, 0)
	s.show(s.note(s.now.AddDate(1, 0, 0), s.witnesses...))
	s.expect(m, 0)
	s.now = s.now.Add(25 * time.Hour)
	s.expect(m, 3, EventStale, EventWitnessMissing, EventWitnessMissing, EventWitnessMissing)
}

// TestMonitorUnchecked has a note that an entry quotes go missing.
func TestMonitorUnchecked(t *testing.T) {
	for _, restart := range []bool{false, true} {
		s := newStage(t, 0, 0)
		o := s.rec.Join("a.example")
		h := s.rec.Publish("A text.\n")
		s.publish()
		s.endorse(entry.Endorse, o, h)
		s.publish()
		quoted := s.files["checkpoints/3"]
		delete(s.files, "checkpoints/3")
		m := s.monitor("domain a.example\n")
		s.expect(m, 3, EventRegistration, EventEndorsement, EventUnchecked)
		if restart {
			m = s.monitor("domain a.example\n")
		}
		s.expect(m, 3)
		s.files["checkpoints/3"] = quoted
		s.expect(m, 0, EventNormal)
	}
}

// TestMonitorRemembers looks at what is kept at the moment when entries are read.
func TestMonitorRemembers(t *testing.T) {
	s := newStage(t, 0, 0)
	s.rec.Join("a.example")
	s.publish()
	read := 0
	m := s.monitor("", func(c *MonitorConfig) {
		c.Ledgers[0].Fetch = func(ctx context.Context, path string) ([]byte, error) {
			if strings.HasPrefix(path, "tile/entries/") {
				read++
				kept, err := readMonitorState(s.state)
				if l := kept.Ledgers[rolltest.Origin]; err != nil || l == nil || l.Size != uint64(len(s.rec.Leaves)) {
					t.Errorf("entries are read before their checkpoint is remembered: %v", err)
				}
			}
			return s.fetch(ctx, path)
		}
	})
	s.expect(m, 0)
	s.rec.Join("b.example")
	s.publish()
	s.expect(m, 0)
	if read != 2 {
		t.Errorf("%d reads", read)
	}
}

func TestMonitorReach(t *testing.T) {
	s := newStage(t, 0, 0)
	m := s.monitor("domain a.example\n")
	s.expect(m, 0)
	s.down = true
	s.expect(m, 3)
	m.Heartbeat = time.Minute // what could not be checked is not quiet
	s.expect(m, 3, EventHeartbeat)
	if e := s.last(); e.Level != LevelWarning || strings.Contains(e.Sentence, "quiet") {
		t.Errorf("%+v", e)
	}
	m.Heartbeat = 0
	s.now = s.now.Add(9 * time.Minute)
	s.expect(m, 3)
	m = s.monitor("domain a.example\n")
	s.now = s.now.Add(time.Minute)
	s.expect(m, 3, EventUnreachable)
	s.expect(m, 3)
	s.down = false
	s.expect(m, 0, EventNormal)
	good := s.files["checkpoint"]
	s.files["checkpoint"] = []byte("<html>\n")
	s.expect(m, 13, EventUntrusted)
	s.files["checkpoint"] = good
	s.expect(m, 0, EventNormal)
}

func TestMonitorFewCosignatures(t *testing.T) {
	s := newStage(t, 3, 1)
	s.publish(s.witnesses[0], s.witnesses[1])
	m := s.monitor("")
	s.expect(m, 0, EventFewCosignatures)
	if e := s.last(); !strings.Contains(e.Sentence, "2 of 3") || !strings.Contains(e.Sentence, "3 would be needed") {
		t.Errorf("%+v", e)
	}
	s.sights["witness2.example"] = s.note(s.now, s.witnesses[2])
	s.expect(m, 0, EventNormal)
}

// fork makes a stage with the same keys and, from here on, another history.
func (s *stage) fork() *stage {
	f := *s
	rec := *s.rec
	rec.State = rolltest.Empty(s.tb, s.rec.Operator).State
	rec.Leaves = slices.Clone(s.rec.Leaves)
	for i, l := range rec.Leaves {
		if err := rec.State.Apply(uint64(i), l); err != nil {
			s.tb.Fatal(err)
		}
	}
	f.rec = &rec
	f.files = maps.Clone(s.files)
	return &f
}

// convicts checks that the newest event is of a type and comes with a proof against the log.
func (s *stage) convicts(typ EventType, c verify.Case) {
	s.tb.Helper()
	i := slices.IndexFunc(s.told, func(e Event) bool { return e.Type == typ })
	if i < 0 || s.told[i].Evidence == "" || len(s.proofs) == 0 {
		s.tb.Fatalf("%s was not told with a proof: %+v", typ, s.told)
	}
	p, err := verify.ParseContradiction(s.proofs[len(s.proofs)-1].Bytes())
	if err != nil {
		s.tb.Fatal(err)
	}
	proven, err := p.Check()
	if err != nil || proven.Case != c || proven.Origin != rolltest.Origin {
		s.tb.Fatalf("%+v, %v; want case %s", proven, err, c)
	}
}

func TestMonitorForks(t *testing.T) {
	t.Run("of what was seen", func(t *testing.T) {
		for _, restart := range []bool{false, true} {
			s := newStage(t, 3, 2)
			s.rec.Join("a.example")
			s.publish()
			f := s.fork()
			m := s.monitor("all\n")
			s.rec.Join("b.example")
			s.rec.Join("c.example")
			s.publish()
			s.look(m)
			f.rec.Join("d.example")
			f.rec.Join("e.example")
			f.rec.Join("f.example")
			f.publish()
			s.files = f.files
			if restart {
				m = s.monitor("all\n")
			}
			s.expect(m, 20, EventForked)
			s.convicts(EventForked, verify.CasePrefix)
			// It is told once, stays, and nothing of the other history is told as if it were the record's.
			s.expect(m, 20)
			s.expect(s.monitor("all\n"), 20)
		}
	})
	t.Run("of one size", func(t *testing.T) {
		s := newStage(t, 3, 2)
		f := s.fork()
		s.rec.Join("a.example")
		s.publish()
		m := s.monitor("domain c.example\n")
		s.expect(m, 0)
		s.rec.Join("c.example")
		s.publish()
		first := s.files
		f.rec.Join("b.example")
		f.publish()
		s.files = f.files
		s.expect(m, 20, EventForked)
		s.convicts(EventForked, verify.CaseSize)
		// Showing the first one again does not undo it.
		s.files = maps.Clone(first)
		s.expect(m, 20)
		if got := len(s.proofs[0].Keys); got != 5 {
			t.Errorf("%d keys are convicted, not the log's two and three witnesses'", got)
		}
	})
	t.Run("shown to witnesses", func(t *testing.T) {
		s := newStage(t, 3, 2)
		s.rec.Join("a.example")
		s.publish()
		f := s.fork()
		m := s.monitor("")
		s.expect(m, 0)
		f.rec.Join("b.example")
		f.rec.Join("c.example")
		s.rec.Join("d.example")
		s.rec.Join("e.example")
		s.rec.Join("f.example")
		s.publish()
		s.sights["witness1.example"] = f.note(f.rec.Now, s.witnesses[1])
		s.expect(m, 20, EventForked)
		s.convicts(EventForked, verify.CasePrefix)
	})
	t.Run("rolled back", func(t *testing.T) {
		s := newStage(t, 3, 2)
		old := s.fork()
		s.rec.Join("a.example")
		s.publish()
		m := s.monitor("")
		s.expect(m, 0)
		s.later(time.Hour)
		s.files = map[string][]byte{}
		old.rec.Now = s.now
		old.files = s.files
		old.publish()
		s.expect(m, 20, EventRolledBack)
		s.convicts(EventRolledBack, verify.CaseRollback)
	})
	t.Run("a witness that goes back", func(t *testing.T) {
		s := newStage(t, 3, 2)
		old := s.fork()
		s.rec.Join("a.example")
		s.publish()
		m := s.monitor("")
		s.expect(m, 0)
		s.later(time.Minute)
		signed := old.note(s.now, s.witnesses[2])
		line := signed[bytes.LastIndex(signed[:len(signed)-1], []byte("\n"))+1:]
		s.sights["witness2.example"] = append(old.note(old.rec.Now), line...)
		s.expect(m, 0, EventWitnessContradiction)
		if e := s.last(); e.Witness != "witness2.example" || e.Evidence == "" {
			t.Errorf("the event is %+v", e)
		}
		s.expect(s.monitor(""), 0)
		s.rec.Join("b.example")
		s.publish()
		s.expect(m, 0)
		if m.ledgers[0].Told != 3 {
			t.Errorf("%d entries are read", m.ledgers[0].Told)
		}
		s.witnesses = s.witnesses[:2]
		s.publish()
		s.expect(s.monitor(""), 0, EventNormal)
	})
	t.Run("an old view", func(t *testing.T) {
		s := newStage(t, 3, 2)
		old := maps.Clone(s.files)
		s.rec.Join("a.example")
		s.publish()
		m := s.monitor("")
		s.expect(m, 0)
		full := s.files
		s.files = old
		s.expect(m, 0) // a cache may do that
		s.later(10 * time.Minute)
		s.expect(m, 3, EventShrunk)
		s.files = full
		s.expect(m, 0, EventNormal)
		// To a monitor that never saw more, others say that there is more.
		s.state, s.told, s.files = nil, nil, old
		s.sights["witness0.example"] = full["checkpoint"]
		m = s.monitor("")
		s.expect(m, 3, EventWithheld)
		s.later(25 * time.Hour)
		s.expect(m, 3, EventStale, EventWitnessMissing, EventWitnessMissing, EventWitnessMissing)
	})
}

func TestMonitorInadmissible(t *testing.T) {
	s := newStage(t, 3, 2)
	o := s.rec.Join("a.example")
	s.publish()
	m := s.monitor("all\n")
	s.look(m)
	e := s.rec.Registration(rolltest.NewOrg("b.example", 1, 0, 1))
	e.Signatures[0].Sig[3] ^= 1 // nobody's signature
	s.rec.Leaves = append(s.rec.Leaves, s.rec.Leaf(e))
	if err := s.rec.State.Apply(2, s.rec.Leaves[2]); err == nil {
		t.Fatal("admissible")
	}
	h := s.rec.Publish("A text.\n")
	s.endorse(entry.Endorse, o, h)
	s.publish()
	from := len(s.told)
	code, told := s.look(m)
	if code != 20 || !slices.Contains(told, EventInadmissible) || slices.Contains(told, EventEndorsement) {
		t.Fatalf("%d %q", code, told)
	}
	if e := s.told[from]; *e.Index != 2 {
		t.Errorf("%+v", e)
	}
	s.expect(m, 20)
	s.expect(s.monitor("all\n"), 20)
}

func TestMonitorDamagedTiles(t *testing.T) {
	s := newStage(t, 0, 0)
	m := s.monitor("")
	s.expect(m, 0)
	s.rec.Join("a.example")
	s.publish()
	good := s.files["tile/0/000.p/2"]
	s.files["tile/0/000.p/2"] = append(bytes.Clone(good[:63]), good[63]^1)
	s.expect(m, 20, EventDamaged)
	delete(s.files, "tile/0/000.p/2") // which does not make it whole
	s.expect(m, 20)
	s.files["tile/0/000.p/2"] = good
	s.expect(m, 0, EventNormal)
}

var errKilled = errors.New("killed")

// TestMonitorKilled kills the monitor before and after everything that it does, again and again, and compares what arrives with what
// a monitor that nobody kills tells.
func TestMonitorKilled(t *testing.T) {
	build := func() (*stage, []map[string][]byte) {
		s := newStage(t, 3, 2)
		var views []map[string][]byte
		o := s.rec.Join("a.example")
		h := s.rec.Publish("A text.\n")
		s.publish()
		views = append(views, maps.Clone(s.files))
		for i := range 3 {
			s.rec.Join(fmt.Sprintf("m%d.example", i))
			s.endorse([]entry.Action{entry.Endorse, entry.Withdraw, entry.Endorse}[i], o, h)
			s.publish()
			views = append(views, maps.Clone(s.files))
		}
		s.now = s.rec.Now
		return s, views
	}
	strip := func(events []Event) (lines []string) {
		for _, e := range events {
			lines = append(lines, fmt.Sprint(e.Sequence, e.Type, e.Sentence))
		}
		return lines
	}
	s, views := build()
	m := s.monitor("all\n")
	for _, v := range views {
		s.files = v
		s.look(m)
	}
	want := strip(s.told)
	if len(want) != 9 {
		t.Fatalf("%q", want)
	}
	for at := 0; ; at++ {
		s, views := build()
		steps := 0
		step := func() error { // every step may be the last
			if steps++; steps-1 == at {
				return errKilled
			}
			return nil
		}
		killed := false
		for _, v := range views {
			s.files = v
			for {
				m := s.monitor("all\n", func(c *MonitorConfig) {
					save := c.Save
					c.Save = func(b []byte) error {
						if err := step(); err != nil {
							return err
						}
						return errors.Join(save(b), step())
					}
					c.Deliver = func(ctx context.Context, lines [][]byte) (int, error) {
						for _, l := range lines { // some may have gone out
							if err := step(); err != nil {
								panic(errKilled)
							}
							s.take(ctx, [][]byte{l})
						}
						if step() != nil {
							panic(errKilled)
						}
						return len(lines), nil
					}
				})
				err := func() (err error) {
					defer func() {
						if r := recover(); r == errKilled {
							err = errKilled
						} else if r != nil {
							panic(r)
						}
					}()
					_, err = m.Look(context.Background())
					return err
				}()
				if err == nil {
					break
				}
				if !errors.Is(err, errKilled) {
					t.Fatal(err)
				}
				killed = true
				s.now = s.now.Add(time.Second) // what is made anew is not the same
			}
		}
		if got := strip(s.told); !slices.Equal(got, want) {
			t.Fatalf("killed at step %d:\n%s\nwant\n%s", at, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if !killed {
			if at < 20 {
				t.Fatalf("only %d steps", at)
			}
			return
		}
	}
}

func TestMonitorUndelivered(t *testing.T) {
	s := newStage(t, 0, 0)
	m := s.monitor("all\n")
	s.expect(m, 0, EventCharter)
	for i := range 2 * maxWaiting {
		s.rec.Join(fmt.Sprintf("m%d.example", i))
	}
	s.publish()
	s.now = s.rec.Now
	s.deliver = errors.New("the command failed")
	var undelivered *DeliveryError
	for range 3 {
		if _, err := m.Look(context.Background()); !errors.As(err, &undelivered) {
			t.Fatal(err)
		}
	}
	if m.Waiting() != maxWaiting { // no more is read meanwhile
		t.Fatalf("%d events wait", m.Waiting())
	}
	if kept, err := readMonitorState(s.state); err != nil || kept.Ledgers[rolltest.Origin].Sound {
		t.Error("what was not read is called sound")
	}
	m = s.monitor("all\n")
	s.deliver = nil
	s.look(m)
	if len(s.told) != 2*maxWaiting+1 || m.Waiting() != 0 {
		t.Fatalf("%d events arrived, %d wait", len(s.told), m.Waiting())
	}
	s.saveFails = errors.New("the disk is full")
	s.rec.Join("last.example")
	s.publish()
	if _, err := m.Look(context.Background()); !errors.Is(err, s.saveFails) {
		t.Fatal(err)
	}
}

func TestMonitorState(t *testing.T) {
	s := newStage(t, 0, 0)
	m := s.monitor("all\n")
	s.look(m)
	if err := m.Test(context.Background()); err != nil || s.last().Type != EventTest {
		t.Fatal(err, s.last())
	}
	for i := range s.state {
		b := bytes.Clone(s.state)
		b[i] ^= 1
		if _, err := NewMonitor(MonitorConfig{State: b, Watch: new(Watch)}); !errors.Is(err, ErrMonitorState) {
			t.Fatalf("a state with byte %d changed: %v", i, err)
		}
	}
	for _, b := range [][]byte{{}, s.state[:len(s.state)-1], append(bytes.Clone(s.state), '\n')} {
		if _, err := NewMonitor(MonitorConfig{State: b, Watch: new(Watch)}); !errors.Is(err, ErrMonitorState) {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
	}
	l := MonitoredLedger{Origin: rolltest.Origin, Policy: s.policy()}
	if _, err := NewMonitor(MonitorConfig{Ledgers: []MonitoredLedger{l, l}, Watch: new(Watch)}); err == nil {
		t.Error("one ledger twice")
	}
}

func TestParseWatch(t *testing.T) {
	h := entry.Sum(nil).String()
	for _, test := range []struct {
		name, text, problem string
	}{
		{"all kinds", "# a comment\n\nledger https://ledger.example/ policy.txt\nall\ndomain\tapnic.net\nname  Asia Pacific\nstatement " + h + "\nexpect endorse apnic.net " + h + " until 2026-12-31\nexpect leave apnic.net until 2026-12-31\n", ""},
		{"no line feed", "all", "line feed"},
		{"control character", "domain a.example\r\n", "control character"},
		{"another word", "domains a.example\n", "begins with none"},
		{"not a domain", "domain A.example\n", "domain line"},
		{"not a hash", "statement " + h[:70] + "\n", "statement line"},
		{"no policy", "ledger https://ledger.example/\n", "ledger line"},
		{"no name", "name\n", "name line"},
		{"more than all", "all of it\n", "nothing after"},
		{"no date", "expect leave apnic.net\n", "expect line"},
		{"no such date", "expect leave apnic.net until 2026-02-30\n", "expect line"},
		{"no such action", "expect nothing apnic.net until 2026-02-03\n", "none of"},
		{"any text", "expect endorse apnic.net until 2026-02-03\n", "which text"},
		{"any key", "expect rotate-key apnic.net until 2026-02-03\n", "which text or which keys"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, err := ParseWatch([]byte(test.text))
			var format *verify.FormatError
			switch {
			case test.problem == "" && err != nil:
				t.Fatal(err)
			case test.problem != "" && (!errors.As(err, &format) || !strings.Contains(err.Error(), test.problem)):
				t.Fatalf("%v, not %q", err, test.problem)
			case err == nil && (len(w.Expect) != 2 || w.Names[0] != "Asia Pacific" || w.Expect[0].String() != "expect endorse apnic.net "+h+" until 2026-12-31" || w.Expect[0].End.Format(time.DateOnly) != "2027-01-01"):
				t.Errorf("%+v", w)
			}
		})
	}
	if _, err := ParseWatch(make([]byte, MaxWatch+1)); err == nil {
		t.Error("larger than it can be")
	}
}

// TestMonitorEventsAreDocumented holds the table of events to the code.
func TestMonitorEventsAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/monitor.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([a-z, ]+) \\| ([0-9]+) \\|").FindAllStringSubmatch(string(b), -1) {
		documented = append(documented, row[1])
		k, ok := kinds[EventType(row[1])]
		if !ok {
			t.Errorf("%s is documented and does not exist", row[1])
		}
		if k.level != "" && !strings.Contains(row[2], string(k.level)) || row[3] != fmt.Sprint(k.code) {
			t.Errorf("%s is documented as %s, %s", row[1], row[2], row[3])
		}
	}
	for typ := range kinds {
		if !slices.Contains(documented, string(typ)) {
			t.Errorf("docs/monitor.md has no row for %s", typ)
		}
	}
	fields := regexp.MustCompile("(?m)^\\| `([a-z]+)`(?:, `([a-z]+)`)* \\| [^|]+ \\|$").FindAllString(string(b), -1)
	raw, err := json.Marshal(Event{
		Size: new(uint64), Index: new(uint64), Entry: "x", Admitted: new(time.Time), Origin: "x", Domain: "x", Unicode: "x", Signer: "x", Statement: "x",
		Keys: []string{"x"}, Like: "x", Watched: []string{"x"}, Expected: new(bool), Witness: "x", About: "x", Evidence: "x", Notice: "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	var have map[string]any
	if err := json.Unmarshal(raw, &have); err != nil {
		t.Fatal(err)
	}
	for name := range have {
		if !slices.ContainsFunc(fields, func(f string) bool { return strings.Contains(f, "`"+name+"`") }) {
			t.Errorf("docs/monitor.md does not say what %s is", name)
		}
	}
}
