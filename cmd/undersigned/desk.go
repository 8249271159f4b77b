package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// recordFlags say which record an entry is for, and whose word is taken for what it says.
type recordFlags struct {
	Ledger string `setting:"" required:"" placeholder:"SRC" help:"The ledger's address (https://…); a directory or an archive will do to prepare a text."`
	Policy string `setting:"" required:"" placeholder:"FILE" help:"The policy file that says which log and witnesses count."`
}

// writeFlags are those of the commands that put an entry together.
type writeFlags struct {
	recordFlags
	Key []string `setting:"" sep:"none" placeholder:"FILE" help:"A key to sign with, for each that must sign: a file, or ssh-agent:NAME. A public key names one whose signature comes later."`
	signWithFlag
	Prepare bool          `help:"Print the exact text that is to be signed, and sign nothing."`
	Output  string        `short:"o" placeholder:"FILE" help:"Where the text goes, or the entry as long as signatures are missing, instead of standard output. A complete entry is sent."`
	Receipt string        `placeholder:"FILE" help:"Where the receipt goes, instead of SIGNER-INDEX.tlog-proof."`
	Wait    time.Duration `setting:"" default:"10s" help:"How long to wait until the entry is published, 0s to 60s."`
	Yes     bool          `short:"y" help:"Do not ask before signing. Off a terminal nobody is asked."`
	passwordFlags
	jsonFlag

	extra    []*keyFile  // keys that sign beside those of --key
	chain    *chainFlags // nil: no chain goes with what the command writes
	complete bool        // the entry is in the record
}

// Validate holds the flags to their bounds.
func (w *writeFlags) Validate() error {
	if w.Wait < 0 || w.Wait > time.Minute || w.Wait%time.Second != 0 {
		return errors.New("--wait is 0s to 60s, in whole seconds")
	}
	return w.passwordFlags.Validate()
}

// A place is where a command works: a record that was replayed, and the desk for entries in it.
type place struct {
	*desk
	record *record
	policy *verify.Policy
	report *verify.Report
}

// open opens and replays a record.
func (r *recordFlags) open(ctx context.Context, a *app) (*place, error) {
	p, err := a.policy(r.Policy)
	if err != nil {
		return nil, err
	}
	rec, err := openRecord(ctx, r.Ledger)
	if err != nil {
		return nil, err
	}
	at := &place{record: rec, policy: p}
	if err := at.replay(ctx, a); err != nil {
		rec.Close()
		return nil, err
	}
	return at, nil
}

// replay audits the record and sits down at the desk: nobody signs on the word of a record that contradicts itself.
func (at *place) replay(ctx context.Context, a *app) error {
	var err error
	if at.report, err = a.audit(ctx, at.policy, at.record, verify.AuditOptions{}); err != nil {
		return err
	}
	if !at.report.OK {
		return failf(at.report.Code, "the record was checked first, and nothing is signed on top of it: %s", at.report.Sentence)
	}
	note, err := at.record.fetch(ctx, verify.CheckpointPath(at.report.Size))
	if err != nil {
		return fmt.Errorf("cannot read the checkpoint that an endorsement quotes: %w", err)
	}
	c, err := at.policy.OpenPast(note)
	if err != nil {
		return fmt.Errorf("the checkpoint that an endorsement quotes: %w", err)
	}
	if c.Origin != at.report.Origin || c.Size != at.report.Size || base64Of(c.Root[:]) != at.report.Root {
		return &verify.ContradictionError{Problem: "two checkpoints of one size differ"}
	}
	at.desk = &desk{origin: c.Origin, state: at.report.State, after: entry.After{Size: c.Size, Note: entry.Sum(note)}, now: a.now}
	return nil
}

// Close lets go of the record.
func (at *place) Close() error { return at.record.Close() }

