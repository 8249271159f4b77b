package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/source"
)

const maxKeyFile = 64 << 10 // bytes

// passwordFlags say where the password of a key file comes from, if not from the terminal.
type passwordFlags struct {
	PasswordFile string `setting:"" placeholder:"FILE" help:"Read the password of encrypted key files from the first line of a file."`
	PasswordFD   int    `name:"password-fd" setting:"" default:"-1" placeholder:"N" help:"Read it from an open file descriptor, a line for each encrypted key file."`
}

// source returns where the password of a key file comes from. It is asked for once.
func (p *passwordFlags) source(path string) source.PasswordFunc {
	ask := source.PasswordFromTerminal("Password of " + path + ": ")
	switch {
	case p.PasswordFile != "":
		ask = source.PasswordFromFile(p.PasswordFile)
	case p.PasswordFD >= 0:
		ask = source.PasswordFromFD(p.PasswordFD)
	}
	var password []byte
	return func(confirm bool) ([]byte, error) {
		if password != nil {
			return password, nil
		}
		got, err := ask(confirm)
		switch {
		case err == nil:
			password = got
		case p.PasswordFile != "":
			err = fmt.Errorf("the password file %s cannot be used: %w", p.PasswordFile, reason(err))
		case errors.Is(err, source.ErrNoTerminal):
			err = fmt.Errorf("%w; give it with --password-file FILE or --password-fd N", err)
		}
		return got, err
	}
}

// Validate refuses two places for one password.
func (p *passwordFlags) Validate() error {
	if p.PasswordFile != "" && p.PasswordFD >= 0 {
		return errors.New("--password-file and --password-fd cannot be used together")
	}
	return nil
}

// suiteFlag says in which suite keys are registered.
type suiteFlag struct {
	Suite keys.Suite `default:"" enum:",ed25519,ecdsa-p256-sha256,ecdsa-p384-sha384,rsa-pss-sha256,rsa-pkcs1-sha256,mldsa44,sshsig,sshsig-sk" placeholder:"SUITE" help:"The suite of keys that are registered, where they fit it. Without it: sshsig for SSH's keys, rsa-pss-sha256 for other RSA keys."`
}

// A keyFile is a key that a person named: a private key, or the public half of one that lives elsewhere.
type keyFile struct {
	path    string
	public  []*keys.PublicKey // the same key in each suite that fits its type, the usual one first
	private bool
	load    func(keys.Suite) (*source.Key, error) // if private
}

// readKey reads a key file, private or public, or finds a key in an ssh-agent.
func (a *app) readKey(path string, passwords *passwordFlags) (*keyFile, error) {
	k := &keyFile{path: path, private: true}
	if name, ok := strings.CutPrefix(path, source.AgentPrefix); ok {
		k.load = func(suite keys.Suite) (*source.Key, error) { return source.FromAgent(name, suite) }
	} else {
		b, err := a.read(path, maxKeyFile)
		if err != nil {
			return nil, err
		}
		if isPublic(b) {
			public, err := publicKeys(path, b)
			return &keyFile{path: path, public: public}, err
		}
		if path == "-" {
			return nil, errors.New("a private key is read from a file, not from standard input")
		}
		password := passwords.source(path)
		k.load = func(suite keys.Suite) (*source.Key, error) { return source.Load(path, password, suite) }
	}
	usual, err := k.load("")
	if err != nil {
		return nil, err
	}
	for _, suite := range usual.Suites() {
		p, err := keys.ParsePublicKey(suite, usual.Public().SPKI())
		if err != nil {
			return nil, err
		}
		k.public = append(k.public, p)
	}
	return k, nil
}

// isPublic says whether a file holds a public key, in PEM form or in OpenSSH's.
func isPublic(b []byte) bool {
	block, _ := pem.Decode(b)
	return block != nil && block.Type == "PUBLIC KEY" || block == nil && isSSH(b)
}

// isSSH says whether a file begins like OpenSSH's public keys.
func isSSH(b []byte) bool {
	return slices.ContainsFunc([]string{"ssh-", "ecdsa-sha2-", "sk-"}, func(s string) bool { return bytes.HasPrefix(b, []byte(s)) })
}

