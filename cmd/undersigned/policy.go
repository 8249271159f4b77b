package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/check"
)

type policyCmd struct {
	Check policyCheckCmd `cmd:"" help:"Tell what a policy file asks for, and where it is weak."`
}

type policyCheckCmd struct {
	File   string `arg:"" help:"The policy file, or - for standard input."`
	Strict bool   `help:"Exit with 3 if there is any warning."`
	jsonFlag
}

// Help shows how the command is used.
func (policyCheckCmd) Help() string {
	return `A policy says whose signatures make a checkpoint of the record count. This reads one as a mistrustful reader would: can two sets of witnesses with nobody in common each be the quorum? Does one witness decide alone, or stop everything by falling silent? Is somebody counted twice?

A warning is not an error: the exit code stays 0 unless --strict is given.

Example:

	undersigned policy check policy.txt
`
}

// A policyRemark is one thing to know about a policy. Type is stable.
type policyRemark struct {
	Type     string `json:"type"`
	Warning  bool   `json:"warning"`
	Sentence string `json:"sentence"`
}

// Run reviews a policy file.
func (c *policyCheckCmd) Run(a *app) error {
	p, err := a.policy(c.File)
	if err != nil {
		return err
	}
	r := p.ReviewQuorum()
	remarks := reviewPolicy(p, r)
	warnings := 0
	for _, m := range remarks {
		if m.Warning {
			warnings++
		}
	}
	code := codeOK
	if c.Strict && warnings > 0 {
		code = codeUnchecked
	}
	sentence := policySentence(p, r, warnings)
	if c.JSON {
		err := a.json(struct {
			Schema   string         `json:"schema"`
			Sentence string         `json:"sentence"`
			Origins  []string       `json:"origins"`
			Voters   []string       `json:"voters"`
			Smallest int            `json:"smallest_quorum"`
			Remarks  []policyRemark `json:"remarks"`
		}{"undersigned/policy-check/v1", sentence, orNone(p.Origins()), orNone(r.Voters), r.Smallest, remarks})
		if err != nil {
			return err
		}
		return answered(code)
	}
	a.printf("%s\n", sentence)
	for _, m := range remarks {
		mark := "note"
		if m.Warning {
			mark = "warning"
		}
		a.printf("%s: %s\n", mark, m.Sentence)
	}
	return answered(code)
}

func orNone(list []string) []string { return append([]string{}, list...) }

func policySentence(p *verify.Policy, r verify.QuorumReview, warnings int) string {
	asks := check.Asks(p, r)
	if warnings == 0 {
		return fmt.Sprintf("The policy %s. Nothing about it needs a warning.", asks)
	}
	return fmt.Sprintf("The policy %s. There is reason for %s.", asks, plural(warnings, "warning"))
}

