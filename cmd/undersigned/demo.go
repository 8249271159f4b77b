package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/text/language"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/keys/unicode15"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/ledger/rollcall"
	"github.com/tccm/undersigned/ledger/witness"
	"github.com/tccm/undersigned/testdata/tccm"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/check"
	"github.com/tccm/undersigned/verify/entry"
)

const (
	demoOrigin   = "demo.undersigned.example/tccm"
	demoOperator = "demo.undersigned.example"
	// The organization that changes its mind. It is made up.
	demoGuest     = "guest.undersigned.example"
	demoGuestName = "Example Guest (made up for this demonstration)"
	demoLedger    = "ledger" // its directory

	demoNotice = "This is a demonstration: every key was generated on this machine a moment ago, and no real organization has signed."
)

// demoMember is an organization of the demonstration with its generated key.
type demoMember struct {
	domain, name string
	key          *source.Key
	index        uint64 // leaf index of its endorsement
}

// demo is one run of the demonstration.
type demo struct {
	out       io.Writer
	now       func() time.Time
	dir       string
	operator  demoMember
	members   []*demoMember
	guest     *demoMember
	statement []byte
	hash      entry.Hash
	witnesses []*demoWitness
	mirror    demoServer
	service   *service
	client    *client
	policy    *verify.Policy
}

type demoCmd struct {
	Once        bool   `help:"Exit when everything is done instead of serving on."`
	Dir         string `help:"Keep everything in this new or empty directory. Without it, a temporary one is used and kept." placeholder:"DIR"`
	Statement   string `help:"Use this text instead of the one that comes with the program." placeholder:"FILE"`
	Signatories string `help:"Use these organizations: lines of a domain, a tab and a name." placeholder:"TSV"`
	Listen      string `help:"Address to serve at." default:"127.0.0.1:0" placeholder:"ADDR"`
}

// Help shows how the command is used.
func (demoCmd) Help() string {
	return "Sets up a ledger with generated keys, three witnesses and a mirror, lets every organization of a list join and endorse a text over HTTP, has a forged second record refused, checks every receipt, audits the whole record, prints the list, and serves it." +
		"\n\nExample:\n\n\tundersigned demo --once --dir ./demo\n"
}

