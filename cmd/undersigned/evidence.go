package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
)

// evidenceFlag is for commands that may come upon a contradiction.
type evidenceFlag struct {
	Evidence string `default:"." placeholder:"DIR" help:"Where to keep files that prove a contradiction (${default}: here)."`
}

// keep writes contradiction files and says where they are.
func (a *app) keep(dir string, files []*verify.Contradiction) error {
	for _, c := range files {
		if _, err := a.keepOne(dir, c); err != nil {
			return err
		}
	}
	return nil
}

// keepOrTell is keep for who has an answer to give, which matters more than whether its proof can be kept.
func (a *app) keepOrTell(dir string, files []*verify.Contradiction) {
	if err := a.keep(dir, files); err != nil {
		a.sayf("undersigned: %v\n", err)
	}
}

// keepOne writes a contradiction file, says where it is, and returns that.
func (a *app) keepOne(dir string, c *verify.Contradiction) (path string, err error) {
	b := c.Bytes()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot keep the proof of a contradiction: %w", err)
	}
	name := filepath.Join(dir, evidenceName(c, b))
	path = name + ".txt"
	// What has its name and is something else, because it was changed or damaged, is nobody's to replace.
	for n := 2; ; n++ {
		there, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err == nil && bytes.Equal(there, b) {
			break
		}
		if n > maxSameName {
			return "", fmt.Errorf("cannot keep the proof of a contradiction: %s, and what is named like it, is something else", path)
		}
		path = fmt.Sprintf("%s-%d.txt", name, n)
	}
	if err := writeFile(path, b); err != nil {
		return "", fmt.Errorf("cannot keep the proof of a contradiction: %w", err)
	}
	a.sayf("What proves this to anybody is in %s; undersigned verify %s explains it.\n", path, path)
	return path, nil
}

// maxSameName is how many files may stand where one contradiction file belongs.
const maxSameName = 64

// evidenceName names a contradiction file by the ledger that it is about and by its bytes, so that the same one is kept once.
// Whoever made it may have chosen some of its bytes: the sum is too long for two files to be found that share it.
func evidenceName(c *verify.Contradiction, b []byte) string {
	origin := ""
	if v, err := c.Check(); err == nil {
		origin = v.Origin
	}
	ledger, file := sha256.Sum256([]byte(origin)), sha256.Sum256(b)
	return fmt.Sprintf("contradiction-%x-%x", ledger[:4], file[:16])
}

// contradiction explains a contradiction file.
func (c *verifyCmd) contradiction(a *app, b []byte) error {
	if c.Statement != "" || c.Ledger != "" || c.Roll != "" {
		return usagef("a contradiction file is about no text, and holds all that it needs: leave --statement, --ledger and --roll out")
	}
	file, err := verify.ParseContradiction(b)
	if err != nil {
		return fmt.Errorf("cannot use %s: %w", nameOf(c.Receipt), err)
	}
	var p *verify.Policy
	if c.Policy != "" {
		if p, err = a.policy(c.Policy); err != nil {
			return err
		}
	}
	proven, err := file.CheckUnder(p)
	if err != nil {
		return fmt.Errorf("%s: %w", nameOf(c.Receipt), err)
	}
	trusted, err := c.trusted(a, proven.Keys)
	if err != nil {
		return err
	}
	if trusted != nil && len(trusted) == 0 {
		return failf(verify.CodeUntrusted, "%s convicts only keys that the policy does not name, whatever they call themselves: it says nothing about the log and the witnesses of the policy", nameOf(c.Receipt))
	}
	notice := verify.DemoNotice(proven.Origin)
	if c.JSON {
		names := []string{}
		for _, k := range proven.Keys {
			names = append(names, k.String())
		}
		return errors.Join(a.json(struct {
			Schema   string      `json:"schema"`
			Sentence string      `json:"sentence"`
			Notice   string      `json:"notice,omitempty"`
			Case     verify.Case `json:"case"`
			Origin   string      `json:"origin"`
			Keys     []string    `json:"keys"`
			How      []string    `json:"how"`
		}{"undersigned/contradiction/v1", proven.Sentence, notice, proven.Case, proven.Origin, names, proven.How}), answered(verify.CodeContradiction))
	}
	a.printf("%s\n", a.paint(bold, proven.Sentence))
	a.printNotice(notice)
	a.printList("How we know", proven.How)
	told := []string{"Which of two records is the true one: the same key signed both, so nothing signed with it alone can be relied on any more."}
	if len(file.Notes) == 1 || proven.Case == verify.CaseTime {
		told = []string{"Why the log did so, and what else in its record is not as it should be: a replay of the whole record tells that."}
	}
	if trusted == nil {
		told = append(told, "Whose keys these are: a file can call its keys anything. Compare them with a policy, or verify with --policy.")
	}
	a.printList("What this does not tell you", told)
	return answered(verify.CodeContradiction)
}

// trusted returns which of the keys the policy names; nil without a policy.
func (c *verifyCmd) trusted(a *app, convicted []keys.VKey) ([]keys.VKey, error) {
	if c.Policy == "" {
		return nil, nil
	}
	p, err := a.policy(c.Policy)
	if err != nil {
		return nil, err
	}
	named := []keys.VKey{}
	for _, k := range convicted {
		if slices.ContainsFunc(p.Logs(), func(l verify.PolicyLog) bool { return l.VKey.SameKey(k) }) ||
			slices.ContainsFunc(p.Witnesses(), func(w verify.PolicyWitness) bool { return w.VKey.SameKey(k) }) {
			named = append(named, k)
		}
	}
	return named, nil
}