// audit replays a record, all that there is of it.
func (a *app) audit(ctx context.Context, p *verify.Policy, rec *record, o verify.AuditOptions) (*verify.Report, error) {
	progress, done := a.progress("Replaying the record")
	defer done()
	o.Progress, o.Now = progress, a.now
	if rec.archive != nil {
		return verify.AuditArchive(ctx, p, rec.archive, o)
	}
	if o.Covering == nil && (len(o.Receipts) > 0 || o.About != "") {
		o.Covering = rec.covering
	}
	heard := &listener{fetch: rec.fetch}
	r, err := verify.Audit(ctx, p, heard.get, o)
	if err != nil || r.Code != verify.CodeUnchecked {
		return r, err
	}
	if heard.offline != nil {
		a.sayf("undersigned: %v\n", heard.offline)
	}
	if heard.nothing && rec.client != nil {
		r.Sentence = fmt.Sprintf("Could not check: there is no record at %s; give the address of the ledger itself, with the slash at its end.", rec.client.base)
		r.Findings[0].Sentence = r.Sentence
	}
	return r, nil
}

// A listener remembers why a record could not be read, which a report about the record does not tell.
type listener struct {
	fetch   verify.Fetch
	mu      sync.Mutex
	offline error
	nothing bool // where a checkpoint should be
}

func (l *listener) get(ctx context.Context, path string) ([]byte, error) {
	b, err := l.fetch(ctx, path)
	var offline *offlineError
	switch {
	case errors.As(err, &offline):
		l.mu.Lock()
		defer l.mu.Unlock()
		l.offline = offline
	case path == "checkpoint" && errors.Is(err, fs.ErrNotExist):
		l.mu.Lock()
		defer l.mu.Unlock()
		l.nothing = true
	}
	return b, err
}