// reviewPolicy returns what is to be known about a policy, warnings first.
func reviewPolicy(p *verify.Policy, r verify.QuorumReview) []policyRemark {
	remarks := []policyRemark{}
	warn := func(typ, format string, args ...any) {
		remarks = append(remarks, policyRemark{typ, true, fmt.Sprintf(format, args...)})
	}
	note := func(typ, format string, args ...any) {
		remarks = append(remarks, policyRemark{typ, false, fmt.Sprintf(format, args...)})
	}
	logs, witnesses := p.Logs(), p.Witnesses()

	if len(logs) == 0 {
		warn("no-log", "it has no log line, so that no checkpoint can be accepted under it")
	}
	for _, w := range witnesses {
		for _, l := range logs {
			if w.VKey.SameKey(l.VKey) {
				warn("log-is-witness", "the witness %s has the key of the log %s: whoever runs that log witnesses itself", w.Name, l.VKey.Name)
			}
			if w.VKey.Name == l.VKey.Name {
				warn("log-is-witness", "the witness %s bears the name of the log, %s: is it somebody else?", w.Name, l.VKey.Name)
			}
		}
	}
	if p.NoQuorum() {
		warn("no-quorum", "quorum none: the log's own word is all; it can show every reader another record, and nobody would notice")
	} else {
		if r.Split {
			warn("split", "two sets of witnesses with nobody in common can each be the quorum: a log can show two histories, each properly cosigned; ask for more than half")
		}
		if r.Unknown {
			warn("unknown", "whether two sets of witnesses with nobody in common can each be the quorum was not computed: more than %d witnesses, some with keys in several groups", verify.MaxVoters)
		}
		for _, v := range r.Alone {
			warn("alone", "the witness %s suffices alone: whoever has its key, and the log's, can show any record", v)
		}
		if len(r.Needed) == len(r.Voters) && len(r.Voters) > 1 {
			warn("needed", "every witness is needed: when any one of them falls silent, nothing can be published any more")
		} else {
			for _, v := range r.Needed {
				warn("needed", "nothing can be published any more when the witness %s falls silent", v)
			}
		}
		for _, v := range r.Apart {
			warn("apart", "the keys of %s are not one vote: put them into a group of their own, group NAME any …", v)
		}
		for _, s := range sameHands(witnesses, r.Idle) {
			warn("same-hands", "%s", s)
		}
	}
	replaying, some := p.ReviewReplaying()
	if some && replaying.Smallest == 1 && len(replaying.Voters) > 1 {
		warn("replaying-alone", "in the group %s one of %s suffices: whoever has its key, and the log's, can have readers believe that every entry was checked; ask for more than half", verify.ReplayingGroup, strings.Join(replaying.Voters, ", "))
	}
	if some {
		note("replaying", "that every entry was checked, readers believe when %d of %s say so: %s", replaying.Smallest, plural(len(replaying.Voters), "witness"), strings.Join(replaying.Voters, ", "))
	} else if len(witnesses) > 0 {
		note("no-replaying", "there is no group %s: readers must audit the record to know that every entry was checked", verify.ReplayingGroup)
	}
	for _, name := range r.Idle {
		note("idle", "the quorum never counts the witness %s", name)
	}
	for _, w := range witnesses {
		if w.URL == "" && !slices.Contains(r.Idle, w.Name) {
			note("no-url", "the witness %s has no address: readers need none, but a log cannot ask it", w.Name)
		}
	}
	types := make(map[string]byte)
	for _, l := range logs {
		if t, ok := types[l.VKey.Name]; ok && t != l.VKey.Type {
			note("either-log-key", "the log %s has keys of two types, and a signature of either suffices: a reader who fears quantum computers must rest on witnesses with ML-DSA-44 keys, not on the log's second signature", l.VKey.Name)
			break
		}
		types[l.VKey.Name] = l.VKey.Type
	}
	if !p.NoQuorum() && !slices.ContainsFunc(witnesses, func(w verify.PolicyWitness) bool { return w.VKey.Type == keys.TypeCosignatureMLDSA44 }) {
		note("no-ml-dsa", "no witness has an ML-DSA-44 key")
	}
	return remarks
}

// sameHands returns sentences about witnesses that seem to be run by the same people, by the domains in their names
// and addresses. It can only guess: people choose these.
func sameHands(witnesses []verify.PolicyWitness, idle []string) []string {
	var sentences, names []string
	seen := make(map[string]string) // the hands of a domain -> the first witness
	for _, w := range witnesses {
		name := w.VKey.Name
		if slices.Contains(idle, w.Name) || slices.Contains(names, name) {
			continue // not counted, or another key of the same witness
		}
		names = append(names, name)
		domain, _, _ := strings.Cut(name, "/")
		hosts := []string{hands(domain)}
		if u, err := url.Parse(w.URL); err == nil && u.Hostname() != "" {
			if h := hands(u.Hostname()); h != hosts[0] {
				hosts = append(hosts, h)
			}
		}
		for _, h := range hosts {
			if other, ok := seen[h]; ok && other != name {
				sentences = append(sentences, fmt.Sprintf("the witnesses %s and %s both belong to %s by their names or addresses: one operator, counted twice?", other, name, h))
				break
			}
			seen[h] = name
		}
	}
	return sentences
}

// hands returns the end of a domain by which its owner is guessed: the last two labels, or three below such as co.uk; an
// address of a machine as it is.
func hands(domain string) string {
	domain = strings.ToLower(domain)
	labels := strings.Split(domain, ".")
	n := 2
	if len(labels) > 2 && slices.Contains([]string{"ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"}, labels[len(labels)-2]) {
		n = 3
	}
	if len(labels) <= n || strings.Trim(domain, "0123456789.") == "" {
		return domain
	}
	return strings.Join(labels[len(labels)-n:], ".")
}
