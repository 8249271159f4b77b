package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// joinCmd is membership; registering needs no further word.
type joinCmd struct {
	Register joinRegisterCmd `cmd:"" default:"withargs" help:"Register an organization."`
	Update   joinUpdateCmd   `cmd:"" help:"Change name, quorum or recovery keys, or add a voucher."`
	Leave    joinLeaveCmd    `cmd:"" help:"End the membership."`
}

// Help shows how the command is used.
func (joinCmd) Help() string {
	return `Whoever vouches signs the same text as the organization, one after the other.

Example:

	undersigned join --ledger https://ledger.example/ --policy policy.txt --domain apnic.net --name "APNIC" --key signing.pem -o join.txt
	undersigned sign --key operator.pem join.txt -o join.txt
	undersigned submit --ledger https://ledger.example/ join.txt
`
}

type joinRegisterCmd struct {
	Domain      string   `setting:"" required:"" placeholder:"DOMAIN" help:"The organization's domain."`
	Name        string   `required:"" placeholder:"TEXT" help:"Its name, as lists will show it."`
	LegalName   string   `placeholder:"TEXT" help:"Its legal name."`
	RecoveryKey []string `sep:"none" placeholder:"FILE" help:"A key to keep elsewhere: it can withdraw, leave, and add and revoke keys. May be repeated."`
	Quorum      int      `default:"1" placeholder:"K" help:"How many of its keys must sign for it."`
	Voucher     []string `sep:"none" placeholder:"DOMAIN" help:"A member that vouches, beside the operator where the charter asks for it. May be repeated."`
	VoucherKey  []string `sep:"none" placeholder:"FILE" help:"A voucher's key, where it is at hand. May be repeated."`
	chainFlags
	suiteFlag
	writeFlags
}

// Help shows how the command is used.
func (joinRegisterCmd) Help() string { return joinCmd{}.Help() }

// Run registers an organization.
func (c *joinRegisterCmd) Run(ctx context.Context, a *app) error {
	c.chain = &c.chainFlags
	if err := c.valid(); err != nil {
		return err
	}
	if len(c.Key) == 0 {
		return usagef("name the organization's keys (--key FILE); public ones will do to prepare the text")
	}
	files, err := a.keyFiles(slices.Concat(c.Key, c.RecoveryKey), &c.passwordFlags)
	if err != nil {
		return err
	}
	vouchers, err := a.keyFiles(c.VoucherKey, &c.passwordFlags)
	if err != nil {
		return err
	}
	at, err := c.open(ctx, a)
	if err != nil {
		return err
	}
	defer at.Close()
	m := &entry.Membership{Action: entry.Register, Member: c.Domain, Name: c.Name, LegalName: c.LegalName, Quorum: c.Quorum}
	for i, f := range files {
		k, err := f.in(f.preferred(c.Suite))
		if err != nil {
			return err
		}
		f.public = []*keys.PublicKey{k}
		if i < len(c.Key) {
			m.PublicKeys = append(m.PublicKeys, publicLine(k))
		} else {
			m.RecoveryKeys = append(m.RecoveryKeys, publicLine(k))
		}
	}
	if m.Vouchers, err = at.voucherLines(c.Voucher, at.state.Charter().Admission.Operator, vouchers); err != nil {
		return err
	}
	e, err := at.registration(m)
	if err != nil {
		return err
	}
	if old, ok := at.state.Member(c.Domain); ok && old.Left {
		if dropped := droppedKeys(old, m); dropped != nil {
			a.sayf("%s left with entry %d, and these of its keys are neither revoked nor named again: %s; if one was stolen, first say since when (undersigned key revoke --compromised-after), because once the domain is registered again nobody can.\n", c.Domain, old.LeftAt.Index, strings.Join(dropped, ", "))
		}
	}
	return c.finish(ctx, a, at, e, append(files, vouchers...))
}

// droppedKeys returns the keys that a member had when it left and will have no more once it is registered again.
func droppedKeys(old roll.Member, again *entry.Membership) (dropped []string) {
	for _, k := range slices.Concat(old.Keys, old.RecoveryKeys) {
		named := func(line entry.PublicKey) bool { return line.Ref() == k.Ref }
		if k.Current && !slices.ContainsFunc(slices.Concat(again.PublicKeys, again.RecoveryKeys), named) {
			dropped = append(dropped, k.Ref.Fingerprint.String())
		}
	}
	return dropped
}

