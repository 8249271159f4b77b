package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/keys/source"
	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/check"
)

// retiredFile is in keysDir and has a line for each key with which the log signed before, oldest first: the tree
// size of the last checkpoint that it may have signed, a space, its verifier key. All of it is public: backups have it
// beside the policy, where it lies in a restored ledger too until its keys change again.
const retiredFile = "retired.txt"

// A logKey is one of the log's keys, as it lies in keysDir.
type logKey struct {
	file  string
	suite keys.Suite
	typ   byte // of its verifier key
	size  int  // bytes of the key in it
}

// logKeys are in the order of a checkpoint's signature lines.
var logKeys = []logKey{
	{logEd25519File, keys.Ed25519, keys.TypeEd25519, 32},
	{logMLDSA44File, keys.MLDSA44, keys.TypeCosignatureMLDSA44, 1312},
}

// next is the file of a new key until it takes the place of the old one.
func (k logKey) next() string { return strings.TrimSuffix(k.file, ".pem") + ".next.pem" }

// load reads a key from a file.
func (k logKey) load(path, origin string) (ledger.Signer, error) {
	key, err := source.Load(path, nil, k.suite)
	if err != nil {
		return ledger.Signer{}, fmt.Errorf("cannot use the log's key: %w", err)
	}
	// An SPKI of these suites ends with the key itself.
	spki := key.Public().SPKI()
	v, err := keys.NewVKey(origin, k.typ, spki[len(spki)-k.size:])
	return signerOf(v, key), err
}

// signerOf signs notes with a key. A note's text says of which log it is, so that no origin is needed; and
// whoever takes a ledger.Signer verifies what it makes.
func signerOf(v keys.VKey, key *source.Key) ledger.Signer {
	return ledger.Signer{VKey: v, Sign: func(msg []byte) ([]byte, error) { return key.SignUnverified(v.Name, msg) }}
}

// logSigners returns the log's keys in a directory, named by its origin.
func logSigners(dir, origin string) (signers []ledger.Signer, logs []keys.VKey, err error) {
	for _, k := range logKeys {
		s, err := k.load(filepath.Join(dir, keysDir, k.file), origin)
		if err != nil {
			return nil, nil, err
		}
		signers, logs = append(signers, s), append(logs, s.VKey)
	}
	return signers, logs, nil
}

type keyRotateLogCmd struct {
	Dir  string `setting:"" required:"" placeholder:"DIR" help:"The ledger's directory. It must not be being served."`
	Lost string `placeholder:"SIZE:ROOT" help:"The old private keys are lost: go on from this checkpoint, on your word that nothing larger was ever signed."`
	jsonFlag
}

// Help shows how the command is used.
func (keyRotateLogCmd) Help() string {
	return `New keys sign every checkpoint from then on; those of before go on to verify with the old public keys, which DIR/policy.txt and DIR/keys/retired.txt keep. Give readers and witnesses the new policy, in the way in which they got the first. If it is cut short, the ledger goes on with the old keys or with the new ones; then give the command again. If the old private keys are lost, DIR/policy.txt tells what their public halves were, and --lost where to go on.

Example:

	undersigned key rotate-log --dir ledger
`
}

// Run changes the log's keys.
func (c *keyRotateLogCmd) Run(ctx context.Context, a *app) error {
	adopt, err := adoption("--lost", c.Lost)
	if err != nil {
		return err
	}
	if err := ownersAlone(c.Dir, os.Geteuid()); err != nil {
		return err
	}
	if adopt != nil {
		return c.replaceLost(ctx, a, adopt)
	}
	h, err := openHouse(ctx, c.Dir, nil, a.now, slog.New(slog.NewTextHandler(a.err, nil)), a.askNobody(c.Dir))
	if err != nil {
		return err
	}
	if !h.rotated {
		err = h.rotate(c.Dir)
	}
	if err := errors.Join(err, h.Close()); err != nil {
		return err
	}
	return c.tell(a, h.ledger.Origin())
}

// replaceLost gives a ledger whose keys are lost new ones, and opens it with them.
func (c *keyRotateLogCmd) replaceLost(ctx context.Context, a *app, adopt *ledger.Adoption) error {
	log := slog.New(slog.NewTextHandler(a.err, nil))
	origin, err := c.prepareLost(ctx, a, adopt)
	if err != nil {
		return err
	}
	for _, k := range logKeys {
		if err := os.Rename(filepath.Join(c.Dir, keysDir, k.next()), filepath.Join(c.Dir, keysDir, k.file)); err != nil {
			return fmt.Errorf("cannot put the log's new key in its place: %w", err)
		}
	}
	if err := syncDirectory(filepath.Join(c.Dir, keysDir)); err != nil {
		return fmt.Errorf("cannot put the log's new key in its place: %w", err)
	}
	h, err := openHouse(ctx, c.Dir, adopt, a.now, log, a.askNobody(c.Dir))
	if err != nil {
		return err
	}
	if err := errors.Join(h.ledger.ReadOnly(), h.Close()); err != nil {
		return err
	}
	return c.tell(a, origin)
}

