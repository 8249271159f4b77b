package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// The record's identity says that it is nobody's: DESIGN's demonstrations begin so.
const (
	origin    = "demo.torture.example/record"
	operator  = "demo.torture.example"
	statement = "We stand by what we signed, whatever happens to the machine that keeps it.\n"
)

// A record is one ledger under torture, with those who write to it and what they were told.
type record struct {
	*trial
	dir      string // the ledger's directory
	keyFile  string // the operator's
	policy   *verify.Policy
	operator *member
	members  []*member // in the order of their coming
	book     book
	judge    *judge
	fleet    *fleet // its witnesses; nil: it has none
	query    string // with which load sends what need not wait
	space    *space // where its server runs; nil: here

	newcomers int
}

// A member is an organization with its key.
type member struct {
	domain string
	key    *source.Key
	// What it knows of the record: the judge's word after each start, its own between.
	known    bool // that it is registered
	previous *entry.Hash
	endorses bool
	doubtful bool // an entry of it was sent and not answered
}

func newMember(domain string) (*member, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := source.New(private, keys.Ed25519)
	return &member{domain: domain, key: key}, err
}

func (m *member) line() entry.PublicKey {
	p := m.key.Public()
	return entry.PublicKey{Suite: p.Suite(), SPKI: p.SPKI()}
}

// sign signs an entry with these members' keys, which must be those that it names, in their order.
func sign(e *entry.Entry, with ...*member) (*entry.Entry, error) {
	text := e.Text()
	for _, m := range with {
		sig, err := m.key.Sign(e.Ledger, text)
		if err != nil {
			return nil, err
		}
		e.Signatures = append(e.Signatures, entry.Signature{Name: m.domain, KeyID: m.key.Public().NoteKeyID(m.domain), Sig: sig})
	}
	return e, e.Check()
}

func today() string { return time.Now().UTC().Format(entry.DateFormat) }

// registration is the entry by which a member joins, for the first time.
func (r *record) registration(m *member) (*entry.Entry, error) {
	op := r.operator
	return sign(&entry.Entry{
		Ledger: origin, Signer: m.domain, Keys: []keys.Ref{m.line().Ref()}, Date: today(),
		Body: &entry.Membership{
			Action: entry.Register, Member: m.domain, Name: m.domain, PublicKeys: []entry.PublicKey{m.line()}, Quorum: 1,
			Vouchers: []entry.Named{{Domain: op.domain, Ref: op.line().Ref()}},
		},
	}, op, m)
}

// next is a member's next word on the statement: to endorse it, or to withdraw.
func (r *record) next(m *member, after entry.After) (*entry.Entry, error) {
	action := entry.Endorse
	if m.endorses {
		action = entry.Withdraw
	}
	return sign(&entry.Entry{
		Ledger: origin, Previous: m.previous, Signer: m.domain, Keys: []keys.Ref{m.line().Ref()}, Date: today(),
		Body: &entry.Endorsement{Action: action, Statement: entry.Sum([]byte(statement)), After: after},
	}, m)
}

// publication is the operator's word that there is a statement.
func (r *record) publication() (*entry.Entry, error) {
	return sign(&entry.Entry{
		Ledger: origin, Signer: operator, Keys: []keys.Ref{r.operator.line().Ref()}, Date: today(),
		Body: &entry.Statement{
			Action: entry.Publish, Statement: entry.Sum([]byte(statement)), Title: "A statement",
			Language: "en", MediaType: "text/plain", Size: int64(len(statement)),
		},
	}, r.operator)
}

// prepare makes what a ledger needs that is not in its directory: the operator's key, beside it.
func (t *trial) prepare(dir string) (*record, error) {
	r := &record{trial: t, dir: dir, keyFile: dir + ".operator.pem"}
	var err error
	if r.operator, err = newMember(operator); err != nil {
		return nil, err
	}
	return r, r.operator.key.Save(r.keyFile, nil)
}

