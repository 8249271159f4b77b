package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/ledger/collector"
	"github.com/tccm/undersigned/verify"
)

const (
	maxAnchorFile = 64 << 10 // bytes
	expiresSoon   = 3 * 24 * time.Hour
)

// dnsCmd is about what a domain itself says of its keys.
type dnsCmd struct {
	Record dnsRecordCmd `cmd:"" help:"Print what to publish in the DNS, so that your domain names your keys."`
	Check  dnsCheckCmd  `cmd:"" help:"Ask the DNS which keys a domain publishes, and say what is missing or wrong."`
	Show   dnsShowCmd   `cmd:"" help:"Tell what a chain that was kept proves, without a network."`
}

// originFlags say which ledger it is about.
type originFlags struct {
	Origin string `placeholder:"ORIGIN" help:"The ledger's origin, such as ledger.example/tccm. Without it: that of the policy."`
	Policy string `setting:"" placeholder:"FILE" help:"The policy file that names the ledger."`
}

// origin returns the origin that is meant; "" if none is.
func (f *originFlags) origin(a *app) (string, error) {
	if f.Origin != "" {
		if err := keys.CheckOrigin(f.Origin); err != nil {
			return "", usagef("--origin: %w", plain(err))
		}
		return f.Origin, nil
	}
	if f.Policy == "" {
		return "", nil
	}
	p, err := a.policy(f.Policy)
	if err != nil {
		return "", err
	}
	origins := p.Origins()
	if len(origins) != 1 {
		return "", usagef("the policy names %s; say which one is meant with --origin", plural(len(origins), "ledger"))
	}
	return origins[0], nil
}

type dnsRecordCmd struct {
	Domain string   `setting:"" required:"" placeholder:"DOMAIN" help:"The organization's domain."`
	Key    []string `setting:"" required:"" sep:"none" placeholder:"FILE" help:"A key, private or public, to publish. May be repeated."`
	originFlags
	passwordFlags
	jsonFlag
}

// Help shows how the command is used.
func (dnsRecordCmd) Help() string {
	return `One record for each key, as a line for the zone file of the domain itself. The zone must be signed (DNSSEC), and the zone above must have its DS record. Add the lines to those that are there: another ledger's, or another key's.

Example:

	undersigned dns record --domain our.example --key our.pem --policy policy.txt
	undersigned dns record --domain our.example --key signing.pem --key recovery.pem --origin ledger.example/tccm
`
}

// Run prints the records.
func (c *dnsRecordCmd) Run(a *app) error {
	if err := dnssec.CheckDomain(c.Domain); err != nil {
		return usagef("--domain: %w", plainDNS(err))
	}
	origin, err := c.origin(a)
	if err != nil {
		return err
	}
	if origin == "" {
		return usagef("say which ledger the keys are for: --origin ORIGIN, or --policy FILE")
	}
	files, err := a.keyFiles(c.Key, &c.passwordFlags)
	if err != nil {
		return err
	}
	var lines []string
	records := []dnsRecordView{}
	for _, f := range files {
		r := dnssec.Record{Ledger: origin, Key: f.public[0].Fingerprint()}
		line := fmt.Sprintf("%s. 3600 IN TXT %s", dnssec.Owner(c.Domain), quoteTXT(r.String()))
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
			records = append(records, dnsRecordView{Ledger: r.Ledger, Fingerprint: r.Key.String(), Text: r.String(), Line: line})
		}
	}
	if c.JSON {
		return a.json(struct {
			Schema  string          `json:"schema"`
			Domain  string          `json:"domain"`
			Name    string          `json:"name"`
			Records []dnsRecordView `json:"records"`
		}{"undersigned/dns-record/v1", c.Domain, dnssec.Owner(c.Domain), records})
	}
	for _, l := range lines {
		a.printf("%s\n", l)
	}
	a.sayf("Add %s to the zone %s, sign it, and look with: undersigned dns check %[2]s\n", plural(len(lines), "line"), c.Domain)
	return nil
}

// quoteTXT writes a text, which has no quotes and no backslashes, as zone files do: in strings of at most 255 bytes.
func quoteTXT(text string) string {
	var parts []string
	for len(text) > 255 {
		parts, text = append(parts, `"`+text[:255]+`"`), text[255:]
	}
	return strings.Join(append(parts, `"`+text+`"`), " ")
}