// prepareLost makes new keys for a ledger whose keys are lost, and notes in its policy and its list of retired keys
// what becomes of those that the policy names.
func (c *keyRotateLogCmd) prepareLost(ctx context.Context, a *app, adopt *ledger.Adoption) (origin string, err error) {
	h, err := openToRead(ctx, c.Dir, a.now, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return "", err
	}
	defer h.Close()
	origin = h.ledger.Origin()
	if _, _, err := logSigners(c.Dir, origin); err == nil {
		return "", fmt.Errorf("the log's keys are in %s, so they are not lost: leave --lost out to change them, and give serve --adopt to go on with them", filepath.Join(c.Dir, keysDir))
	}
	if err := makeDirectory(filepath.Join(c.Dir, keysDir)); err != nil {
		return "", fmt.Errorf("cannot make the directory of the log's keys: %w", err)
	}
	if h.signed, err = ledger.OpenLastSigned(filepath.Join(c.Dir, keysDir, lastSignedFile)); err != nil {
		return "", inUse(c.Dir, err)
	}
	published := h.ledger.Published()
	if size, _, ok := h.signed.Signed(); ok && size > h.ledger.Stats().Stored {
		return "", fmt.Errorf("the lost keys have signed a tree of size %d, but the store holds %d entries: it is an old copy, or entries were lost; find the newer store", size, h.ledger.Stats().Stored)
	}
	if adopt.Size != published.Size || adopt.Root != published.Root {
		return "", fmt.Errorf("the newest checkpoint in the store is of size %d, and it is not the one that --lost names", published.Size)
	}
	p, err := a.policy(filepath.Join(c.Dir, policyFile))
	if err != nil {
		return "", fmt.Errorf("%w; the policy tells which public keys the log had: put a reader's copy of it there", err)
	}
	retired, err := readRetired(c.Dir, origin)
	if err != nil {
		return "", err
	}
	for _, l := range p.Logs() {
		if l.VKey.Name == origin && !slices.ContainsFunc(retired, func(r ledger.Retired) bool { return r.VKey.SameKey(l.VKey) }) {
			h.logs = append(h.logs, l.VKey)
		}
	}
	if len(h.logs) == 0 {
		return "", fmt.Errorf("%s names no key of %s; put a reader's copy of its policy there", filepath.Join(c.Dir, policyFile), origin)
	}
	if _, err := p.OpenPast(h.ledger.Checkpoint()); err != nil {
		return "", fmt.Errorf("%s is not the policy of this ledger: %w", filepath.Join(c.Dir, policyFile), err)
	}
	_, err = h.prepareRotation(c.Dir)
	return origin, err
}

// rotate changes the log's keys: it makes new ones, writes down what becomes of the old, and then makes the
// last-signed record one of the new. That is the step after which the new ones hold, whatever happens.
func (h *house) rotate(dir string) error {
	if err := h.ledger.ReadOnly(); err != nil {
		return fmt.Errorf("the keys of a log that does not sign are not changed: %w", err)
	}
	if s := h.ledger.Stats(); s.Published != s.Stored {
		return fmt.Errorf("the keys are not changed while there are entries without a published checkpoint: %d are stored, %d published; serve the ledger until all are", s.Stored, s.Published)
	}
	if err := h.ledger.Close(); err != nil {
		return err
	}
	fresh, err := h.prepareRotation(dir)
	if err != nil {
		return err
	}
	if err := h.signed.Rotate(h.ledger.Origin(), h.logs, fresh); err != nil {
		return fmt.Errorf("cannot change the log's keys: %w", err)
	}
	_, err = finishRotation(dir, h.ledger.Origin(), h.signed)
	return err
}