// voucherLines names the keys of those that vouch: the ones whose files are given, and the usual ones of the rest.
func (at *place) voucherLines(domains []string, operator bool, files []*keyFile) ([]entry.Named, error) {
	var lines []entry.Named
	have := map[string]bool{}
	for _, f := range files {
		ref := f.as(at.knows).Ref()
		k, ok := at.state.Key(ref)
		if !ok {
			return nil, fmt.Errorf("the key in %s is not in the record, so it cannot vouch", f.path)
		}
		lines = append(lines, entry.Named{Domain: k.Domain, Ref: ref})
		have[k.Domain] = true
	}
	if operator {
		domains = append([]string{at.state.Charter().Operator}, domains...)
	}
	for _, domain := range domains {
		if have[domain] {
			continue
		}
		have[domain] = true
		more, err := at.vouchers(domain)
		if err != nil {
			return nil, fmt.Errorf("%w, so it cannot vouch", err)
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

type joinUpdateCmd struct {
	Domain      string   `setting:"" required:"" placeholder:"DOMAIN" help:"The organization's domain."`
	Name        string   `placeholder:"TEXT" help:"Its new name. Without it: as before."`
	LegalName   *string  `placeholder:"TEXT" help:"Its new legal name; empty for none."`
	Quorum      int      `placeholder:"K" help:"How many of its keys must sign from now on."`
	RecoveryKey []string `sep:"none" placeholder:"FILE" help:"The complete new set of recovery keys. May be repeated."`
	NoRecovery  bool     `help:"Have no recovery key from now on."`
	Voucher     []string `sep:"none" placeholder:"DOMAIN" help:"A member or the operator that vouches from now on. May be repeated."`
	VoucherKey  []string `sep:"none" placeholder:"FILE" help:"A voucher's key, where it is at hand. May be repeated."`
	chainFlags
	suiteFlag
	writeFlags
}

// Help shows how the command is used.
func (joinUpdateCmd) Help() string {
	return `Where the quorum or the recovery keys change, a recovery key must sign too (--key), if there is one; and every new one.

Example:

	undersigned join update --ledger https://ledger.example/ --policy policy.txt --domain apnic.net --name "Asia Pacific Network Information Centre (APNIC)" --key signing.pem
`
}

// Run updates a membership.
func (c *joinUpdateCmd) Run(ctx context.Context, a *app) error {
	c.chain = &c.chainFlags
	if err := c.valid(); err != nil {
		return err
	}
	if c.NoRecovery && len(c.RecoveryKey) > 0 {
		return usagef("--no-recovery and --recovery-key cannot be used together")
	}
	return c.write(ctx, a, func(at *place, files []*keyFile) (*entry.Entry, error) {
		old, ok := at.state.Member(c.Domain)
		if !ok || old.Left {
			return nil, fmt.Errorf("%s is not a member of %s; it can join", c.Domain, at.origin)
		}
		m := &entry.Membership{Action: entry.Update, Member: c.Domain, Name: old.Name, LegalName: old.LegalName, Quorum: old.Quorum}
		if c.Name != "" {
			m.Name = c.Name
		}
		if c.LegalName != nil {
			m.LegalName = *c.LegalName
		}
		if c.Quorum != 0 {
			m.Quorum = c.Quorum
		}
		refs, err := at.refs(c.Domain, files)
		if err != nil {
			return nil, err
		}
		recovery, err := a.keyFiles(c.RecoveryKey, &c.passwordFlags)
		if err != nil {
			return nil, err
		}
		for _, f := range recovery {
			k := f.as(at.knows)
			if !at.knows(k.Ref()) {
				if k, err = f.in(f.preferred(c.Suite)); err != nil {
					return nil, err
				}
				f.public = []*keys.PublicKey{k}
			}
			m.RecoveryKeys = append(m.RecoveryKeys, publicLine(k))
			if known := slices.ContainsFunc(old.RecoveryKeys, isCurrent(k.Ref())); !known && !slices.Contains(refs, k.Ref()) {
				refs = append(refs, k.Ref())
			}
		}
		if len(c.RecoveryKey) == 0 && !c.NoRecovery {
			for _, k := range old.RecoveryKeys {
				if k.Current {
					m.RecoveryKeys = append(m.RecoveryKeys, publicLine(k.Public))
				}
			}
		}
		vouchers, err := a.keyFiles(c.VoucherKey, &c.passwordFlags)
		if err != nil {
			return nil, err
		}
		if m.Vouchers, err = at.voucherLines(c.Voucher, false, vouchers); err != nil {
			return nil, err
		}
		e, err := at.draft(m, c.Domain, refs)
		c.extra = append(recovery, vouchers...)
		return e, err
	})
}

type joinLeaveCmd struct {
	Domain string `setting:"" required:"" placeholder:"DOMAIN" help:"The organization's domain."`
	writeFlags
}

// Help shows how the command is used.
func (joinLeaveCmd) Help() string {
	return `What it endorsed stays endorsed until it withdraws, which it still can. A recovery key or a suspended key will do.

Example:

	undersigned join leave --ledger https://ledger.example/ --policy policy.txt --domain apnic.net --key signing.pem
`
}

// Run ends a membership.
func (c *joinLeaveCmd) Run(ctx context.Context, a *app) error {
	return c.write(ctx, a, func(at *place, files []*keyFile) (*entry.Entry, error) {
		refs, err := at.refs(c.Domain, files)
		if err != nil {
			return nil, err
		}
		return at.draft(&entry.Membership{Action: entry.Leave, Member: c.Domain}, c.Domain, refs)
	})
}

// keyEventFlags are those of the entries about one key.
type keyEventFlags struct {
	Domain string `setting:"" required:"" placeholder:"DOMAIN" help:"The organization whose key it is."`
	writeFlags
}

// newKey reads the key that an entry brings; it signs too.
func (c *keyEventFlags) newKey(a *app, path string, suite keys.Suite) (*keyFile, *entry.PublicKey, error) {
	f, err := a.readKey(path, &c.passwordFlags)
	if err != nil {
		return nil, nil, err
	}
	k, err := f.in(f.preferred(suite))
	if err != nil {
		return nil, nil, err
	}
	f.public = []*keys.PublicKey{k}
	line := publicLine(k)
	return f, &line, nil
}

// event puts an entry about a key together. The new key, if there is one, signs beside those of --key.
func (c *keyEventFlags) event(ctx context.Context, a *app, e *entry.KeyEvent, old string, brought *keyFile, signer string) error {
	return c.write(ctx, a, func(at *place, files []*keyFile) (*entry.Entry, error) {
		e.Member = c.Domain
		if old != "" {
			ref, err := a.keyOf(at, c.Domain, old, &c.passwordFlags)
			if err != nil {
				return nil, err
			}
			e.Revokes = &ref
		}
		if signer == "" {
			signer = c.Domain
		}
		refs, err := at.signers(signer, files)
		if err != nil {
			return nil, err
		}
		if brought != nil {
			refs = append(refs, brought.public[0].Ref())
			c.extra = append(c.extra, brought)
		}
		return at.draft(e, signer, refs)
	})
}

// signers is refs for a signer that may be the operator.
func (at *place) signers(domain string, files []*keyFile) ([]keys.Ref, error) {
	if c := at.state.Charter(); len(files) == 0 && c.Operator == domain {
		return []keys.Ref{c.Keys[0].Ref()}, nil
	}
	return at.refs(domain, files)
}

// keyOf finds one of a member's keys by its fingerprint, the beginning of it, or a key file.
func (a *app) keyOf(at *place, domain, what string, passwords *passwordFlags) (keys.Ref, error) {
	m, ok := at.state.Member(domain)
	if !ok {
		return keys.Ref{}, fmt.Errorf("%s has never been a member of %s", domain, at.origin)
	}
	all := slices.Concat(m.Keys, m.RecoveryKeys)
	if strings.HasPrefix(what, "sha256:") {
		return keyBeginning(all, domain, what)
	}
	f, err := a.readKey(what, passwords)
	if err != nil {
		return keys.Ref{}, err
	}
	ref := f.as(at.knows).Ref()
	for _, k := range all {
		if k.Ref == ref {
			return ref, nil
		}
	}
	return keys.Ref{}, fmt.Errorf("the key in %s is none of %s", what, domain)
}

// keyBeginning finds the one of a member's keys whose fingerprint begins so.
func keyBeginning(all []roll.Key, domain, beginning string) (keys.Ref, error) {
	var found []keys.Ref
	for _, k := range all {
		if strings.HasPrefix(k.Ref.Fingerprint.String(), beginning) {
			found = append(found, k.Ref)
		}
	}
	switch len(found) {
	case 0:
		return keys.Ref{}, fmt.Errorf("no key of %s has a fingerprint that begins with %s; undersigned show lists them", domain, printable(beginning))
	case 1:
		return found[0], nil
	}
	return keys.Ref{}, fmt.Errorf("%d keys of %s have a fingerprint that begins with %s; give more of it, undersigned show lists them", len(found), domain, printable(beginning))
}

type keyAddCmd struct {
	NewKey string `required:"" placeholder:"FILE" help:"The new key; it signs too."`
	chainFlags
	suiteFlag
	keyEventFlags
}

// Help shows how the command is used.
func (keyAddCmd) Help() string {
	return `Example:

	undersigned key add --ledger https://ledger.example/ --policy policy.txt --domain apnic.net --new-key second.pem --key signing.pem
`
}

// Run adds a key.
func (c *keyAddCmd) Run(ctx context.Context, a *app) error {
	c.chain = &c.chainFlags
	if err := c.valid(); err != nil {
		return err
	}
	f, line, err := c.newKey(a, c.NewKey, c.Suite)
	if err != nil {
		return err
	}
	return c.event(ctx, a, &entry.KeyEvent{Action: entry.Add, PublicKey: line}, "", f, "")
}

type keyRotateCmd struct {
	Old              string  `required:"" placeholder:"KEY" help:"The key that goes: its file, or the beginning of its fingerprint (sha256:…)."`
	NewKey           string  `required:"" placeholder:"FILE" help:"The key that comes; it signs too."`
	CompromisedAfter *uint64 `placeholder:"INDEX" help:"What the old key signed from this entry on is disputed."`
	chainFlags
	suiteFlag
	keyEventFlags
}

// Help shows how the command is used.
func (keyRotateCmd) Help() string {
	return `Example:

	undersigned key rotate --ledger https://ledger.example/ --policy policy.txt --domain apnic.net --old signing.pem --new-key new.pem --key signing.pem
`
}

// Run replaces a key.
func (c *keyRotateCmd) Run(ctx context.Context, a *app) error {
	c.chain = &c.chainFlags
	if err := c.valid(); err != nil {
		return err
	}
	f, line, err := c.newKey(a, c.NewKey, c.Suite)
	if err != nil {
		return err
	}
	return c.event(ctx, a, &entry.KeyEvent{Action: entry.Rotate, PublicKey: line, CompromisedAfter: c.CompromisedAfter}, c.Old, f, "")
}

type keyRevokeCmd struct {
	Old              string  `required:"" placeholder:"KEY" help:"The key: its file, or the beginning of its fingerprint (sha256:…)."`
	CompromisedAfter *uint64 `placeholder:"INDEX" help:"What it signed from this entry on is disputed."`
	keyEventFlags
}

// Help shows how the command is used.
func (keyRevokeCmd) Help() string {
	return `The key can revoke itself (--key the same file); a quorum or a recovery key can too, and only they can say since when it was compromised.

Example:

	undersigned key revoke --ledger https://ledger.example/ --policy policy.txt --domain apnic.net --old sha256:3b5b --key recovery.pem --compromised-after 40
`
}

// Run revokes a key.
func (c *keyRevokeCmd) Run(ctx context.Context, a *app) error {
	return c.event(ctx, a, &entry.KeyEvent{Action: entry.Revoke, CompromisedAfter: c.CompromisedAfter}, c.Old, nil, "")
}

type keySuspendCmd struct {
	Old    string `required:"" placeholder:"KEY" help:"The key: its file, or the beginning of its fingerprint (sha256:…)."`
	Signer string `placeholder:"DOMAIN" help:"Who suspends it: the operator's domain, or without it the organization itself."`
	keyEventFlags
}

// Help shows how the command is used.
func (keySuspendCmd) Help() string {
	return `The operator can do no more than this to a member's key, and it stops neither withdrawing nor leaving.

Example:

	undersigned key suspend --ledger https://ledger.example/ --policy policy.txt --domain apnic.net --old sha256:3b5b --signer ledger.example --key operator.pem
`
}

// Run suspends a key.
func (c *keySuspendCmd) Run(ctx context.Context, a *app) error {
	return c.event(ctx, a, &entry.KeyEvent{Action: entry.Suspend}, c.Old, nil, c.Signer)
}

// isCurrent tells whether a key is this one and in use.
func isCurrent(ref keys.Ref) func(k roll.Key) bool {
	return func(k roll.Key) bool { return k.Ref == ref && k.Current }
}