// plainDNS is an error of package dnssec or keys as part of a sentence.
func plainDNS(err error) error {
	if s, ok := strings.CutPrefix(err.Error(), "dnssec: "); ok {
		return errors.New(s)
	}
	return plain(err)
}

// anchorFlags say what the root of the DNS is.
type anchorFlags struct {
	Anchors string `name:"trust-anchors" placeholder:"FILE" help:"Trust the keys that the DS records in a file name, instead of those of the DNS root. For a network with a root of its own: nobody else will see what you see."`
}

func (f *anchorFlags) anchors(a *app) ([]dnssec.Anchor, error) {
	if f.Anchors == "" {
		return dnssec.RootAnchors(), nil
	}
	b, err := a.read(f.Anchors, maxAnchorFile)
	if err != nil {
		return nil, unreadable(err)
	}
	list, err := parseAnchors(string(b))
	if err != nil {
		return nil, fmt.Errorf("cannot use the trust anchors in %s: %w", nameOf(f.Anchors), err)
	}
	return list, nil
}

// parseAnchors reads lines ". [TTL] IN DS <tag> <algorithm> <digest type> <hex>", empty ones and comments after ";".
func parseAnchors(text string) (list []dnssec.Anchor, err error) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, ";")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if i := slices.Index(f, "DS"); f[0] == "." && i > 0 && i <= 3 && len(f) >= i+5 {
			tag, err1 := strconv.ParseUint(f[i+1], 10, 16)
			algorithm, err2 := strconv.ParseUint(f[i+2], 10, 8)
			typ, err3 := strconv.ParseUint(f[i+3], 10, 8)
			digest, err4 := hex.DecodeString(strings.Join(f[i+4:], ""))
			if errors.Join(err1, err2, err3, err4) == nil {
				list = append(list, dnssec.Anchor{KeyTag: uint16(tag), Algorithm: uint8(algorithm), DigestType: uint8(typ), Digest: string(digest)})
				continue
			}
		}
		return nil, fmt.Errorf(`line %d is not a DS record of the root, such as ". IN DS 20326 8 2 e06d44b8…"`, n)
	}
	if list == nil {
		return nil, errors.New("there is no DS record in it")
	}
	return list, nil
}

// keysFlag names keys to look for.
type keysFlag struct {
	Key []string `sep:"none" placeholder:"KEY" help:"A key that must be among those published: a file with it, or its fingerprint sha256:…. May be repeated."`
	passwordFlags
}

func (f *keysFlag) fingerprints(a *app) (list []keys.Fingerprint, err error) {
	for _, k := range f.Key {
		if strings.HasPrefix(k, "sha256:") {
			ref, err := keys.ParseRef(string(keys.Ed25519) + " " + k)
			if err != nil {
				return nil, usagef("--key %q is not a fingerprint: sha256: and 64 lower-case hexadecimal digits", k)
			}
			list = append(list, ref.Fingerprint)
			continue
		}
		file, err := a.readKey(k, &f.passwordFlags)
		if err != nil {
			return nil, err
		}
		list = append(list, file.public[0].Fingerprint())
	}
	return list, nil
}

type dnsCheckCmd struct {
	Domain   string `arg:"" help:"The organization's domain."`
	Resolver string `setting:"" placeholder:"HOST:PORT" help:"The resolver to ask. Without it: the first one in /etc/resolv.conf."`
	Output   string `short:"o" placeholder:"FILE" help:"Where to keep the chain of signatures, which proves the answer to others."`
	keysFlag
	originFlags
	anchorFlags
	jsonFlag
}

// Help shows how the command is used.
func (dnsCheckCmd) Help() string {
	return `The resolver is not trusted: every signature is checked here, from the root of the DNS down. Exit codes: 0 the keys are published, 1 something is missing or has to be repaired, 3 could not check, 13 the signatures do not hold, or a key that was asked about is not published.

Example:

	undersigned dns check our.example
	undersigned dns check our.example --policy policy.txt --key our.pem -o our.example.chain
`
}

// A dnsFinding is one thing to know about a domain's keys. Type is stable.
type dnsFinding struct {
	Type     string `json:"type"`
	Level    string `json:"level"` // problem or warning
	Sentence string `json:"sentence"`

	code int // of a problem
}