// publicKeys returns the key in a file with a public key, in each suite that fits its type, the usual one first.
func publicKeys(path string, b []byte) ([]*keys.PublicKey, error) {
	block, rest := pem.Decode(b)
	var found []*keys.PublicKey
	var spki []byte
	switch {
	case block == nil && isSSH(b):
		k, err := source.ParseSSHPublicKey(b)
		if errors.Is(err, keys.ErrWeakKey) {
			return nil, fmt.Errorf("the key in %s must not be used: %w", nameOf(path), plain(err))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", nameOf(path), plain(err))
		}
		found, spki = []*keys.PublicKey{k}, k.SPKI()
		if k.Suite() == keys.SSHSIGSK { // a FIDO key signs in no other way
			return found, nil
		}
	case block == nil || block.Type != "PUBLIC KEY" || len(block.Headers) != 0:
		return nil, fmt.Errorf("%s is not a public key, in PEM form or OpenSSH's; make one with openssl pkey -in KEY -pubout", nameOf(path))
	default:
		if more, _ := pem.Decode(rest); more != nil {
			return nil, fmt.Errorf("%s holds more than one key; give each its own file", nameOf(path))
		}
		spki = block.Bytes
	}
	var weak error
	for _, suite := range keys.Suites() {
		k, err := keys.ParsePublicKey(suite, spki)
		if err == nil && (found == nil || found[0].Suite() != suite) {
			found = append(found, k)
		} else if errors.Is(err, keys.ErrWeakKey) {
			weak = err
		}
	}
	switch {
	case found != nil:
		return found, nil
	case weak != nil:
		return nil, fmt.Errorf("the key in %s must not be used: %w", nameOf(path), plain(weak))
	}
	return nil, fmt.Errorf("the key in %s fits none of the suites %v", nameOf(path), keys.Suites())
}

// preferred returns the suite in which a key is to be registered: this one, if the key fits it.
func (k *keyFile) preferred(suite keys.Suite) keys.Suite {
	if p, err := k.in(suite); err == nil {
		return p.Suite()
	}
	return k.public[0].Suite()
}

// as returns the key in the suite under which it is known; the usual one if it is known under none.
func (k *keyFile) as(known func(keys.Ref) bool) *keys.PublicKey {
	for _, p := range k.public {
		if known(p.Ref()) {
			return p
		}
	}
	return k.public[0]
}

// in returns the key in a suite, "" for the usual one.
func (k *keyFile) in(suite keys.Suite) (*keys.PublicKey, error) {
	for _, p := range k.public {
		if suite == "" || p.Suite() == suite {
			return p, nil
		}
	}
	return nil, fmt.Errorf("the key in %s cannot be used as %s", k.path, suite)
}

// keyCmd makes and shows keys, and says in the record what becomes of them.
type keyCmd struct {
	New     keyNewCmd     `cmd:"" help:"Make a new key file."`
	Show    keyShowCmd    `cmd:"" help:"Show the public half of a key file."`
	List    keyListCmd    `cmd:"" help:"List the key files in a directory."`
	Add     keyAddCmd     `cmd:"" help:"Add a key to a member (an entry in the record)."`
	Rotate  keyRotateCmd  `cmd:"" help:"Replace a key of a member by a new one."`
	Revoke  keyRevokeCmd  `cmd:"" help:"Revoke a key of a member, for ever."`
	Suspend keySuspendCmd `cmd:"" help:"Suspend a key of a member: it can withdraw and leave, no more."`

	RotateLog keyRotateLogCmd `cmd:"" help:"Replace the keys with which a ledger signs its checkpoints."`
}

type keyNewCmd struct {
	Output     string     `short:"o" required:"" placeholder:"FILE" help:"Where the key goes; the file must not exist."`
	Suite      keys.Suite `default:"ed25519" enum:"ed25519,ecdsa-p256-sha256,ecdsa-p384-sha384,rsa-pss-sha256,rsa-pkcs1-sha256,mldsa44" help:"One of ${enum}."`
	NoPassword bool       `help:"Do not encrypt the file: whoever can read it can sign."`
	passwordFlags
	jsonFlag
}

// Help shows how the command is used.
func (keyNewCmd) Help() string {
	return `The file is PKCS#8 in PEM form, encrypted with a password in cosign's format, and its owner alone may read it.

Example:

	undersigned key new -o signing.pem
	undersigned key new --suite ecdsa-p256-sha256 --no-password -o recovery.pem
`
}

// Run makes a key file.
func (c *keyNewCmd) Run(a *app) error {
	var password []byte
	var err error
	if c.NoPassword {
		if c.PasswordFile != "" || c.PasswordFD >= 0 {
			return usagef("--no-password cannot be used together with a password")
		}
	} else if password, err = c.source(c.Output)(true); err != nil {
		return fmt.Errorf("no password for the new key: %w", err)
	}
	k, err := source.Generate(c.Suite)
	if err != nil {
		return err
	}
	if err := k.Save(c.Output, password); err != nil {
		return err
	}
	if c.JSON {
		return a.json(struct {
			Schema string `json:"schema"`
			keyView
		}{"undersigned/key/v1", viewKey(c.Output, k.Public())})
	}
	a.printf("Made the %s key %s in %s.\n\n", c.Suite, k.Public().Fingerprint(), c.Output)
	printKey(a, k.Public())
	a.sayf("Keep a copy of %s where only you can reach it: nobody can restore it.\n", c.Output)
	return nil
}