// initArgs are those of the program to make the ledger.
func (r *record) initArgs() []string {
	// Where moments are chosen by chance, lists are sealed meanwhile; where they are counted, nothing else may happen.
	roll := "manual"
	if r.part == "kill" || r.part == "power" {
		roll = "on-change"
	}
	return []string{"init", "--dir", r.dir, "--origin", origin, "--title", "A record under torture",
		"--operator", operator, "--operator-key", r.keyFile, "--roll", roll, "--yes"}
}

// adopt takes up what init has made.
func (r *record) adopt() error {
	b, err := os.ReadFile(r.policyFile())
	if err != nil {
		return err
	}
	if r.policy, err = verify.ParsePolicy(b); err != nil {
		return err
	}
	r.judge = newJudge(r)
	return nil
}

func (r *record) policyFile() string { return filepath.Join(r.dir, "policy.txt") }

// newRecord makes a ledger with a statement and so many members, by the program's own init and over
// HTTP, and leaves it stopped.
func (t *trial) newRecord(ctx context.Context, name string, members int) (*record, error) {
	r, err := t.emptyRecord(ctx, name)
	if err != nil {
		return nil, err
	}
	c, err := r.start(ctx)
	if err != nil {
		return nil, err
	}
	defer c.kill()
	if err := r.populate(ctx, c, members); err != nil {
		return nil, err
	}
	c.interrupt()
	return r, c.wait()
}

// emptyRecord makes a ledger by the program's own init.
func (t *trial) emptyRecord(ctx context.Context, name string) (*record, error) {
	dir := filepath.Join(t.dir, name)
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s exists", dir)
	}
	r, err := t.prepare(dir)
	if err != nil {
		return nil, err
	}
	if code, out, err := command(ctx, t.bin, r.initArgs()...); err != nil || code != 0 {
		return nil, fmt.Errorf("init: exit code %d, %w: %s", code, err, out)
	}
	return r, r.adopt()
}

// populate publishes the statement and registers members.
func (r *record) populate(ctx context.Context, c *child, members int) error {
	e, err := r.publication()
	if err != nil {
		return err
	}
	batch := []*entry.Entry{e}
	for range members {
		m, err := r.join()
		if err != nil {
			return err
		}
		if e, err = r.registration(m); err != nil {
			return err
		}
		batch = append(batch, e)
	}
	if answered, err := r.submitMany(ctx, c, batch, ""); err != nil || answered < len(batch) {
		return fmt.Errorf("of %d entries %d were stored, %w", len(batch), answered, err)
	}
	return nil
}

// join makes a new member, which is not registered yet.
func (r *record) join() (*member, error) {
	m, err := newMember(fmt.Sprintf("m%d.example", len(r.members)))
	if err == nil {
		r.members = append(r.members, m)
	}
	return m, err
}

// newcomer is an entry that is right whatever the record holds: an organization joins of which nobody has heard.
func (r *record) newcomer() (*entry.Entry, error) {
	r.newcomers++
	m, err := newMember(fmt.Sprintf("newcomer%d.example", r.newcomers))
	if err != nil {
		return nil, err
	}
	return r.registration(m)
}

// start starts the program's server on the ledger.
func (r *record) start(ctx context.Context) (*child, error) {
	line := append([]string{r.bin}, serveArgs(r.dir)...)
	if r.space != nil {
		line = r.space.line(line)
	}
	return start(ctx, line...)
}

// fsck has the program check the ledger's directory, which must not be served.
func (r *record) fsck(ctx context.Context) error {
	code, out, err := command(ctx, r.bin, "fsck", r.dir)
	if err == nil && code != 0 {
		r.fault("fsck: exit code %d: %s", code, out)
	}
	return err
}

// audit has the program audit the record that a server serves.
func (r *record) audit(ctx context.Context, c *child) error {
	code, out, err := command(ctx, r.bin, "audit", "--policy", r.policyFile(), c.url)
	if err == nil && code != 0 {
		r.fault("audit: exit code %d: %s", code, out)
	}
	return err
}