// Run runs the demonstration. Being interrupted while it serves is a good end.
func (c *demoCmd) Run(ctx context.Context, a *app) (err error) {
	d := &demo{out: a.out, now: a.now}
	if err := d.read(c); err != nil {
		return err
	}
	if err := d.makeDir(c.Dir); err != nil {
		return err
	}
	d.say("%s", demoNotice)
	d.say("Everything is kept in %s.", d.dir)
	if err := d.makeKeys(ctx); err != nil {
		return err
	}

	dir := filepath.Join(d.dir, demoLedger)
	charter := &entry.Charter{
		Title:    "Demonstration record: generated keys, no real organization has signed",
		Operator: d.operator.domain,
		// Whoever joins needs the operator and, from the second on, a member that vouches for it.
		Admission: entry.Admission{Operator: true, Vouched: 2},
		Roll:      "manual",
	}
	genesis, err := newCharter(demoOrigin, d.now().UTC().Format(entry.DateFormat), charter, d.operator.key)
	if err != nil {
		return err
	}
	logs, err := makeHouse(ctx, dir, genesis, d.now)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.closeWitnesses()) }()
	if err := d.witness(ctx, a, logs, "http://"+listener.Addr().String()+"/"); err != nil {
		return errors.Join(err, listener.Close())
	}
	var asked *witness.Client
	h, err := openHouse(ctx, dir, nil, d.now, nil, func(cfg *ledger.Config) error {
		serve := serveCmd{Dir: dir, Republish: time.Hour}
		asked, err = serve.witnesses(a, cfg, slog.New(slog.DiscardHandler))
		return err
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	h.asked, h.policy = asked, policyForReaders(dir)
	d.service = h.serveAt(ctx, listener, "", d.now, nil)
	if d.client, err = newClient(d.service.url); err == nil {
		err = h.ready(ctx)
	}
	if err == nil {
		err = d.follow(ctx, a)
	}
	if err == nil {
		err = d.story(ctx)
	}
	if err == nil && !c.Once {
		d.say("\nThe record is served at %s until you interrupt this program (Ctrl-C).", d.service.url)
		d.say("Later, serve it again, its witnesses and its mirror, each with a program of its own:")
		d.say("  undersigned serve --dir %s --listen %s", dir, listener.Addr())
		for _, w := range d.witnesses {
			replay := ""
			if w.replays {
				replay = " --replay"
			}
			d.say("  undersigned witness serve %s --listen %s%s", w.dir, w.address(), replay)
		}
		d.say("  undersigned mirror serve %s --listen %s", d.mirror.dir, d.mirror.address())
		d.service.Wait(ctx)
	}
	return errors.Join(err, d.mirror.close(), d.service.Close())
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// read takes the text and the organizations from the flags, or those that come with the program.
func (d *demo) read(c *demoCmd) error {
	list, from := tccm.Signatories, "the list that comes with the program"
	d.statement = tccm.Statement
	var err error
	if c.Statement != "" {
		if d.statement, err = os.ReadFile(c.Statement); err != nil {
			return fmt.Errorf("cannot read the statement: %w", err)
		}
	}
	if len(d.statement) == 0 || len(d.statement) > entry.MaxStatement {
		return fmt.Errorf("the statement has %d bytes; it must have 1 to %d", len(d.statement), entry.MaxStatement)
	}
	d.hash = entry.Sum(d.statement)
	if c.Signatories != "" {
		if list, err = os.ReadFile(c.Signatories); err != nil {
			return fmt.Errorf("cannot read the signatories: %w", err)
		}
		from = c.Signatories
	}
	d.operator = demoMember{domain: demoOperator, name: "Operator of the demonstration"}
	d.guest = &demoMember{domain: demoGuest, name: demoGuestName}
	seen := map[string]bool{demoOperator: true, demoGuest: true}
	for i, line := range strings.Split(string(list), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		domain, name, ok := strings.Cut(line, "\t")
		if !ok {
			return fmt.Errorf("%s, line %d: it must be a domain, a tab and a name", from, i+1)
		}
		if err := keys.CheckDomain(domain); err != nil {
			return fmt.Errorf("%s, line %d: the domain cannot be used: %w", from, i+1, err)
		}
		if !unicode15.FreeText(name) || len(name) > entry.MaxName {
			return fmt.Errorf("%s, line %d: the name must be plain text of at most %d bytes without doubled or trailing spaces", from, i+1, entry.MaxName)
		}
		if seen[domain] {
			return fmt.Errorf("%s, line %d: %s is in the list already, or is the demonstration's own", from, i+1, domain)
		}
		seen[domain] = true
		d.members = append(d.members, &demoMember{domain: domain, name: name})
	}
	if len(d.members) == 0 {
		return fmt.Errorf("%s names no organization", from)
	}
	return nil
}

func (d *demo) makeDir(dir string) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "undersigned-demo-"); err != nil {
			return err
		}
	}
	if d.dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if held, err := os.ReadDir(d.dir); err == nil && len(held) > 0 {
		return fmt.Errorf("%s is not empty; name a new or empty directory", d.dir)
	}
	for _, sub := range []string{"", "keys", "receipts", "lists"} {
		if err := os.MkdirAll(filepath.Join(d.dir, sub), 0o700); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(d.dir, "statement.txt"), d.statement, 0o644)
}

