package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// A desk is where entries are written: it fills in what follows from the record as it is, so
// that what a person says is all that is left to say.
type desk struct {
	origin string
	state  *roll.State
	after  entry.After      // the published checkpoint that endorsements quote
	now    func() time.Time // for dates
}

// draft returns the entry that says body for signer, to be signed with keys, with nobody's signature yet.
func (d *desk) draft(body entry.Body, signer string, refs []keys.Ref) (*entry.Entry, error) {
	e := &entry.Entry{Ledger: d.origin, Body: body, Signer: signer, Keys: refs, Date: d.now().UTC().Format(entry.DateFormat)}
	if id, ok := d.state.Previous(e); ok {
		e.Previous = &id
	}
	if err := e.Check(); err != nil {
		return nil, fmt.Errorf("this cannot be said in an entry: %w", err)
	}
	return e, nil
}

// newCharter returns entry 0 of a new ledger, signed with the operator's keys.
func newCharter(origin, date string, charter *entry.Charter, operator ...*source.Key) (*entry.Entry, error) {
	for _, k := range operator {
		charter.PublicKeys = append(charter.PublicKeys, publicLine(k.Public()))
	}
	e := &entry.Entry{Ledger: origin, Genesis: true, Body: charter, Signer: charter.Operator, Date: date}
	for _, k := range charter.PublicKeys {
		e.Keys = append(e.Keys, k.Ref())
	}
	if err := e.Check(); err != nil {
		return nil, fmt.Errorf("this cannot be a charter: %w", err)
	}
	if err := sign(e, operator...); err != nil {
		return nil, err
	}
	return e, nil
}

// endorsement endorses a statement, or takes an endorsement back.
func (d *desk) endorsement(domain string, refs []keys.Ref, action entry.Action, statement entry.Hash, renditions ...entry.RenditionRef) (*entry.Entry, error) {
	return d.draft(&entry.Endorsement{Action: action, Statement: statement, Renditions: renditions, After: d.after}, domain, refs)
}

// registration makes an organization a member. Every key and recovery key signs, and so does every voucher.
func (d *desk) registration(m *entry.Membership) (*entry.Entry, error) {
	var refs []keys.Ref
	for _, k := range slices.Concat(m.PublicKeys, m.RecoveryKeys) {
		refs = append(refs, k.Ref())
	}
	return d.draft(m, m.Member, refs)
}

// vouchers names the keys with which a domain vouches: the operator with its first one, a member with as many as its quorum.
func (d *desk) vouchers(domain string) ([]entry.Named, error) {
	if c := d.state.Charter(); c != nil && c.Operator == domain {
		return []entry.Named{{Domain: domain, Ref: c.Keys[0].Ref()}}, nil
	}
	refs, err := d.quorum(domain)
	if err != nil {
		return nil, err
	}
	var named []entry.Named
	for _, ref := range refs {
		named = append(named, entry.Named{Domain: domain, Ref: ref})
	}
	return named, nil
}

// quorum returns as many of a member's usable keys as must sign for it.
func (d *desk) quorum(domain string) ([]keys.Ref, error) {
	m, ok := d.state.Member(domain)
	if !ok || m.Left {
		return nil, fmt.Errorf("%s is not a member of %s", domain, d.origin)
	}
	var refs []keys.Ref
	for _, k := range m.Keys {
		if k.Current && !k.Suspended && len(refs) < m.Quorum {
			refs = append(refs, k.Ref)
		}
	}
	if len(refs) < m.Quorum {
		return nil, fmt.Errorf("%s has fewer usable keys than the %d that must sign for it; its recovery key can add one", domain, m.Quorum)
	}
	return refs, nil
}

// publicLine is the value of a public-key or recovery-key line.
func publicLine(k *keys.PublicKey) entry.PublicKey {
	return entry.PublicKey{Suite: k.Suite(), SPKI: k.SPKI()}
}

// sign signs an entry with each key, in every place that names it.
func sign(e *entry.Entry, with ...*source.Key) error {
	text := e.Text()
	for _, k := range with {
		sig, err := k.Sign(e.Ledger, text)
		if err != nil {
			return fmt.Errorf("cannot sign with %s: %w", k.Public().Ref(), err)
		}
		if err := putSignature(e, k.Public(), sig); err != nil {
			return err
		}
	}
	return nil
}

// errNotNamed is what putSignature returns for a key that the entry does not name.
var errNotNamed = errors.New("the text does not name this key, so it cannot sign it")

// putSignature puts a signature over an entry's text into every place that names the key. It verifies it first.
func putSignature(e *entry.Entry, key *keys.PublicKey, sig []byte) error {
	if !key.Verify(e.Ledger, e.Text(), sig) {
		return fmt.Errorf("the signature is not one of this text by the key %s", key.Ref())
	}
	found := false
	for _, n := range e.Named() {
		if n.Ref != key.Ref() {
			continue
		}
		found = true
		if err := e.AddSignature(n.Ref, key.NoteKeyID(n.Domain), sig); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%s: %w", key.Ref(), errNotNamed)
	}
	return nil
}