// prepareRotation does what leaves the old keys in force: it makes the new ones, or takes those that an attempt
// which was cut short has made, notes that the old ones retire, and adds the new to the policy for readers.
func (h *house) prepareRotation(dir string) ([]keys.VKey, error) {
	origin := h.ledger.Origin()
	policy, err := os.ReadFile(filepath.Join(dir, policyFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the policy for readers: %w", err)
	}
	retired, err := readRetired(dir, origin)
	if err != nil {
		return nil, err
	}
	var fresh []keys.VKey
	for _, k := range logKeys {
		path := filepath.Join(dir, keysDir, k.next())
		s, err := k.load(path, origin)
		if err != nil {
			// Nothing is signed with a key that cannot be loaded, so it can go.
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("cannot make the log's new key: %w", err)
			}
			key, err := source.Generate(k.suite)
			if err != nil {
				return nil, err
			}
			if err := key.Save(path, nil); err != nil {
				return nil, fmt.Errorf("cannot keep the log's new key: %w", err)
			}
			if s, err = k.load(path, origin); err != nil {
				return nil, err
			}
		}
		fresh = append(fresh, s.VKey)
	}
	retired = slices.DeleteFunc(retired, func(r ledger.Retired) bool {
		return slices.ContainsFunc(h.logs, r.VKey.SameKey) // an attempt that was cut short
	})
	if policy == nil {
		all := slices.Concat(fresh, h.logs)
		for _, r := range retired {
			all = append(all, r.VKey)
		}
		policy = policyText(all, "")
	}
	if p, err := verify.ParsePolicy(policy); err == nil && retiredIn(dir) == "" && len(otherLogs(p, origin, slices.Concat(fresh, h.logs))) > 0 {
		return nil, fmt.Errorf("the log's keys have been changed before, and %s is missing, which says when: put back the one of a backup", filepath.Join(dir, keysDir, retiredFile))
	}
	if policy, err = withLogs(policy, fresh, h.logs); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, policyFile), err)
	}
	size := h.ledger.Published().Size
	if n := len(retired); n == 0 || retired[n-1].Until < size { // else the keys have signed nothing yet
		for _, v := range h.logs {
			retired = append(retired, ledger.Retired{VKey: v, Until: size})
		}
	}
	if err := writeRetired(filepath.Join(dir, keysDir, retiredFile), retired); err != nil {
		return nil, err
	}
	if err := writeFile(filepath.Join(dir, policyFile), policy); err != nil {
		return nil, err
	}
	// All of it must outlast a power cut before the record may say that the new keys hold.
	for _, d := range []string{filepath.Join(dir, keysDir), dir} {
		if err := syncDirectory(d); err != nil {
			return nil, fmt.Errorf("cannot change the log's keys: %w", err)
		}
	}
	return fresh, nil
}

// finishRotation puts the new keys in the place of the old, if the last-signed record is of the new. It reports
// whether there was something to do.
func finishRotation(dir, origin string, signed *ledger.LastSigned) (bool, error) {
	var rename []logKey
	var logs []keys.VKey
	for _, k := range logKeys {
		file := k.next()
		if _, err := os.Lstat(filepath.Join(dir, keysDir, file)); err != nil {
			file = k.file
		} else {
			rename = append(rename, k)
		}
		s, err := k.load(filepath.Join(dir, keysDir, file), origin)
		if err != nil {
			return false, nil // whoever needs the key says so
		}
		logs = append(logs, s.VKey)
	}
	if len(rename) == 0 || !signed.Of(origin, logs) {
		return false, nil
	}
	for _, k := range rename {
		if err := os.Rename(filepath.Join(dir, keysDir, k.next()), filepath.Join(dir, keysDir, k.file)); err != nil {
			return false, fmt.Errorf("cannot put the log's new key in its place: %w", err)
		}
	}
	// So that the old keys are gone for good.
	if err := syncDirectory(filepath.Join(dir, keysDir)); err != nil {
		return false, fmt.Errorf("cannot put the log's new key in its place: %w", err)
	}
	return true, nil
}

// withLogs returns a policy, which must name the keys in old, with lines for those in fresh before its first log line
// and with that one's address. Everything else in it stays as it is.
func withLogs(policy []byte, fresh, old []keys.VKey) ([]byte, error) {
	p, err := verify.ParsePolicy(policy)
	if err != nil {
		return nil, err
	}
	for _, v := range old {
		if !slices.ContainsFunc(p.Logs(), func(l verify.PolicyLog) bool { return l.VKey.SameKey(v) }) {
			return nil, fmt.Errorf("it does not name the log's key %s; mend it, or move it away to have a new one made", v)
		}
	}
	var b bytes.Buffer
	done := false
	for line := range bytes.Lines(policy) {
		if f := bytes.Fields(line); !done && len(f) > 1 && string(f[0]) == "log" {
			done = true
			for _, v := range fresh {
				if !slices.ContainsFunc(p.Logs(), func(l verify.PolicyLog) bool { return l.VKey.SameKey(v) }) {
					fmt.Fprintln(&b, strings.Join(append([]string{"log", v.String()}, strings.Fields(p.Logs()[0].URL)...), " "))
				}
			}
		}
		b.Write(line)
	}
	return b.Bytes(), nil
}

