package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/ledger/collector"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// chainFlags have the record keep, with an entry, that the organization's domain publishes its keys.
type chainFlags struct {
	DNS      bool   `name:"dns" help:"Have the record keep proof that the domain itself publishes the key: ask the DNS for the signatures now, when the entry is sent."`
	Chain    string `placeholder:"FILE" help:"Instead of asking now: the chain that undersigned dns check -o has kept."`
	Resolver string `setting:"" placeholder:"HOST:PORT" help:"The resolver to ask. Without it: the first one in /etc/resolv.conf."`
}

// wanted reports whether there is to be a chain.
func (f *chainFlags) wanted() bool { return f != nil && (f.DNS || f.Chain != "") }

// valid is what can be told of the flags alone.
func (f *chainFlags) valid() error {
	if f.DNS && f.Chain != "" {
		return usagef("--dns asks for a chain, and --chain names one: give one of them")
	}
	if f.Chain == "-" {
		return usagef("a chain is not text; name a file with it")
	}
	return nil
}

// newCollector asks a resolver, or without one that of this machine.
func (a *app) newCollector(resolver string) (*collector.Collector, error) {
	ask := &collector.Collector{Resolver: resolver, Now: a.now}
	if resolver == "" {
		var err error
		if ask.Resolver, err = collector.SystemResolver("/etc/resolv.conf"); err != nil {
			return nil, failf(codeUnchecked, "%w; name one with --resolver HOST:PORT", err)
		}
	} else if host, port, err := net.SplitHostPort(resolver); err != nil || host == "" || port == "" {
		return nil, usagef("--resolver %q is not a host and a port, such as 192.0.2.53:53", resolver)
	}
	return ask, nil
}

// get returns the chain for an entry, nil if none is wanted. One that the ledger would refuse is told here, in words about the DNS.
func (f *chainFlags) get(ctx context.Context, a *app, e *entry.Entry) ([]byte, error) {
	if !f.wanted() {
		return nil, nil
	}
	if err := f.valid(); err != nil {
		return nil, err
	}
	if !e.TakesChain() {
		return nil, usagef("a chain goes with an entry that registers or updates a member, or adds or rotates a key, and not with %s", saying(e))
	}
	if err := dnssec.CheckDomain(e.Signer); err != nil {
		return nil, usagef("%w", plainDNS(err))
	}
	v := newDNSView(e.Signer, a.now())
	var chain []byte
	var r *dnssec.Result
	if f.Chain != "" {
		b, err := a.read(f.Chain, dnssec.MaxChain)
		if err != nil {
			return nil, unreadable(err)
		}
		if chain = b; len(chain) == 0 {
			return nil, fmt.Errorf("%s is empty, and no chain", nameOf(f.Chain))
		}
		if r, err = dnssec.Verify(e.Signer, chain, dnssec.RootAnchors(), a.now()); err != nil {
			return nil, failf(verify.CodeUntrusted, "the chain in %s proves nothing about %s now: %s", nameOf(f.Chain), e.Signer, plainDNS(err).Error())
		}
	} else {
		ask, err := a.newCollector(f.Resolver)
		if err != nil {
			return nil, err
		}
		var bad *collector.Error
		if chain, r, err = ask.Collect(ctx, e.Signer); errors.As(err, &bad) {
			v.refused(bad)
		} else if err != nil {
			return nil, err
		}
	}
	if r != nil && len(v.Findings) == 0 {
		v.judge(r, e.Ledger, nil)
	}
	for _, p := range v.Findings {
		if p.Level == "problem" {
			return nil, failf(p.code, "the DNS does not prove the keys of %s: %s", e.Signer, p.Sentence)
		}
	}
	published := func(ref keys.Ref) bool { return r.Publishes(e.Ledger, ref.Fingerprint) }
	if !slices.ContainsFunc(e.Keys, published) {
		return nil, failf(verify.CodeUntrusted, "%s publishes keys for %s, but none of those that sign this entry; undersigned dns record prints what to publish", e.Signer, e.Ledger)
	}
	for _, line := range fresh(e) {
		if !published(line.Ref()) {
			a.sayf("%s does not publish the key %s: the record will show that.\n", e.Signer, line.Ref())
		}
	}
	return chain, nil
}

// fresh returns the keys, but for recovery keys, that an entry brings.
func fresh(e *entry.Entry) []entry.PublicKey {
	switch b := e.Body.(type) {
	case *entry.Membership:
		return b.PublicKeys
	case *entry.KeyEvent:
		if b.PublicKey != nil {
			return []entry.PublicKey{*b.PublicKey}
		}
	}
	return nil
}
