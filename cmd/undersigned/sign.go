package main

import (
	"context"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// endorsing says who endorses what.
type endorsing struct {
	Domain    string   `setting:"" required:"" placeholder:"DOMAIN" help:"The organization that signs."`
	Statement string   `required:"" placeholder:"FILE" help:"The text, or its fingerprint sha256:…."`
	Rendition []string `sep:"none" placeholder:"FILE" help:"A translation or another form of it to endorse as well (a file or sha256:…). May be repeated."`
}

// entry puts the endorsement or withdrawal together.
func (c *endorsing) entry(a *app, at *place, action entry.Action, files []*keyFile) (*entry.Entry, error) {
	h, err := a.statementHash(c.Statement)
	if err != nil {
		return nil, err
	}
	st, ok := at.state.Statement(h)
	if !ok {
		return nil, fmt.Errorf("the record has no statement with the fingerprint %s: is this the very file that was published?", h)
	}
	var renditions []entry.RenditionRef
	for _, what := range c.Rendition {
		h, err := a.statementHash(what)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(st.Renditions, func(r entry.Rendition) bool { return r.Hash == h })
		if i < 0 {
			return nil, fmt.Errorf("%s is none of the statement's %s", what, plural(len(st.Renditions), "rendition"))
		}
		renditions = append(renditions, entry.RenditionRef{Language: st.Renditions[i].Language, Hash: h})
	}
	refs, err := at.refs(c.Domain, files)
	if err != nil {
		return nil, err
	}
	return at.endorsement(c.Domain, refs, action, h, renditions...)
}

// needKeys says that a command which signs was given nothing to sign with.
func (w *writeFlags) needKeys() error {
	if len(w.Key) == 0 && !w.Prepare {
		return usagef("name a key to sign with (--key FILE), or print the text for another tool (--prepare)")
	}
	return nil
}

// write is what every command does that puts an entry together: replay the record, write the entry, sign, submit.
func (w *writeFlags) write(ctx context.Context, a *app, compose func(at *place, files []*keyFile) (*entry.Entry, error)) error {
	if err := w.needKeys(); err != nil {
		return err
	}
	files, err := a.keyFiles(w.Key, &w.passwordFlags)
	if err != nil {
		return err
	}
	at, err := w.open(ctx, a)
	if err != nil {
		return err
	}
	defer at.Close()
	e, err := compose(at, files)
	if err != nil {
		return err
	}
	return w.finish(ctx, a, at, e, append(files, w.extra...))
}

type endorseCmd struct {
	endorsing
	writeFlags
}

// Help shows how the command is used.
func (endorseCmd) Help() string {
	return `The record is replayed first. On a terminal you see the exact text and are asked. The receipt is yours to keep: it proves the endorsement without this ledger.

Example:

	undersigned endorse --ledger https://ledger.example/ --policy policy.txt --domain apnic.net --statement statement.txt --key signing.pem
`
}

// Run endorses a statement.
func (c *endorseCmd) Run(ctx context.Context, a *app) error {
	return c.write(ctx, a, func(at *place, files []*keyFile) (*entry.Entry, error) {
		return c.endorsing.entry(a, at, entry.Endorse, files)
	})
}

type withdrawCmd struct {
	Domain    string `setting:"" required:"" placeholder:"DOMAIN" help:"The organization that signs."`
	Statement string `required:"" placeholder:"FILE" help:"The text, or its fingerprint sha256:…."`
	writeFlags
}

// Help shows how the command is used.
func (withdrawCmd) Help() string {
	return `A withdrawal is a dated entry: the endorsement before it stays in the record. A recovery key or a suspended key will do, and a closed statement can be withdrawn from too.

Example:

	undersigned withdraw --ledger https://ledger.example/ --policy policy.txt --domain apnic.net --statement statement.txt --key signing.pem
`
}

// Run withdraws an endorsement.
func (c *withdrawCmd) Run(ctx context.Context, a *app) error {
	what := endorsing{Domain: c.Domain, Statement: c.Statement}
	return c.write(ctx, a, func(at *place, files []*keyFile) (*entry.Entry, error) {
		return what.entry(a, at, entry.Withdraw, files)
	})
}

type signCmd struct {
	File      string   `arg:"" optional:"" help:"A text or half-signed entry to add signatures to, or - for standard input. Without it, an endorsement is written."`
	Ledger    string   `setting:"" placeholder:"SRC" help:"The record that an endorsement is written for."`
	Policy    string   `setting:"" placeholder:"FILE" help:"The policy file that says which log and witnesses count."`
	Domain    string   `setting:"" placeholder:"DOMAIN" help:"The organization that endorses."`
	Statement string   `placeholder:"FILE" help:"The text to endorse, or its fingerprint sha256:…."`
	Rendition []string `sep:"none" placeholder:"FILE" help:"A rendition of it to endorse as well. May be repeated."`
	Withdraw  bool     `help:"Write a withdrawal instead."`
	Prepare   bool     `help:"Print the exact text that is to be signed, and sign nothing."`
	Key       []string `setting:"" sep:"none" placeholder:"FILE" help:"A key to sign with, a file or ssh-agent:NAME; with --prepare or --sign-with a public key will do. May be repeated."`
	signWithFlag
	Output string `short:"o" placeholder:"FILE" help:"Where the signed entry goes, instead of standard output."`
	Yes    bool   `short:"y" help:"Do not ask before signing. Off a terminal nobody is asked."`
	passwordFlags
}

// Help shows how the command is used.
func (signCmd) Help() string {
	return `It sends nothing anywhere. An entry that several keys sign is passed from one to the next, each adding its signature to the same text.

Example:

	undersigned sign --prepare --ledger https://ledger.example/ --policy policy.txt --domain apnic.net --statement statement.txt > text
	undersigned sign --key signing.pem text -o entry
	undersigned submit --ledger https://ledger.example/ entry
`
}

// Run signs.
func (c *signCmd) Run(ctx context.Context, a *app) error {
	w := &writeFlags{recordFlags: recordFlags{c.Ledger, c.Policy}, Key: c.Key, signWithFlag: c.signWithFlag, Prepare: c.Prepare, Output: c.Output, Yes: c.Yes, passwordFlags: c.passwordFlags}
	if err := w.needKeys(); err != nil {
		return err
	}
	files, err := a.keyFiles(c.Key, &c.passwordFlags)
	if err != nil {
		return err
	}
	if c.File != "" {
		if c.Statement != "" || c.Prepare || c.Withdraw || len(c.Rendition) > 0 {
			return usagef("name either a file to sign or a statement to endorse (--statement), not both")
		}
		d, err := a.readDraft(c.File)
		if err != nil {
			return err
		}
		if err := signFiles(ctx, a, d.entry, files, c.SignWith, c.Yes); err != nil {
			return err
		}
		return a.writeDraft(c.Output, d)
	}
	for _, need := range []struct{ flag, value string }{{"--ledger", c.Ledger}, {"--policy", c.Policy}, {"--domain", c.Domain}, {"--statement", c.Statement}} {
		if need.value == "" {
			return usagef("to write an endorsement %s is needed; to sign a text that there is, name its file", need.flag)
		}
	}
	at, err := w.open(ctx, a)
	if err != nil {
		return err
	}
	defer at.Close()
	action := entry.Endorse
	if c.Withdraw {
		action = entry.Withdraw
	}
	e, err := (&endorsing{c.Domain, c.Statement, c.Rendition}).entry(a, at, action, files)
	if err != nil {
		return err
	}
	if c.Prepare {
		return a.prepared(c.Output, e)
	}
	if err := signFiles(ctx, a, e, files, c.SignWith, c.Yes); err != nil {
		return err
	}
	return a.writeDraft(c.Output, &draft{entry: e})
}

// A draft is an entry on its way from one signer to the next.
type draft struct {
	entry *entry.Entry
	loose []entry.Signature // of keys that the text does not contain, so that their place is not known here
}

// readDraft reads a text, a half-signed or a whole entry.
func (a *app) readDraft(path string) (*draft, error) {
	b, err := a.read(path, int64(entry.MaxEntry))
	if err != nil {
		return nil, err
	}
	e, loose, err := entry.ParseDraft(b)
	if err != nil {
		return nil, fmt.Errorf("%s is not the text of an entry: %w", nameOf(path), err)
	}
	d := &draft{e, loose}
	return d, d.settle(ownKeys(e))
}

// ownKeys returns the keys that an entry contains.
func ownKeys(e *entry.Entry) map[keys.Ref]*keys.PublicKey {
	var lines []entry.PublicKey
	switch b := e.Body.(type) {
	case *entry.Charter:
		lines = b.PublicKeys
	case *entry.Membership:
		lines = slices.Concat(b.PublicKeys, b.RecoveryKeys)
	case *entry.KeyEvent:
		if b.PublicKey != nil {
			lines = []entry.PublicKey{*b.PublicKey}
		}
	}
	known := map[keys.Ref]*keys.PublicKey{}
	for _, l := range lines {
		if k, err := keys.ParsePublicKey(l.Suite, l.SPKI); err == nil {
			known[l.Ref()] = k
		}
	}
	return known
}

// settle puts those loose signatures into their places whose keys are known, and verifies them.
func (d *draft) settle(known map[keys.Ref]*keys.PublicKey) error {
	var rest []entry.Signature
	for _, s := range d.loose {
		placed := false
		for _, n := range d.entry.Named() {
			k := known[n.Ref]
			if k == nil || n.Domain != s.Name || k.NoteKeyID(n.Domain) != s.KeyID {
				continue
			}
			if err := putSignature(d.entry, k, s.Sig); err != nil {
				return fmt.Errorf("a signature in the name of %s: %w", n.Domain, err)
			}
			placed = true
			break
		}
		if !placed {
			rest = append(rest, s)
		}
	}
	d.loose = rest
	return nil
}

// settleRest puts loose signatures where only one place is left in their name. Whether they fit is for the ledger to tell.
func (d *draft) settleRest() {
	var rest []entry.Signature
	for _, s := range d.loose {
		var free []entry.Named
		for _, n := range d.entry.Missing() {
			if n.Domain == s.Name {
				free = append(free, n)
			}
		}
		same := slices.IndexFunc(d.loose, func(o entry.Signature) bool { return o.Name == s.Name && o.KeyID != s.KeyID }) >= 0
		if len(free) == 1 && !same && d.entry.AddSignature(free[0].Ref, s.KeyID, s.Sig) == nil {
			continue
		}
		rest = append(rest, s)
	}
	d.loose = rest
}

// bytes returns the draft as a file: in its final form if it is whole.
func (d *draft) bytes() []byte {
	b := d.entry.Bytes()
	if len(d.loose) > 0 && len(d.entry.Missing()) == len(d.entry.Named()) {
		b = append(b, '\n')
	}
	for _, s := range d.loose {
		b = append(b, signatureLine(s)...)
	}
	return b
}

// signatureLine is a signature's line in a signed note.
func signatureLine(s entry.Signature) []byte {
	return verify.SignatureLine(keys.VKey{Name: s.Name, KeyID: s.KeyID}, s.Sig)
}

// writeDraft writes a draft, and says who must still sign.
func (a *app) writeDraft(path string, d *draft) error {
	d.settleRest()
	if missing := d.entry.Missing(); len(missing) > 0 {
		left := missing
		if len(d.loose) > 0 {
			// It is not known here which of a name's keys the loose ones are of.
			a.sayf("%s of keys that the text only names: whether they fit will show when it is submitted.\n", plural(len(d.loose), "signature"))
			left = d.unaccounted(missing)
		}
		if len(left) > 0 {
			return a.halfSigned(path, d.entry, d.bytes(), left)
		}
	}
	if err := a.write(path, d.bytes()); err != nil {
		return err
	}
	a.sayf("Everybody has signed: %s. Send it with undersigned submit.\n", saying(d.entry))
	return nil
}

// unaccounted leaves out as many places of each name as there are loose signatures in that name.
func (d *draft) unaccounted(missing []entry.Named) []entry.Named {
	have := map[string]int{}
	for _, s := range d.loose {
		have[s.Name]++
	}
	var left []entry.Named
	for _, n := range missing {
		if have[n.Domain] > 0 {
			have[n.Domain]--
			continue
		}
		left = append(left, n)
	}
	return left
}

type attachCmd struct {
	Text      string   `required:"" placeholder:"FILE" help:"The text that was signed, or the half-signed entry; - for standard input."`
	KeyPEM    []string `name:"key-pem" required:"" sep:"none" placeholder:"FILE" help:"The public key of a signature, in PEM form or OpenSSH's. Repeated: in the order of the signatures."`
	Signature []string `required:"" sep:"none" placeholder:"FILE" help:"A signature as the tool wrote it, armored, or its base64. May be repeated."`
	Output    string   `short:"o" placeholder:"FILE" help:"Where the signed entry goes, instead of standard output."`
}

// Help shows how the command is used.
func (attachCmd) Help() string {
	return `A signature that is not one of this text by this key is refused.

Example:

	openssl pkeyutl -sign -rawin -in text -inkey signing.pem -out sig
	openssl pkey -in signing.pem -pubout -out public.pem
	undersigned attach --text text --key-pem public.pem --signature sig -o entry

	ssh-keygen -Y sign -n undersigned@ledger.example/tccm -f id_ed25519 text
	undersigned attach --text text --key-pem id_ed25519.pub --signature text.sig -o entry
`
}

// Run puts signatures under a text.
func (c *attachCmd) Run(a *app) error {
	if len(c.KeyPEM) != len(c.Signature) {
		return usagef("there are %s and %s; give each signature its key, in the same order", plural(len(c.Signature), "--signature"), plural(len(c.KeyPEM), "--key-pem"))
	}
	d, err := a.readDraft(c.Text)
	if err != nil {
		return err
	}
	named := map[keys.Ref]bool{}
	for _, n := range d.entry.Named() {
		named[n.Ref] = true
	}
	for i, path := range c.KeyPEM {
		b, err := a.read(path, maxKeyFile)
		if err != nil {
			return err
		}
		public, err := publicKeys(path, b)
		if err != nil {
			return err
		}
		k := (&keyFile{path: path, public: public}).as(func(r keys.Ref) bool { return named[r] })
		if !named[k.Ref()] {
			return fmt.Errorf("the key in %s: %w", nameOf(path), errNotNamed)
		}
		raw, err := a.read(c.Signature[i], maxKeyFile)
		if err != nil {
			return err
		}
		sig, ok := findSignature(k, d.entry, raw)
		if !ok {
			return failf(verify.CodeUntrusted, "%s is not a %s signature of this text by the key in %s: %s", nameOf(c.Signature[i]), k.Suite(), nameOf(path), whyNot(k, d.entry, raw))
		}
		if err := putSignature(d.entry, k, sig); err != nil {
			return err
		}
	}
	return a.writeDraft(c.Output, d)
}

// findSignature reads a signature of an entry in any of the forms in which tools write it: its bytes, their base64, SSH's armor,
// and for ECDSA also the two numbers side by side, as PKCS #11 has them.
func findSignature(k *keys.PublicKey, e *entry.Entry, raw []byte) ([]byte, bool) {
	text := e.Text()
	for _, sig := range signatureForms(raw) {
		if k.Verify(e.Ledger, text, sig) {
			return sig, true
		}
		if der, err := ecdsaDER(sig); err == nil && (k.Suite() == keys.ECDSAP256SHA256 || k.Suite() == keys.ECDSAP384SHA384) && k.Verify(e.Ledger, text, der) {
			return der, true
		}
	}
	return nil, false
}

// signatureForms returns what a tool's output may mean.
func signatureForms(raw []byte) [][]byte {
	if block, _ := pem.Decode(raw); block != nil && block.Type == "SSH SIGNATURE" {
		return [][]byte{block.Bytes}
	}
	forms := [][]byte{raw}
	if b, err := decodeBase64(strings.Join(strings.Fields(string(raw)), "")); err == nil {
		forms = append(forms, b)
	}
	return forms
}

// whyNot guesses why findSignature finds none.
func whyNot(k *keys.PublicKey, e *entry.Entry, raw []byte) string {
	for _, sig := range signatureForms(raw) {
		if ns, ok := keys.SSHSIGNamespace(sig); ok {
			switch want := keys.SSHNamespace(e.Ledger); {
			case k.SSH() == nil:
				return "it is an SSH signature, which only a key that is registered as sshsig or sshsig-sk makes"
			case ns != want:
				return fmt.Sprintf("it was made for another purpose, the namespace %q; sign with ssh-keygen -Y sign -n %s", printable(ns), want)
			}
		}
	}
	return "was the very file signed, and in the way that this suite needs?"
}

// ecdsaDER turns r and s side by side into ASN.1 DER.
func ecdsaDER(sig []byte) ([]byte, error) {
	if len(sig) != 64 && len(sig) != 96 {
		return nil, errors.New("not r and s of P-256 or P-384")
	}
	half := len(sig) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:half]), new(big.Int).SetBytes(sig[half:])})
}