// maxRetired bounds retiredFile, in bytes: several hundred keys.
const maxRetired = 1 << 20

// readRetired returns the keys with which the log signed before; none if there is no list.
func readRetired(dir, origin string) ([]ledger.Retired, error) {
	path := retiredIn(dir)
	if path == "" {
		return nil, nil
	}
	return readRetiredFile(path, origin)
}

// retiredIn returns where a directory has the list of the log's retired keys, "" if it has none.
func retiredIn(dir string) string {
	for _, path := range []string{filepath.Join(dir, keysDir, retiredFile), filepath.Join(dir, retiredFile)} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return path
		}
	}
	return ""
}

// retiredWith returns where the list lies that belongs to a copy of a record: in a directory with a database, beside an
// archive or a directory of tiles.
func retiredWith(src string) string {
	if isAddress(src) {
		return ""
	}
	if info, err := os.Stat(src); err == nil && info.IsDir() {
		if path := retiredIn(src); path != "" {
			return path
		}
	}
	if path := retiredBeside(src); fileExists(path) {
		return path
	}
	return ""
}

// retiredBeside names the list that is beside an archive or a directory of tiles.
func retiredBeside(path string) string { return filepath.Clean(path) + "." + retiredFile }

func fileExists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func readRetiredFile(path, origin string) ([]ledger.Retired, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxRetired {
		err = fmt.Errorf("%s is larger than %s", path, check.Bytes(maxRetired))
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the list of the log's retired keys: %w", err)
	}
	var retired []ledger.Retired
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		size, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		until, err := strconv.ParseUint(size, 10, 63)
		v, err2 := keys.ParseVKey(text)
		if err != nil || err2 != nil || v.Name != origin || v.Type != keys.TypeEd25519 && v.Type != keys.TypeCosignatureMLDSA44 {
			return nil, fmt.Errorf("line %d of %s is not a tree size, a space and a verifier key of %s", n, path, origin)
		}
		retired = append(retired, ledger.Retired{VKey: v, Until: until})
	}
	return retired, nil
}

func writeRetired(path string, retired []ledger.Retired) error {
	var b bytes.Buffer
	for _, r := range retired {
		fmt.Fprintf(&b, "%d %s\n", r.Until, r.VKey)
	}
	return writeFile(path, b.Bytes())
}

// otherLogs returns the keys of an origin that a policy names beside these: those of before, as far as nobody is
// changing them.
func otherLogs(p *verify.Policy, origin string, these []keys.VKey) (others []keys.VKey) {
	for _, l := range p.Logs() {
		if l.VKey.Name == origin && !slices.ContainsFunc(these, l.VKey.SameKey) {
			others = append(others, l.VKey)
		}
	}
	return others
}

// tell says what the log's keys are now.
func (c *keyRotateLogCmd) tell(a *app, origin string) error {
	_, logs, err := logSigners(c.Dir, origin)
	if err != nil {
		return err
	}
	retired, err := readRetired(c.Dir, origin)
	if err != nil {
		return err
	}
	path := filepath.Join(c.Dir, policyFile)
	policy, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot read the policy for readers: %w", err)
	}
	size := retired[len(retired)-1].Until
	if c.JSON {
		type gone struct {
			VKey string `json:"vkey"`
			Size uint64 `json:"size"`
		}
		var lines []string
		for _, v := range logs {
			lines = append(lines, v.String())
		}
		var before []gone
		for _, r := range retired {
			before = append(before, gone{r.VKey.String(), r.Until})
		}
		return a.json(struct {
			Schema  string   `json:"schema"`
			Origin  string   `json:"origin"`
			Size    uint64   `json:"size"`
			Logs    []string `json:"log_vkeys"`
			Retired []gone   `json:"retired"`
			Policy  string   `json:"policy_file"`
		}{"undersigned/log-keys/v1", origin, size, lines, before, path})
	}
	a.printf("Changed the log's keys of %s: new ones sign every checkpoint after the tree of size %d.\n\n%s", origin, size, policy)
	a.sayf("What stands above is the new policy for readers, with the new keys and the old. It is in %s too.\n", path)
	a.sayf("The old private keys are gone from %s. Destroy every other copy: whoever has one can still sign for readers whose policy names it.\n", filepath.Join(c.Dir, keysDir))
	return nil
}