// keyView is a public key in JSON.
type keyView struct {
	File        string     `json:"file"`
	Suite       keys.Suite `json:"suite"`
	Fingerprint string     `json:"fingerprint"`
	SPKI        []byte     `json:"spki"`
	PEM         string     `json:"pem"`
}

func viewKey(path string, k *keys.PublicKey) keyView {
	return keyView{path, k.Suite(), k.Fingerprint().String(), k.SPKI(), publicPEM(k)}
}

func publicPEM(k *keys.PublicKey) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.SPKI()}))
}

func printKey(a *app, k *keys.PublicKey) {
	a.printf("key %s\npublic-key %s %s\n%s", k.Ref(), k.Suite(), base64Of(k.SPKI()), publicPEM(k))
}

type keyShowCmd struct {
	File string `arg:"" help:"A key file, private or public; - for a public one on standard input."`
	passwordFlags
	jsonFlag
}

// Help shows how the command is used.
func (keyShowCmd) Help() string {
	return `Example:

	undersigned key show signing.pem
	openssl pkey -in other.pem -pubout | undersigned key show -
`
}

// Run shows a key.
func (c *keyShowCmd) Run(a *app) error {
	k, err := a.readKey(c.File, &c.passwordFlags)
	if err != nil {
		return err
	}
	if c.JSON {
		return a.json(struct {
			Schema string `json:"schema"`
			keyView
		}{"undersigned/key/v1", viewKey(c.File, k.public[0])})
	}
	for i, p := range k.public {
		if i == 0 {
			a.printf("The %s key in %s has the fingerprint %s.\n\n", p.Suite(), nameOf(c.File), p.Fingerprint())
			printKey(a, p)
		} else {
			a.printf("It can be registered as %s instead.\n", p.Suite())
		}
	}
	return nil
}

type keyListCmd struct {
	Dir string `arg:"" optional:"" default:"." help:"The directory."`
	passwordFlags
	jsonFlag
}

// Help shows how the command is used.
func (keyListCmd) Help() string {
	return `It lists *.pem, *.key and *.pub files. Of an encrypted one it tells no more than that, unless it is given the password.

Example:

	undersigned key list ~/keys
`
}

// Run lists key files.
func (c *keyListCmd) Run(ctx context.Context, a *app) error {
	if info, err := os.Stat(c.Dir); err != nil {
		return fmt.Errorf("cannot list the keys: %w", err)
	} else if !info.IsDir() {
		return usagef("%s is not a directory; undersigned key show tells about one file", c.Dir)
	}
	var paths []string
	for _, pattern := range []string{"*.pem", "*.key", "*.pub"} {
		found, err := filepath.Glob(filepath.Join(c.Dir, pattern))
		if err != nil {
			return err
		}
		paths = append(paths, found...)
	}
	type line struct {
		keyView
		Problem string `json:"problem,omitempty"`
	}
	list := []line{}
	for _, path := range paths {
		k, err := a.listedKey(path, &c.passwordFlags)
		if err != nil {
			list = append(list, line{keyView{File: path}, err.Error()})
			continue
		}
		list = append(list, line{keyView: viewKey(path, k.public[0])})
	}
	if c.JSON {
		return a.json(struct {
			Schema string `json:"schema"`
			Keys   []line `json:"keys"`
		}{"undersigned/key-list/v1", list})
	}
	dir := c.Dir
	if full, err := filepath.Abs(dir); err == nil && strings.HasSuffix(dir, ".") { // it would end in a full stop
		dir = full
	}
	a.printf("%s in %s.\n", plural(len(list), "key file"), dir)
	for _, l := range list {
		if l.Problem != "" {
			a.printf("%s: %s\n", l.File, l.Problem)
		} else {
			a.printf("%s: %s %s\n", l.File, l.Suite, l.Fingerprint)
		}
	}
	return ctx.Err()
}

// listedKey reads a key without asking a person for a password.
func (a *app) listedKey(path string, passwords *passwordFlags) (*keyFile, error) {
	if passwords.PasswordFile != "" || passwords.PasswordFD >= 0 {
		return a.readKey(path, passwords)
	}
	b, err := a.read(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	if isPublic(b) {
		public, err := publicKeys(path, b)
		return &keyFile{path: path, public: public}, err
	}
	k, err := source.Load(path, nil, "")
	if err != nil {
		return nil, err
	}
	return &keyFile{path: path, public: []*keys.PublicKey{k.Public()}}, nil
}