type dnsRecordView struct {
	Ledger      string `json:"ledger"`
	Fingerprint string `json:"fingerprint"`
	Text        string `json:"text,omitempty"` // to publish
	Line        string `json:"line,omitempty"` // of a zone file
}

// dnsView is what a chain says of a domain, in JSON.
type dnsView struct {
	Schema     string          `json:"schema"`
	Sentence   string          `json:"sentence"`
	Domain     string          `json:"domain"`
	Unicode    string          `json:"domain_unicode"`
	Name       string          `json:"name"`    // of the records
	Outcome    string          `json:"outcome"` // published, absent, insecure or unknown
	At         time.Time       `json:"at"`
	Zone       string          `json:"zone,omitempty"`
	Cut        string          `json:"cut,omitempty"`
	Records    []dnsRecordView `json:"records"`
	NotBefore  *time.Time      `json:"not_before,omitempty"`
	NotAfter   *time.Time      `json:"not_after,omitempty"`
	Zones      []string        `json:"zones"`
	Algorithms []int           `json:"algorithms"`
	AnchorTag  *uint16         `json:"anchor_key_tag,omitempty"`
	Findings   []dnsFinding    `json:"findings"`
	Bytes      int             `json:"chain_bytes,omitempty"`
	File       string          `json:"chain_file,omitempty"`
}

func newDNSView(domain string, at time.Time) *dnsView {
	return &dnsView{
		Schema: "undersigned/dns/v1", Domain: domain, Unicode: keys.DomainToUnicode(domain), Name: dnssec.Owner(domain), Outcome: "unknown", At: at.UTC(),
		Records: []dnsRecordView{}, Zones: []string{}, Algorithms: []int{}, Findings: []dnsFinding{},
	}
}

func (v *dnsView) add(level string, code int, typ, format string, args ...any) {
	v.Findings = append(v.Findings, dnsFinding{typ, level, fmt.Sprintf(format, args...), code})
}

func (v *dnsView) problem(code int, typ, format string, args ...any) {
	v.add("problem", code, typ, format, args...)
}

// Run asks the DNS.
func (c *dnsCheckCmd) Run(ctx context.Context, a *app) error {
	if c.Output == "-" {
		return usagef("a chain is not text; name a file for it")
	}
	if err := dnssec.CheckDomain(c.Domain); err != nil {
		return usagef("%w", plainDNS(err))
	}
	origin, err := c.origin(a)
	if err != nil {
		return err
	}
	wanted, err := c.fingerprints(a)
	if err != nil {
		return err
	}
	anchors, err := c.anchors(a)
	if err != nil {
		return err
	}
	ask, err := a.newCollector(c.Resolver)
	if err != nil {
		return err
	}
	ask.Anchors = anchors
	v := newDNSView(c.Domain, a.now())
	chain, r, err := ask.Collect(ctx, c.Domain)
	var bad *collector.Error
	switch {
	case errors.As(err, &bad):
		if bad.Result != nil {
			v.judge(bad.Result, origin, wanted)
		}
		v.refused(bad)
	case err != nil:
		return err
	default:
		v.judge(r, origin, wanted)
		v.Bytes = len(chain)
		if r.Outcome == dnssec.Insecure && r.Cut == c.Domain {
			if signed, err := ask.Signed(ctx, c.Domain); err == nil && signed {
				v.problem(codeError, "ds-missing", "the zone %s shows keys, but %s has no DS record that names one of them in a way that counts (SHA-256 or SHA-384, of an algorithm among 8, 10, 13, 14 and 15): hand it in through your registrar", r.Cut, zoneWord(r.Zone))
			}
		}
	}
	if c.Output != "" && chain != nil {
		if err := a.write(c.Output, chain); err != nil {
			return err
		}
		v.File = c.Output
	}
	return v.answer(a, c.JSON)
}

