package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/storetest"
	"github.com/tccm/undersigned/testdata/tccm"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// A browserRecord is a ledger with its witnesses in this process, served to browsers. Its clock stands still until it is live.
type browserRecord struct {
	*testing.T
	ledger   *ledger.Ledger
	asked    *frozenWitnesses
	logs     []keys.VKey
	operator *rolltest.Org
	orgs     []*rolltest.Org // in the order in which they joined
	url      string

	mu   sync.Mutex
	now  time.Time
	live bool
}

func (r *browserRecord) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live {
		return time.Now().UTC()
	}
	return r.now
}

// at sets the clock to an hour of a day.
func (r *browserRecord) at(day string, hour int) {
	r.Helper()
	d, err := time.Parse(time.DateOnly, day)
	if err != nil {
		r.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = d.Add(time.Duration(hour) * time.Hour)
}

// newBrowserRecord makes a ledger that holds a charter and is served.
func newBrowserRecord(t *testing.T, day string) *browserRecord {
	t.Helper()
	r := &browserRecord{T: t}
	r.at(day, 8)
	signers, logs := frozenKeys(t, demoOrigin, "log", keys.TypeEd25519)
	r.operator = &rolltest.Org{Domain: demoOperator, Name: "Operator", Quorum: 1, Keys: []*rolltest.Key{rolltest.NewKey("browser operator")}}
	genesis := rolltest.Sign(&entry.Entry{
		Ledger: demoOrigin, Genesis: true, Signer: r.operator.Domain, Keys: []keys.Ref{r.operator.Keys[0].Ref()}, Date: day,
		Body: &entry.Charter{
			Title: "Demonstration record: generated keys, no real organization has signed", Operator: r.operator.Domain,
			PublicKeys: []entry.PublicKey{r.operator.Keys[0].Line()}, Admission: entry.Admission{Operator: true, Vouched: 2}, Roll: "manual",
		},
	})
	signed, err := ledger.OpenLastSigned(filepath.Join(t.TempDir(), lastSignedFile))
	if err != nil {
		t.Fatal(err)
	}
	store := storetest.NewMemory()
	cfg := ledger.Config{Origin: demoOrigin, Store: store, Signers: signers, LastSigned: signed, Now: r.clock}
	if err := ledger.Create(t.Context(), cfg, genesis); err != nil {
		t.Fatal(err)
	}
	opened := make(chan *ledger.Ledger, 1)
	r.logs = logs
	r.asked = newFrozenWitnesses(t, logs, r.clock, func(ctx context.Context, path string) ([]byte, error) {
		l := <-opened
		opened <- l
		return l.Fetch(ctx, path)
	})
	cfg.Cosign = r.asked.asked.Cosign
	if r.ledger, err = ledger.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	opened <- r.ledger
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &house{ledger: r.ledger, logs: logs, store: store, signed: signed, asked: r.asked.asked, policy: r.asked.policy}
	s := h.serveAt(context.WithoutCancel(t.Context()), listener, "", r.clock, nil)
	r.url = s.url
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// draft returns an unsigned entry as its signer would write it now, with the first of its keys or with these.
func (r *browserRecord) draft(body entry.Body, o *rolltest.Org, ks ...*rolltest.Key) *entry.Entry {
	r.Helper()
	desk, err := deskOf(r.Context(), r.ledger, r.clock)
	if err != nil {
		r.Fatal(err)
	}
	if b, ok := body.(*entry.Endorsement); ok {
		b.After = desk.after
	}
	if len(ks) == 0 {
		ks = o.Keys[:o.Quorum]
	}
	var refs []keys.Ref
	for _, k := range ks {
		refs = append(refs, k.Ref())
	}
	e, err := desk.draft(body, o.Domain, refs)
	if err != nil {
		r.Fatal(err)
	}
	return e
}

// submit signs a batch and has it admitted in one commit. It returns the index of the first.
func (r *browserRecord) submit(batch ...*entry.Entry) uint64 {
	r.Helper()
	notes := make([][]byte, len(batch))
	for i, e := range batch {
		notes[i] = rolltest.Sign(e).Bytes()
	}
	all := r.ledger.Submit(r.Context(), notes...)
	for i, a := range all {
		if a.Err != nil || !a.Published {
			r.Fatalf("entry %d of the batch: %v\n%s", i, a.Err, notes[i])
		}
	}
	return all[0].Index
}

// join has organizations join, each vouched for by the operator and by the one before it.
func (r *browserRecord) join(orgs ...*rolltest.Org) {
	r.Helper()
	first := len(r.orgs) == 0
	var batch []*entry.Entry
	for _, o := range orgs {
		m := &entry.Membership{
			Action: entry.Register, Member: o.Domain, Name: o.Name, LegalName: o.LegalName, Quorum: o.Quorum, Vouchers: r.operator.Vouch(),
		}
		for _, k := range o.Keys {
			m.PublicKeys = append(m.PublicKeys, k.Line())
		}
		for _, k := range o.Recovery {
			m.RecoveryKeys = append(m.RecoveryKeys, k.Line())
		}
		if len(r.orgs) > 0 {
			m.Vouchers = append(m.Vouchers, r.orgs[len(r.orgs)-1].Vouch()...)
		}
		batch = append(batch, r.draft(m, o, append(o.Keys[:len(o.Keys):len(o.Keys)], o.Recovery...)...))
		r.orgs = append(r.orgs, o)
	}
	r.submit(batch...)
	if first && len(orgs) > 1 { // now somebody can vouch for the first
		o := orgs[0]
		r.submit(r.draft(&entry.Membership{Action: entry.Update, Member: o.Domain, Name: o.Name, LegalName: o.LegalName, Quorum: o.Quorum, Vouchers: orgs[1].Vouch()}, o))
	}
}

// publish publishes a text with what else is said of it, and keeps it and these renditions.
func (r *browserRecord) publish(text, title string, change func(*entry.Statement), renditions ...string) entry.Hash {
	r.Helper()
	s := &entry.Statement{
		Action: entry.Publish, Statement: entry.Sum([]byte(text)), Title: title, Language: "en", MediaType: "text/plain", Size: int64(len(text)),
	}
	if change != nil {
		change(s)
	}
	r.submit(r.draft(s, r.operator))
	for _, kept := range append(renditions, text) {
		if err := r.ledger.PutBlob(r.Context(), entry.Sum([]byte(kept)), []byte(kept)); err != nil {
			r.Fatal(err)
		}
	}
	return s.Statement
}

// endorse has organizations endorse a statement in one commit. It returns the index of the first.
func (r *browserRecord) endorse(h entry.Hash, orgs ...*rolltest.Org) uint64 {
	r.Helper()
	var batch []*entry.Entry
	for _, o := range orgs {
		batch = append(batch, r.draft(&entry.Endorsement{Action: entry.Endorse, Statement: h}, o))
	}
	return r.submit(batch...)
}

func (r *browserRecord) withdraw(h entry.Hash, o *rolltest.Org) uint64 {
	r.Helper()
	return r.submit(r.draft(&entry.Endorsement{Action: entry.Withdraw, Statement: h}, o))
}

func (r *browserRecord) seal() {
	r.Helper()
	if err := r.ledger.Seal(r.Context()); err != nil {
		r.Fatal(err)
	}
}

// goLive lets the clock run, and has somebody endorse a statement today, so that the newest copy of the record is of today.
func (r *browserRecord) goLive(h entry.Hash) {
	r.Helper()
	r.mu.Lock()
	r.live = true
	r.mu.Unlock()
	late := browserOrg("late.example", "Late Example Registry")
	r.join(late)
	r.endorse(h, late)
}

func browserOrg(domain, name string) *rolltest.Org {
	return &rolltest.Org{Domain: domain, Name: name, Quorum: 1, Keys: []*rolltest.Key{rolltest.NewKey("browser " + domain)}}
}

func (r *browserRecord) archive() []byte {
	r.Helper()
	var zip bytes.Buffer
	if err := writeArchive(r.Context(), &zip, r.ledger); err != nil {
		r.Fatal(err)
	}
	return zip.Bytes()
}

// What the tests in the browser ask about a record, as JSON.
type (
	browserFacts struct {
		URL        string                      `json:"url"`
		Size       uint64                      `json:"size"`
		Statements map[string]browserStatement `json:"statements"`
		Entries    map[string]uint64           `json:"entries"`
	}
	browserStatement struct {
		Hash  string `json:"hash"`
		Title string `json:"title"`
	}
)

// browserStory plays a record of every kind of thing that a page shows.
//
//	2 May 2024   sixteen organizations and some others join
//	10 May       a first version of principles, which two endorse
//	20 May       its second version, with renditions, of which one is endorsed as well; a text that is closed and that nobody has
//	             endorsed; one that is not kept
//	7 June       the statement; on 11 June the sixteen endorse it, on 20 June five more, of which one changes its key later, and one says
//	             that its key was stolen
//	18 July      a guest endorses it, and withdraws on 9 August
//	today        somebody joins and endorses
func browserStory(t *testing.T) (*browserRecord, *browserFacts) {
	r := newBrowserRecord(t, "2024-05-02")
	f := &browserFacts{URL: r.url, Statements: map[string]browserStatement{}, Entries: map[string]uint64{}}
	named := func(name string, h entry.Hash, title string) entry.Hash {
		f.Statements[name] = browserStatement{strings.TrimPrefix(h.String(), "sha256:"), title}
		return h
	}
	var all []*rolltest.Org
	suites := []keys.Suite{keys.Ed25519, keys.ECDSAP256SHA256, keys.MLDSA44, keys.SSHSIG, keys.ECDSAP384SHA384}
	for i, line := range strings.Split(strings.TrimSpace(string(tccm.Signatories)), "\n") {
		if domain, name, ok := strings.Cut(line, "\t"); ok && !strings.HasPrefix(line, "#") {
			o := browserOrg(domain, name)
			o.Keys[0] = rolltest.NewKeyOf(suites[i%len(suites)], "browser "+domain)
			all = append(all, o)
		}
	}
	sixteen := len(all)
	guest := browserOrg(demoGuest, demoGuestName)
	buecher := browserOrg("xn--bcher-kva.example", "Bücher und Netze e. V.")
	buecher.LegalName = "Verein zur Förderung der Bücher und der Netze im deutschsprachigen Raum, eingetragener Verein"
	right := browserOrg("rtl.example", "جمعية الإنترنت (مثال)")
	long := browserOrg("a-very-long-label-that-nobody-would-type-but-that-is-admissible.xn--80ak6aa92e.example",
		"Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft für Netze und Namen (Beispiel)")
	stolen := browserOrg("stolen.example", "Stolen Example Exchange")
	stolen.Keys = append(stolen.Keys, rolltest.NewKey("browser stolen second"))
	stolen.Recovery = []*rolltest.Key{rolltest.NewKey("browser stolen recovery")}
	rotated := browserOrg("rotated.example", "Rotated Example Trust")
	absent := browserOrg("absent.example", "Absent Example Foundation") // never endorses
	all = append(all, guest, buecher, right, long, stolen, rotated, absent)
	r.join(all...)

	r.at("2024-05-10", 9)
	const first = "Principles\n\nNames are kept by those who use them.\n"
	f.Entries["publish"] = r.ledger.Stats().Stored
	old := named("old", r.publish(first, "Principles (first version)", nil), "Principles (first version)")
	r.endorse(old, all[0], all[1])

	r.at("2024-05-20", 9)
	const (
		second  = "Principles\n\nNames are kept by those who use them.\n\nNumbers are kept by those who need them.\n\n- openly\n- in writing\n"
		german  = "Grundsätze\n\nNamen werden von denen verwaltet, die sie benutzen.\n\nNummern von denen, die sie brauchen.\n\n- offen\n- schriftlich\n"
		page    = "<!DOCTYPE html>\n<html lang=\"fr\"><title>Principes</title><h1>Principes</h1><p>Les noms sont tenus par ceux qui les utilisent.</p></html>\n"
		nowhere = "This text is nowhere to be had.\n"
		closed  = "It is too late for this.\n"
	)
	rendition := func(language, mediaType, text string) entry.Rendition {
		return entry.Rendition{Language: language, Hash: entry.Sum([]byte(text)), Size: int64(len(text)), MediaType: mediaType}
	}
	newer := named("new", r.publish(second, "Principles (second version)", func(s *entry.Statement) {
		s.Supersedes = &old
		s.Renditions = []entry.Rendition{rendition("de", "text/plain", german), rendition("fr", "text/html", page)}
	}, german, page), "Principles (second version)")
	r.endorse(newer, all[0], right)
	r.submit(r.draft(&entry.Endorsement{
		Action: entry.Endorse, Statement: newer, Renditions: []entry.RenditionRef{{Language: "de", Hash: entry.Sum([]byte(german))}},
	}, buecher))
	h := named("closed", r.publish(closed, "Too late", nil), "Too late")
	r.submit(r.draft(&entry.Statement{Action: entry.Close, Statement: h}, r.operator))
	h = named("absent", r.publish(nowhere, "A text that is not kept here", nil), "A text that is not kept here")
	if err := r.ledger.TakeDown(r.Context(), h); err != nil {
		t.Fatal(err)
	}

	r.at("2024-06-07", 12)
	title := titleOf(tccm.Statement)
	statement := named("tccm", r.publish(string(tccm.Statement), title, nil), title)
	r.at("2024-06-11", 9)
	f.Entries["apnic"] = r.endorse(statement, all[:sixteen]...)
	r.at("2024-06-12", 0)
	f.Entries["roll"] = r.ledger.Stats().Stored
	r.seal()
	r.at("2024-06-20", 16)
	f.Entries["buecher"] = r.endorse(statement, buecher, right, long, rotated, stolen)
	f.Entries["stolen"] = f.Entries["buecher"] + 4
	r.at("2024-07-01", 10)
	second2 := rolltest.NewKey("browser rotated second")
	line, gone := second2.Line(), rotated.Keys[0].Ref()
	f.Entries["rotate"] = r.submit(r.draft(&entry.KeyEvent{Action: entry.Rotate, Member: rotated.Domain, PublicKey: &line, Revokes: &gone}, rotated, rotated.Keys[0], second2))
	lost, since := stolen.Keys[0].Ref(), f.Entries["stolen"]
	f.Entries["revoke"] = r.submit(r.draft(&entry.KeyEvent{Action: entry.Revoke, Member: stolen.Domain, Revokes: &lost, CompromisedAfter: &since}, stolen, stolen.Recovery[0]))
	r.at("2024-07-18", 15)
	f.Entries["guest"] = r.endorse(statement, guest)
	r.at("2024-07-19", 0)
	r.seal()
	r.at("2024-08-09", 10)
	f.Entries["withdrawal"] = r.withdraw(statement, guest)
	r.at("2024-08-10", 0)
	r.seal()
	r.goLive(statement)
	f.Size = r.ledger.Stats().Stored
	return r, f
}

// browserCrowd is a record in which so many organizations endorse one statement.
func browserCrowd(t *testing.T, n int) (*browserRecord, *browserFacts) {
	r := newBrowserRecord(t, "2024-05-02")
	var all []*rolltest.Org
	for i := range n {
		all = append(all, browserOrg(fmt.Sprintf("member-%05d.example", i), fmt.Sprintf("Member %05d of a Large Crowd", i)))
	}
	for part := all; len(part) > 0; {
		k := min(len(part), 1000)
		r.join(part[:k]...)
		part = part[k:]
	}
	const text, title = "Everybody agrees\n\nThis is agreed by everybody.\n", "Everybody agrees"
	h := r.publish(text, title, nil)
	for part := all; len(part) > 0; {
		k := min(len(part), 1000)
		r.endorse(h, part[:k]...)
		part = part[k:]
	}
	r.goLive(h)
	return r, &browserFacts{URL: r.url, Size: r.ledger.Stats().Stored, Statements: map[string]browserStatement{
		"crowd": {strings.TrimPrefix(h.String(), "sha256:"), title},
	}}
}

// browserMany is a record of so many organizations that endorse so many texts: as a record is that has been kept for years.
func browserMany(t *testing.T, members, texts int) (*browserRecord, *browserFacts) {
	r := newBrowserRecord(t, "2024-05-02")
	f := &browserFacts{URL: r.url, Statements: map[string]browserStatement{}, Entries: map[string]uint64{}}
	var all []*rolltest.Org
	for i := range members {
		all = append(all, browserOrg(fmt.Sprintf("member-%05d.example", i), fmt.Sprintf("Member %05d of Many", i)))
	}
	r.join(all...)
	var h entry.Hash
	for i := range texts {
		title := fmt.Sprintf("Statement %d", i)
		h = r.publish(fmt.Sprintf("Statement %d\n\nThis is agreed by everybody, for the time being.\n", i), title, nil)
		f.Entries["last"] = r.endorse(h, all...)
		f.Statements["last"] = browserStatement{strings.TrimPrefix(h.String(), "sha256:"), title}
	}
	r.goLive(h)
	f.Size = r.ledger.Stats().Stored
	return r, f
}