// keyFiles reads the files that --key names.
func (a *app) keyFiles(paths []string, passwords *passwordFlags) ([]*keyFile, error) {
	var files []*keyFile
	for _, path := range paths {
		f, err := a.readKey(path, passwords)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// refs names the keys that sign for a domain: those of the files, in the suite in which the record knows them, or,
// without a file, as many of the member's own as must sign.
func (at *place) refs(domain string, files []*keyFile) ([]keys.Ref, error) {
	if len(files) == 0 {
		return at.quorum(domain)
	}
	var refs []keys.Ref
	for _, f := range files {
		refs = append(refs, f.as(at.knows).Ref())
	}
	return refs, nil
}

func (at *place) knows(ref keys.Ref) bool { _, ok := at.state.Key(ref); return ok }

// finish brings an entry as far as the keys at hand allow: to the text, to a half-signed entry, or into the record.
func (w *writeFlags) finish(ctx context.Context, a *app, at *place, e *entry.Entry, files []*keyFile) error {
	if w.Prepare {
		return a.prepared(w.Output, e)
	}
	if err := signFiles(ctx, a, e, files, w.SignWith, w.Yes); err != nil {
		return err
	}
	if missing := e.Missing(); len(missing) > 0 {
		w.later(a)
		return a.halfSigned(w.Output, e, e.Bytes(), missing)
	}
	if at.record.client == nil {
		if err := a.write(w.Output, e.Bytes()); err != nil {
			return err
		}
		a.sayf("The entry is signed. %s cannot take it: send it to the ledger's address with undersigned submit.\n", at.record.name)
		w.later(a)
		return nil
	}
	return w.submit(ctx, a, at.record.client, e)
}

// later tells that a chain goes with an entry when it is sent, and not before.
func (w *writeFlags) later(a *app) {
	if w.chain.wanted() {
		a.sayf("The chain of the DNS goes with the entry when it is sent: give --dns or --chain to undersigned submit.\n")
	}
}

// signFiles signs an entry with every private key among the files that it names, and by a command for the one public key
// among them.
func signFiles(ctx context.Context, a *app, e *entry.Entry, files []*keyFile, command string, yes bool) error {
	named := map[keys.Ref]bool{}
	for _, n := range e.Named() {
		named[n.Ref] = true
	}
	var with []*source.Key
	var elsewhere []*keyFile
	for _, f := range files {
		p := f.as(func(r keys.Ref) bool { return named[r] })
		if !named[p.Ref()] {
			return fmt.Errorf("the key in %s: %w", f.path, errNotNamed)
		}
		if !f.private {
			elsewhere = append(elsewhere, f)
			continue
		}
		k, err := f.load(p.Suite())
		if err != nil {
			return err
		}
		with = append(with, k)
	}
	if command != "" && len(elsewhere) != 1 {
		return usagef("--sign-with signs for the one key that is named by its public half (--key PUBLIC), and %d are named so", len(elsewhere))
	}
	if (len(with) > 0 || command != "") && !yes {
		if err := a.confirm(ctx, e.Text()); err != nil {
			return err
		}
	}
	if err := sign(e, with...); err != nil || command == "" {
		return err
	}
	k := elsewhere[0].as(func(r keys.Ref) bool { return named[r] })
	sig, err := a.signWith(ctx, command, k, e)
	if err != nil {
		return err
	}
	return putSignature(e, k, sig)
}

// prepared writes the text of an entry for other tools to sign, and says how.
func (a *app) prepared(path string, e *entry.Entry) error {
	if err := a.write(path, e.Text()); err != nil {
		return err
	}
	file := path
	if file == "" || file == "-" {
		file = "TEXT"
		a.sayf("\nKeep these bytes, all of them and no other, in a file TEXT; its fingerprint is %s.\n", e.ID())
	} else {
		a.sayf("Wrote the text to %s; its fingerprint is %s.\n", path, e.ID())
	}
	a.sayf("It must be signed by:\n")
	told := map[keys.Suite]bool{}
	fill := strings.NewReplacer("TEXT", file, "NAMESPACE", keys.SSHNamespace(e.Ledger))
	for _, n := range e.Named() {
		a.sayf("  %s with %s\n", n.Domain, n.Ref)
		told[n.Ref.Suite] = true
	}
	a.sayf("With a key file of this program: undersigned sign --key KEY %s\nWith another tool:\n", file)
	for _, suite := range keys.Suites() {
		if told[suite] {
			a.sayf("  %s: %s\n", suite, fill.Replace(otherTools[suite]))
		}
	}
	a.sayf("and then: undersigned attach --text %s --key-pem PUBLIC.pem --signature SIG -o ENTRY\n", file)
	return nil
}

// otherTools says how a text is signed in each suite by a tool that many have.
var otherTools = map[keys.Suite]string{
	keys.Ed25519:         "openssl pkeyutl -sign -rawin -in TEXT -inkey KEY -out SIG",
	keys.ECDSAP256SHA256: "openssl dgst -sha256 -sign KEY -out SIG TEXT   (or, with cosign 2: cosign sign-blob --key KEY --output-signature SIG --tlog-upload=false TEXT)",
	keys.ECDSAP384SHA384: "openssl dgst -sha384 -sign KEY -out SIG TEXT",
	keys.RSAPSSSHA256:    "openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sign KEY -out SIG TEXT",
	keys.RSAPKCS1SHA256:  "openssl dgst -sha256 -sign KEY -out SIG TEXT",
	keys.MLDSA44:         "openssl pkeyutl -sign -in TEXT -inkey KEY -out SIG   (OpenSSL 3.5 or newer)",
	keys.SSHSIG:          "ssh-keygen -Y sign -n NAMESPACE -f KEY TEXT   (the signature is in TEXT.sig, the public key in KEY.pub)",
	keys.SSHSIGSK:        "ssh-keygen -Y sign -n NAMESPACE -f KEY TEXT   (touch the key; the signature is in TEXT.sig, the public key in KEY.pub)",
}

// halfSigned writes an entry that others must sign too, and says who.
func (a *app) halfSigned(path string, e *entry.Entry, note []byte, missing []entry.Named) error {
	if err := a.write(path, note); err != nil {
		return err
	}
	file := path
	if file == "" || file == "-" {
		file = "FILE"
	}
	a.sayf("Not yet whole. Still to sign:\n")
	for _, n := range missing {
		a.sayf("  %s with %s\n", holder(e, n), n.Ref)
	}
	a.sayf("Each of them runs undersigned sign --key KEY %s -o %s, or signs its text with another tool (undersigned attach); then undersigned submit.\n", file, file)
	return nil
}

// holder is who has a key: where the operator's role is handed over, the new operator has those that the charter brings,
// although they sign in the name of the old one.
func holder(e *entry.Entry, n entry.Named) string {
	if b, ok := e.Body.(*entry.Charter); ok && !e.Genesis && n.Domain == e.Signer {
		if slices.ContainsFunc(b.PublicKeys, func(k entry.PublicKey) bool { return k.Ref() == n.Ref }) {
			return b.Operator
		}
	}
	return n.Domain
}

// submit sends a whole entry, tells what became of it and keeps its receipt.
func (w *writeFlags) submit(ctx context.Context, a *app, c *client, e *entry.Entry) error {
	chain, err := w.chain.get(ctx, a, e)
	if err != nil {
		return err
	}
	name := w.Receipt
	if name == "" {
		name = e.Signer + "-INDEX" + receiptSuffix
	}
	if name != "-" {
		if err := mayWrite(name); err != nil {
			return fmt.Errorf("nothing was sent, because the receipt cannot be written to %s: %w; name another file with --receipt", name, err)
		}
	}
	s, err := c.submit(ctx, entry.Submission(e, chain), w.Wait, func(problem error, pause time.Duration) {
		a.sayf("%v Trying again in %v.\n", problem, pause)
	})
	if err != nil {
		return err
	}
	w.complete = true
	path := w.Receipt
	if path == "" {
		path = fmt.Sprintf("%s-%d%s", e.Signer, s.Index, receiptSuffix)
	}
	var lost error
	if s.Published {
		if err := a.write(path, []byte(s.Receipt)); err != nil {
			lost, path = &lostReceiptError{s.Index, c.base.String(), w.Policy, err}, ""
		}
	}
	return errors.Join(a.submitted(e, s, path, len(chain) > 0, w.JSON), lost)
}

// A lostReceiptError says that an entry is in the record, and that only its receipt could not be kept.
type lostReceiptError struct {
	index          uint64
	ledger, policy string
	err            error
}

func (e *lostReceiptError) Error() string {
	policy := e.policy
	if policy == "" {
		policy = "FILE"
	}
	return fmt.Sprintf("entry %d is in the record, and only its receipt is not kept: %v; do not send it again, fetch the receipt: undersigned receipt --ledger %s --policy %s -o RECEIPT %d",
		e.index, e.err, e.ledger, policy, e.index)
}

func (e *lostReceiptError) Unwrap() error { return e.err }

const receiptSuffix = ".tlog-proof"

// submitted tells what became of an entry, and of a chain that was sent with it.
func (a *app) submitted(e *entry.Entry, s *submission, receipt string, chain, asJSON bool) error {
	code := codeOK
	if !s.Published {
		code, receipt = codeUnchecked, ""
	}
	if asJSON {
		err := a.json(struct {
			Schema    string     `json:"schema"`
			Index     uint64     `json:"index"`
			ID        entry.Hash `json:"id"`
			Admitted  string     `json:"admitted"`
			Stands    bool       `json:"stands"`
			Duplicate bool       `json:"duplicate"`
			Published bool       `json:"published"`
			Receipt   string     `json:"receipt_file,omitempty"`

			ChainIndex  *uint64 `json:"chain_index,omitempty"`
			ChainDetail string  `json:"chain_detail,omitempty"`
		}{"undersigned/submitted/v1", s.Index, s.ID, s.Admitted, s.Stands, s.Duplicate, s.Published, receipt, s.ChainIndex, s.ChainDetail})
		return errors.Join(err, answered(code))
	}
	switch {
	case !s.Published:
		a.printf("Entry %d, %s, is stored, and not yet published or witnessed.\n", s.Index, saying(e))
	case s.Duplicate && !s.Stands:
		a.printf("Entry %d, %s, has been in the record since %s; a later entry has replaced it.\n", s.Index, saying(e), printable(s.Admitted))
	case s.Duplicate:
		a.printf("Entry %d, %s, has been in the record since %s, and stands.\n", s.Index, saying(e), printable(s.Admitted))
	default:
		a.printf("Entry %d, %s, is in the public record since %s.\n", s.Index, saying(e), printable(s.Admitted))
	}
	if chain && s.Duplicate {
		switch {
		case s.ChainIndex != nil && *s.ChainIndex == s.Index:
		case s.ChainIndex != nil:
			a.printf("The entry was there already, without your chain. The chain is entry %d.\n", *s.ChainIndex)
		case s.ChainDetail != "":
			a.printf("The entry was there already, without your chain. %s\n", printable(s.ChainDetail))
		default:
			a.printf("The entry was there already, perhaps without your chain: undersigned show tells.\n")
		}
	}
	if receipt != "" && receipt != "-" {
		a.sayf("Receipt: %s\n", receipt)
	}
	if !s.Published {
		a.sayf("It will be published without being sent again. Its receipt, then: undersigned receipt --ledger URL --policy FILE -o RECEIPT %d\n", s.Index)
	}
	return answered(code)
}

// saying says in a few words what an entry says.
func saying(e *entry.Entry) string {
	switch b := e.Body.(type) {
	case *entry.Charter:
		return "the charter of " + e.Ledger
	case *entry.Statement:
		return fmt.Sprintf("%s's word to %s the statement %s", e.Signer, b.Action, b.Statement)
	case *entry.Membership:
		return map[entry.Action]string{entry.Register: "the registration of ", entry.Update: "the update of ", entry.Leave: "the leaving of "}[b.Action] + b.Member
	case *entry.Endorsement:
		if b.Action == entry.Withdraw {
			return fmt.Sprintf("%s's withdrawal from %s", e.Signer, b.Statement)
		}
		return fmt.Sprintf("%s's endorsement of %s", e.Signer, b.Statement)
	case *entry.KeyEvent:
		return fmt.Sprintf("%s's word to %s a key of %s", e.Signer, b.Action, b.Member)
	}
	return "an entry by " + e.Signer
}

// statementHash reads what a person calls a statement: its fingerprint, or a file with its text.
func (a *app) statementHash(what string) (entry.Hash, error) {
	if strings.HasPrefix(what, "sha256:") {
		h, err := entry.ParseHash(what)
		if err != nil {
			return h, usagef("%q is not a fingerprint: %w", what, err)
		}
		return h, nil
	}
	text, err := a.read(what, verify.MaxBlob)
	return entry.Sum(text), unreadable(err)
}

// statementIn is the statement that a person names, or the only one of a record.
func (a *app) statementIn(s *roll.State, what string) (entry.Hash, error) {
	if what == "" {
		return onlyStatement(s)
	}
	return a.statementHash(what)
}

// onlyStatement is the one statement of a record that has one, and otherwise an error that lists them.
func onlyStatement(s *roll.State) (entry.Hash, error) {
	all := s.Statements()
	if len(all) == 1 {
		return all[0].Statement, nil
	}
	if len(all) == 0 {
		return entry.Hash{}, failf(verify.CodeNotFound, "the record has no statement yet")
	}
	var b strings.Builder
	for _, st := range all {
		fmt.Fprintf(&b, "\n  %s %s", st.Statement, st.Title)
	}
	return entry.Hash{}, usagef("the record has %d statements; name one with --statement:%s", len(all), b.String())
}