// refused adds what a collector ran into.
func (v *dnsView) refused(e *collector.Error) {
	code := codeError
	switch e.Kind {
	case collector.Unreachable, collector.Stripped, collector.NotValid:
		code = codeUnchecked
	case collector.Bogus:
		code = verify.CodeUntrusted
	}
	switch e.Kind {
	case collector.OtherZone:
		if e.Zone == v.Name {
			v.handedOn(code)
			return
		}
		by := "another zone"
		if e.Zone != "" {
			by = zoneWord(e.Zone)
		}
		v.problem(code, string(e.Kind), "the records at %s are signed by %s: only a domain that is a zone of its own can publish keys, so that nobody above can do it in its name", v.Name, by)
	case collector.Bogus:
		v.problem(code, string(e.Kind), "the signatures do not hold: %s", printable(plainDNS(e.Err).Error()))
	case collector.NotValid:
		v.problem(code, string(e.Kind), "%s: is the clock of this machine right, and is the zone signed anew in time?", printable(plainDNS(e.Err).Error()))
	case collector.Expiring:
		v.problem(code, string(e.Kind), "the signatures end on %s, in less than 24 hours, too soon for a record: sign the zone anew, or wait until caches have the new signatures", moment(e.Result.NotAfter))
	case collector.Alias:
		v.problem(code, string(e.Kind), "there is an alias (CNAME or DNAME) at %s: publish the records at the name itself; that a key is gone only another text there can prove", v.Name)
	case collector.Wildcard:
		v.problem(code, string(e.Kind), "the answer at %s comes from a wildcard record (*): publish the records at the name itself; that a key is gone only another text there can prove", v.Name)
	default:
		v.problem(code, string(e.Kind), "%s", printable(e.Error()))
	}
}

// judge adds what a chain proves, and what about it is not as the caller wants it.
func (v *dnsView) judge(r *dnssec.Result, origin string, wanted []keys.Fingerprint) {
	v.Outcome, v.Zone, v.Cut, v.Zones = r.Outcome.String(), r.Zone, r.Cut, r.Zones
	v.NotBefore, v.NotAfter, v.AnchorTag = &r.NotBefore, &r.NotAfter, &r.Anchor.KeyTag
	for _, n := range r.Algorithms {
		v.Algorithms = append(v.Algorithms, int(n))
	}
	here := 0
	for _, x := range r.Records {
		v.Records = append(v.Records, dnsRecordView{Ledger: x.Ledger, Fingerprint: x.Key.String()})
		if x.Ledger == origin {
			here++
		}
	}
	switch {
	case r.Outcome == dnssec.Insecure:
		v.problem(codeError, "not-signed", "%s delegates %s without keys, so that nothing below can be proven: the zone must be signed, and its DS record be in %[1]s", zoneWord(r.Zone), r.Cut)
		return
	case r.Outcome == dnssec.Absent && r.Zone == v.Domain:
		v.problem(codeError, "no-record", "there is no TXT record at %s in %s; undersigned dns record prints what to publish", v.Name, zoneWord(r.Zone))
		return
	case r.Outcome == dnssec.Absent && r.Zone == v.Name:
		v.handedOn(codeError)
		return
	case r.Outcome == dnssec.Absent:
		v.problem(codeError, "no-zone", "%s says that there is no TXT record at %s, and %s is not a zone of its own, or does not exist", zoneWord(r.Zone), v.Name, v.Domain)
		return
	case len(r.Records) == 0:
		v.problem(codeError, "no-record", "the TXT records at %s are none of ours; undersigned dns record prints what to publish", v.Name)
		return
	case origin != "" && here == 0:
		v.problem(codeError, "other-ledger", "none of the records is for %s: undersigned dns record prints what to publish", origin)
	}
	for _, k := range wanted {
		if !slices.ContainsFunc(r.Records, func(x dnssec.Record) bool { return x.Key == k && (origin == "" || x.Ledger == origin) }) {
			v.problem(verify.CodeUntrusted, "other-key", "the key %s is not among those published%s", k, forLedger(origin))
		}
	}
	if r.Other > 0 {
		v.add("warning", 0, "unreadable", "%s at %s: not in the form that undersigned dns record prints, and counted for nothing", plural(r.Other, "other TXT record"), v.Name)
	}
	if left := r.NotAfter.Sub(v.At); left < expiresSoon {
		v.add("warning", 0, "expires-soon", "the signatures end on %s, in %d hours: see that the zone is signed anew in time", moment(r.NotAfter), int(left.Hours()))
	}
}