// makeKeys gives every organization a key of the next suite, so that all suites occur.
func (d *demo) makeKeys(ctx context.Context) error {
	suites := slices.DeleteFunc(keys.Suites(), func(s keys.Suite) bool { return s == keys.SSHSIGSK }) // which takes hardware
	all := append([]*demoMember{&d.operator, d.guest}, d.members...)
	errs := make([]error, len(all))
	var group sync.WaitGroup
	slots := make(chan struct{}, runtime.NumCPU())
	for i, m := range all {
		suite := keys.Ed25519
		if i >= 2 {
			suite = suites[(i-2)%len(suites)]
		}
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if errs[i] = ctx.Err(); errs[i] != nil {
				return
			}
			if m.key, errs[i] = source.Generate(suite); errs[i] != nil {
				return
			}
			errs[i] = m.key.Save(filepath.Join(d.dir, "keys", m.domain+".pem"), nil)
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	d.say("%d organizations got a generated key each, of %d kinds.", len(d.members), min(len(suites), len(d.members)))
	return nil
}

// witness starts the witnesses of the log whose record is served at an address, and writes the policy: for readers, and for the ledger.
func (d *demo) witness(ctx context.Context, a *app, logs []keys.VKey, address string) error {
	d.witnesses = demoWitnesses(d.dir)
	d.mirror = demoServer{dir: filepath.Join(d.dir, "mirror"), name: "mirror.example/mirror"}
	var voters []policyVoter
	for _, w := range d.witnesses {
		voter, err := w.begin(ctx, a, logs, address)
		if err != nil {
			return err
		}
		voters = append(voters, voter)
	}
	b := append([]byte("# "+demoNotice+"\n"), witnessedPolicyText(logs, address, voters...)...)
	var err error
	if d.policy, err = verify.ParsePolicy(b); err != nil {
		return err
	}
	d.say("Three witnesses, each with keys of its own, will see every checkpoint before it is published; two are enough. The third replays the record.")
	return errors.Join(
		os.WriteFile(filepath.Join(d.dir, policyFile), b, 0o644),
		os.WriteFile(filepath.Join(d.dir, demoLedger, policyFile), b, 0o644),
		os.WriteFile(filepath.Join(d.dir, "log.vkey"), []byte(logs[0].String()+"\n"), 0o644),
	)
}

// closeWitnesses ends the witnesses that were started.
func (d *demo) closeWitnesses() error {
	var errs []error
	for _, w := range d.witnesses {
		errs = append(errs, w.close())
	}
	return errors.Join(errs...)
}

// story is what happens in the demonstration, over HTTP.
func (d *demo) story(ctx context.Context) error {
	all := d.all()
	for i, m := range all {
		vouchers := []*demoMember{&d.operator}
		if i > 0 {
			vouchers = append(vouchers, all[i-1])
		}
		if err := d.join(ctx, m, vouchers...); err != nil {
			return fmt.Errorf("%s cannot join: %w", m.domain, err)
		}
	}
	// The first could only be admitted on the operator's word. Now there is a member to vouch for it.
	if err := d.vouch(ctx, all[0], all[1]); err != nil {
		return fmt.Errorf("%s cannot vouch for %s: %w", all[1].domain, all[0].domain, err)
	}
	d.say("All joined: the operator admitted each, and a member vouched for each.")

	if err := d.publish(ctx); err != nil {
		return fmt.Errorf("the statement cannot be published: %w", err)
	}
	d.say("The operator published the statement. The fingerprint of its text is %s.", d.hash)
	for _, m := range all {
		var err error
		if m.index, err = d.endorse(ctx, m, entry.Endorse); err != nil {
			return fmt.Errorf("%s cannot endorse: %w", m.domain, err)
		}
	}
	if _, err := d.endorse(ctx, d.guest, entry.Withdraw); err != nil {
		return fmt.Errorf("%s cannot withdraw: %w", d.guest.domain, err)
	}
	d.say("%d organizations endorsed it, each with its own key. One more endorsed it and withdrew.", len(d.members))
	if err := d.service.ledger.Seal(ctx); err != nil {
		return fmt.Errorf("the list cannot be sealed: %w", err)
	}
	if err := d.fork(ctx); err != nil {
		return err
	}
	return d.check(ctx)
}

// all returns the members and then the guest.
func (d *demo) all() []*demoMember { return append(slices.Clone(d.members), d.guest) }

// submit signs an entry with the keys of those that it names and sends it in.
func (d *demo) submit(ctx context.Context, e *entry.Entry, signers ...*demoMember) (*submission, error) {
	for _, m := range signers {
		if err := sign(e, m.key); err != nil {
			return nil, err
		}
	}
	return d.client.submit(ctx, e.Bytes(), 10*time.Second, nil)
}

func (d *demo) join(ctx context.Context, m *demoMember, vouchers ...*demoMember) error {
	desk, err := deskOf(ctx, d.service.ledger, d.now)
	if err != nil {
		return err
	}
	e, err := desk.registration(&entry.Membership{
		Action: entry.Register, Member: m.domain, Name: m.name, PublicKeys: []entry.PublicKey{publicLine(m.key.Public())}, Quorum: 1,
		Vouchers: voucherLines(vouchers),
	})
	if err != nil {
		return err
	}
	_, err = d.submit(ctx, e, append(vouchers, m)...)
	return err
}

// vouch adds a voucher to a member that has joined.
func (d *demo) vouch(ctx context.Context, m, voucher *demoMember) error {
	desk, err := deskOf(ctx, d.service.ledger, d.now)
	if err != nil {
		return err
	}
	e, err := desk.draft(&entry.Membership{
		Action: entry.Update, Member: m.domain, Name: m.name, Quorum: 1, Vouchers: voucherLines([]*demoMember{voucher}),
	}, m.domain, []keys.Ref{m.key.Public().Ref()})
	if err != nil {
		return err
	}
	_, err = d.submit(ctx, e, voucher, m)
	return err
}

func voucherLines(vouchers []*demoMember) (lines []entry.Named) {
	for _, v := range vouchers {
		lines = append(lines, entry.Named{Domain: v.domain, Ref: v.key.Public().Ref()})
	}
	return lines
}

func (d *demo) publish(ctx context.Context) error {
	desk, err := deskOf(ctx, d.service.ledger, d.now)
	if err != nil {
		return err
	}
	e, err := desk.draft(&entry.Statement{
		Action: entry.Publish, Statement: d.hash, Title: titleOf(d.statement), Language: "en", MediaType: "text/plain", Size: int64(len(d.statement)),
	}, d.operator.domain, []keys.Ref{d.operator.key.Public().Ref()})
	if err != nil {
		return err
	}
	if _, err = d.submit(ctx, e, &d.operator); err != nil {
		return err
	}
	return d.client.putText(ctx, d.statement, nil)
}

// endorse endorses the statement or withdraws from it. It returns the leaf index.
func (d *demo) endorse(ctx context.Context, m *demoMember, action entry.Action) (uint64, error) {
	desk, err := deskOf(ctx, d.service.ledger, d.now)
	if err != nil {
		return 0, err
	}
	e, err := desk.endorsement(m.domain, []keys.Ref{m.key.Public().Ref()}, action, d.hash)
	if err != nil {
		return 0, err
	}
	r, err := d.submit(ctx, e, m)
	if err != nil {
		return 0, err
	}
	return r.Index, nil
}

// check fetches every receipt, replays the record from the server and from an archive, and judges.
func (d *demo) check(ctx context.Context) error {
	var receipts []*verify.Receipt
	for _, m := range d.all() {
		b, err := d.client.fetch(ctx, "api/v1/receipt/"+strconv.FormatUint(m.index, 10))
		if err != nil {
			return fmt.Errorf("the receipt of %s: %w", m.domain, err)
		}
		r, err := verify.ParseReceipt(b)
		if err != nil {
			return fmt.Errorf("the receipt of %s: %w", m.domain, err)
		}
		receipts = append(receipts, r)
		if err := os.WriteFile(filepath.Join(d.dir, "receipts", m.domain+".tlog-proof"), b, 0o644); err != nil {
			return err
		}
	}
	record, err := verify.Audit(ctx, d.policy, d.client.fetch, verify.AuditOptions{Receipts: receipts})
	if err != nil {
		return err
	}
	if !record.OK {
		return fmt.Errorf("the audit of the served record: %s", record.Sentence)
	}
	for i, m := range d.all() {
		want := verify.CodeOK
		if m == d.guest {
			want = verify.CodeWithdrawn
		}
		v := verify.Judge(verify.Input{Policy: d.policy, Receipt: receipts[i], Statement: d.statement, Record: record, Now: d.now()})
		if v.Code != want || v.Domain != m.domain {
			return fmt.Errorf("the receipt of %s should give %d but gives %d: %s", m.domain, want, v.Code, v.Sentence)
		}
	}
	d.say("Each of the %d receipts was checked against the text, the record and the policy.", len(receipts))
	if err := d.lists(ctx, record); err != nil {
		return err
	}

	var zip bytes.Buffer
	if err := writeArchive(ctx, &zip, d.service.ledger); err != nil {
		return fmt.Errorf("writing the archive: %w", err)
	}
	path := filepath.Join(d.dir, "archive.zip")
	if err := os.WriteFile(path, zip.Bytes(), 0o644); err != nil {
		return err
	}
	archive, err := verify.OpenArchive(bytes.NewReader(zip.Bytes()), int64(zip.Len()))
	if err != nil {
		return err
	}
	archived, err := verify.AuditArchive(ctx, d.policy, archive, verify.AuditOptions{})
	if err != nil {
		return err
	}
	if !archived.OK || archived.Root != record.Root {
		return fmt.Errorf("the audit of the archive: %s", archived.Sentence)
	}
	mirrored, at, err := d.mirrored(ctx)
	if err != nil {
		return fmt.Errorf("the mirror: %w", err)
	}
	if !mirrored.OK || mirrored.Root != record.Root {
		return fmt.Errorf("the audit of the mirror: %s", mirrored.Sentence)
	}
	d.say("The whole record was replayed from the server, and again from the file %s: %s", path, archived.Sentence)
	d.say("A mirror keeps another copy of all of it, and serves that at %s: the same record.", at)
	d.say("")
	l := rollcall.List{Origin: record.Origin, Statement: d.hash, AsOf: verify.Moment{Time: d.now(), Day: true}, Size: record.Size}
	for _, s := range signatories(record.State, d.hash, language.English) {
		l.Lines = append(l.Lines, rollcall.LineOf(s))
	}
	if _, err := d.out.Write(l.Print(rollcall.Text)); err != nil {
		return err
	}
	d.say("\n%s", demoNotice)
	return nil
}

// demoStranger is a domain that never joins.
const demoStranger = "stranger.example"

// lists makes a receipt of the whole sealed list, and one that somebody is not on it, and judges them.
func (d *demo) lists(ctx context.Context, record *verify.Report) error {
	sealed, err := sealedAt(record.State, d.hash, d.now())
	if err != nil {
		return err
	}
	s, err := check.ReceiptSource(ctx, record, d.client.fetch)
	if err != nil {
		return fmt.Errorf("the receipt of the list: %w", err)
	}
	for _, c := range []struct {
		domain, file string
		code         int
	}{{"", "signatories", verify.CodeOK}, {demoStranger, "not-" + demoStranger, verify.CodeNotFound}} {
		r, _, err := verify.MakeRollReceipt(s, sealed.Index, c.domain)
		if err != nil {
			return fmt.Errorf("the receipt of the list: %w", err)
		}
		if err := os.WriteFile(filepath.Join(d.dir, "lists", c.file+".tlog-proof"), r.Bytes(), 0o644); err != nil {
			return err
		}
		again, err := verify.Audit(ctx, d.policy, d.client.fetch, verify.AuditOptions{Receipts: []*verify.Receipt{r}})
		if err != nil {
			return err
		}
		v := verify.Judge(verify.Input{Policy: d.policy, Receipt: r, Statement: d.statement, Record: again, Now: d.now()})
		if v.Code != c.code {
			return fmt.Errorf("the receipt of the list should give %d but gives %d: %s", c.code, v.Code, v.Sentence)
		}
		d.say("A receipt of the sealed list says: %s", v.Sentence)
	}
	return nil
}

// titleOf makes a title of a text's first line.
func titleOf(text []byte) string {
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.Join(strings.Fields(line), " ")
	for len(line) > entry.MaxTitle {
		cut := strings.LastIndexByte(line[:entry.MaxTitle], ' ')
		if cut < 0 {
			cut = entry.MaxTitle
			for !utf8.RuneStart(line[cut]) {
				cut--
			}
		}
		line = line[:cut]
	}
	if !unicode15.FreeText(line) {
		return "A statement"
	}
	return line
}