// handedOn adds that the name of the records is a zone of its own, below the domain's.
func (v *dnsView) handedOn(code int) {
	v.problem(code, string(collector.OtherZone), "%s hands %s to a zone below it, and that counts for nothing: the records must be in %s itself", v.Domain, v.Name, zoneWord(v.Domain))
}

func forLedger(origin string) string {
	if origin == "" {
		return ""
	}
	return " for " + origin
}

// zoneWord is a zone in a sentence.
func zoneWord(zone string) string {
	if zone == "." {
		return "the root"
	}
	return "the zone " + zone
}

// answer prints it and returns what it means for the shell.
func (v *dnsView) answer(a *app, asJSON bool) error {
	code := codeOK
	for _, f := range v.Findings {
		if f.code == verify.CodeUntrusted || f.code == codeUnchecked && code != verify.CodeUntrusted || code == codeOK {
			code = f.code
		}
	}
	who := keys.DisplayDomain(v.Domain)
	switch {
	case code == codeUnchecked:
		v.Sentence = fmt.Sprintf("Could not check which keys %s publishes.", who)
	case v.Outcome == dnssec.Published.String() && len(v.Records) > 0:
		v.Sentence = fmt.Sprintf("%s publishes %s, signed by its own zone.", who, plural(len(v.Records), "key"))
		if code != codeOK {
			v.Sentence = strings.TrimSuffix(v.Sentence, ".") + ", but not as it should be."
		}
	default:
		v.Sentence = fmt.Sprintf("%s does not publish keys in a way that proves anything.", who)
	}
	if asJSON {
		if err := a.json(v); err != nil {
			return err
		}
		return answered(code)
	}
	a.printf("%s\n", v.Sentence)
	for _, r := range v.Records {
		a.printf("key %s for %s\n", r.Fingerprint, r.Ledger)
	}
	for _, f := range v.Findings {
		a.printf("%s: %s\n", f.Level, f.Sentence)
	}
	if v.NotAfter != nil {
		a.printf("Signed from the root down by %s; valid from %s to %s.\n", strings.Join(v.Zones, ", "), moment(*v.NotBefore), moment(*v.NotAfter))
	}
	if v.File != "" {
		a.printf("The chain is in %s (%d bytes).\n", v.File, v.Bytes)
	}
	return answered(code)
}

type dnsShowCmd struct {
	Domain string `arg:"" help:"The organization's domain."`
	File   string `arg:"" help:"The chain, as dns check -o keeps it, or - for standard input."`
	At     string `placeholder:"TIME" help:"The time to judge it at, such as 2026-11-23T12:00:00Z. Without it: now."`
	keysFlag
	originFlags
	anchorFlags
	jsonFlag
}

// Help shows how the command is used.
func (dnsShowCmd) Help() string {
	return `Signatures in the DNS last for weeks: a chain proves what a domain published while they were valid, to whoever knows that it existed then. Exit codes are those of dns check; 3 says that the chain is not valid at that time.

Example:

	undersigned dns show our.example our.example.chain --at 2026-11-23T12:00:00Z
`
}

// Run judges a chain.
func (c *dnsShowCmd) Run(a *app) error {
	if err := dnssec.CheckDomain(c.Domain); err != nil {
		return usagef("%w", plainDNS(err))
	}
	at := a.now()
	if c.At != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, c.At); err != nil {
			return usagef("--at %q is not a time such as 2026-11-23T12:00:00Z", c.At)
		}
	}
	origin, err := c.origin(a)
	if err != nil {
		return err
	}
	wanted, err := c.fingerprints(a)
	if err != nil {
		return err
	}
	anchors, err := c.anchors(a)
	if err != nil {
		return err
	}
	chain, err := a.read(c.File, dnssec.MaxChain)
	if err != nil {
		return unreadable(err)
	}
	v := newDNSView(c.Domain, at)
	v.Bytes = len(chain)
	r, err := dnssec.Verify(c.Domain, chain, anchors, at)
	var when *dnssec.TimeError
	switch {
	case errors.As(err, &when):
		v.problem(codeUnchecked, string(collector.NotValid), "%s", plainDNS(err))
	case err != nil:
		v.problem(verify.CodeUntrusted, string(collector.Bogus), "the chain proves nothing about %s: %s", c.Domain, plainDNS(err))
	default:
		v.judge(r, origin, wanted)
	}
	return v.answer(a, c.JSON)
}
