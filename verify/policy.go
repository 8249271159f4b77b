package verify

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tccm/undersigned/keys"
)

// MaxPolicy bounds a policy file, in bytes: several hundred keys.
const MaxPolicy = 1 << 20

// Policy says which logs and witnesses a reader trusts, and how many witnesses are enough:
// a policy file of tlog-policy. It is immutable.
type Policy struct {
	logs      []PolicyLog
	witnesses []PolicyWitness
	groups    []group
	quorum    int // index into names; -1 for none
	names     []policyName
	known     map[keyName]*policyKey
}

// PolicyLog is a log line: any one of them suffices. The key's name is the origin.
type PolicyLog struct {
	VKey keys.VKey
	URL  string // "" if the line has none
}

// PolicyWitness is a witness line. Name is the policy's own word for it, the key's name the
// one in signature lines.
type PolicyWitness struct {
	Name string
	VKey keys.VKey
	URL  string // "" if the line has none
}

// policyName is a defined name: a witness or a group, by its index.
type policyName struct {
	group bool
	index int
}

type group struct {
	name    string
	k       int
	members []int // indexes into Policy.names, all smaller than the group's own
}

// policyKey is one key of the policy and every line that names it.
type policyKey struct {
	verifier  note.Verifier
	vkey      keys.VKey
	log       bool
	witnesses []int // indexes into Policy.witnesses
}

// ParsePolicy parses a policy file (tlog-policy), strictly: every line ends with LF, items are
// separated by spaces and tabs, names are defined before they are used, no key serves two log
// lines or two witness lines (whatever its name or type), a name is a member of at most one
// group, and there is exactly one quorum line. Log keys are of type 0x01 or 0x06, witness keys
// 0x04 or 0x06. Errors are *FormatError.
func ParsePolicy(b []byte) (*Policy, error) {
	if len(b) > MaxPolicy {
		return nil, malformed(whatPolicy, 0, "it is larger than 1 MiB")
	}
	p := &policyParser{
		policy:  &Policy{quorum: -1, known: make(map[keyName]*policyKey)},
		byName:  make(map[string]int),
		member:  make(map[int]bool),
		logs:    make(map[string]bool),
		witness: make(map[string]bool),
	}
	for n := 1; len(b) > 0; n++ {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		problem := "the line does not end with a line feed"
		if ok {
			problem = p.line(line)
		}
		if problem != "" {
			return nil, malformed(whatPolicy, n, problem)
		}
		b = rest
	}
	if !p.hasQuorum {
		return nil, malformed(whatPolicy, 0, "there is no quorum line")
	}
	return p.policy, nil
}

// policyParser is what must be remembered from line to line.
type policyParser struct {
	policy        *Policy
	byName        map[string]int // into policy.names
	member        map[int]bool   // names that are a member of a group already
	logs, witness map[string]bool
	hasQuorum     bool
}

// line takes in one line and returns what is wrong with it, or "".
func (p *policyParser) line(line []byte) string {
	if bytes.HasPrefix(line, []byte(byteOrderMark)) {
		return problemBOM
	}
	if isUTF16(line) {
		return problemUTF16
	}
	for _, c := range line {
		if c == '\r' {
			return problemReturns
		}
		if c < 0x20 && c != '\t' || c == 0x7f {
			return "it holds a control character"
		}
	}
	items := strings.FieldsFunc(string(line), func(r rune) bool { return r == ' ' || r == '\t' })
	if len(items) == 0 || items[0][0] == '#' {
		return ""
	}
	switch items[0] {
	case "log":
		return p.log(items[1:])
	case "witness":
		return p.witnessLine(items[1:])
	case "group":
		return p.group(items[1:])
	case "quorum":
		return p.quorum(items[1:])
	}
	return "it begins with none of log, witness, group, quorum"
}

func (p *policyParser) log(items []string) string {
	if len(items) < 1 || len(items) > 2 {
		return "a log line is: log <vkey> [<url>]"
	}
	v, err := keys.ParseVKey(items[0])
	if err != nil {
		return "the log's key is not a valid vkey"
	}
	if v.Type != keys.TypeEd25519 && v.Type != keys.TypeCosignatureMLDSA44 {
		return "a log's key must be of type 0x01 (Ed25519) or 0x06 (ML-DSA-44)"
	}
	if p.logs[string(v.Key)] {
		return "this log's key is on an earlier log line"
	}
	p.logs[string(v.Key)] = true
	k, problem := p.key(v)
	if problem != "" {
		return problem
	}
	k.log = true
	p.policy.logs = append(p.policy.logs, PolicyLog{v, optional(items, 1)})
	return ""
}

func (p *policyParser) witnessLine(items []string) string {
	if len(items) < 2 || len(items) > 3 {
		return "a witness line is: witness <name> <vkey> [<url>]"
	}
	v, err := keys.ParseVKey(items[1])
	if err != nil {
		return "the witness's key is not a valid vkey"
	}
	if v.Type != keys.TypeCosignatureEd25519 && v.Type != keys.TypeCosignatureMLDSA44 {
		return "a witness's key must be of type 0x04 (Ed25519) or 0x06 (ML-DSA-44)"
	}
	if p.witness[string(v.Key)] {
		return "this witness's key is on an earlier witness line"
	}
	p.witness[string(v.Key)] = true
	k, problem := p.key(v)
	if problem != "" {
		return problem
	}
	k.witnesses = append(k.witnesses, len(p.policy.witnesses))
	problem = p.define(items[0], policyName{false, len(p.policy.witnesses)})
	p.policy.witnesses = append(p.policy.witnesses, PolicyWitness{items[0], v, optional(items, 2)})
	return problem
}

// key returns the policy's record of a key. Two keys under one name and key ID could not be
// told apart in a signature line.
func (p *policyParser) key(v keys.VKey) (*policyKey, string) {
	id := keyName{v.Name, v.KeyID}
	if k := p.policy.known[id]; k != nil {
		if k.vkey.Type != v.Type || !bytes.Equal(k.vkey.Key, v.Key) {
			return nil, "another key has the same name and key ID"
		}
		return k, ""
	}
	verifier, err := NewVerifier(v)
	if err != nil {
		return nil, "the key cannot sign checkpoints"
	}
	k := &policyKey{verifier: verifier, vkey: v}
	p.policy.known[id] = k
	return k, ""
}

func (p *policyParser) group(items []string) string {
	if len(items) < 3 {
		return "a group line is: group <name> all|any|<k> <name>..."
	}
	g := group{name: items[0]}
	for _, name := range items[2:] {
		i, ok := p.byName[name]
		if !ok {
			return "a member of the group is not defined on an earlier line"
		}
		if p.member[i] {
			return "a member of the group is a member already"
		}
		p.member[i] = true
		g.members = append(g.members, i)
	}
	switch items[1] {
	case "all":
		g.k = len(g.members)
	case "any":
		g.k = 1
	default:
		k, ok := parseDecimal(items[1])
		if !ok || k < 1 || k > uint64(len(g.members)) {
			return "a group's threshold must be all, any, or a number from 1 to the number of members"
		}
		g.k = int(k)
	}
	problem := p.define(items[0], policyName{true, len(p.policy.groups)})
	p.policy.groups = append(p.policy.groups, g)
	return problem
}

func (p *policyParser) define(name string, n policyName) string {
	if name == "none" {
		return "the name none is reserved"
	}
	if _, ok := p.byName[name]; ok {
		return "the name is defined on an earlier line"
	}
	p.byName[name] = len(p.policy.names)
	p.policy.names = append(p.policy.names, n)
	return ""
}

func (p *policyParser) quorum(items []string) string {
	if p.hasQuorum {
		return "there is more than one quorum line"
	}
	if len(items) != 1 {
		return "a quorum line is: quorum <name>"
	}
	p.hasQuorum = true
	if items[0] == "none" {
		return ""
	}
	i, ok := p.byName[items[0]]
	if !ok {
		return "the quorum's name is not defined on an earlier line"
	}
	p.policy.quorum = i
	return ""
}

func optional(items []string, i int) string {
	if i < len(items) {
		return items[i]
	}
	return ""
}

// Logs returns the log lines in their order. The caller must not change their keys' bytes.
func (p *Policy) Logs() []PolicyLog { return append([]PolicyLog(nil), p.logs...) }

// Origins returns the names of the logs, each once, in the order of the log lines.
func (p *Policy) Origins() []string {
	var origins []string
	seen := make(map[string]bool)
	for _, l := range p.logs {
		if !seen[l.VKey.Name] {
			seen[l.VKey.Name] = true
			origins = append(origins, l.VKey.Name)
		}
	}
	return origins
}

// Witnesses returns the witness lines in their order.
func (p *Policy) Witnesses() []PolicyWitness { return append([]PolicyWitness(nil), p.witnesses...) }

// NoQuorum reports whether the policy asks for no cosignature at all ("quorum none").
func (p *Policy) NoQuorum() bool { return p.quorum < 0 }

// ReplayingGroup is the name of the group, in a policy, of witnesses that cosign only what they have replayed: their
// cosignature says beside the usual that by the record's own rules every entry is admissible.
const ReplayingGroup = "undersigned-replaying"

// Replayed returns the names, as their keys have them, of the replaying witnesses that cosigned a checkpoint which this policy opened, if
// they satisfy the group ReplayingGroup; otherwise nil. A key of the log itself is nobody's witness here.
func (p *Policy) Replayed(c *SignedCheckpoint) []string {
	at := -1
	inside := make([]bool, len(p.names))
	for i := len(p.names) - 1; i >= 0; i-- { // a group's members stand before it
		n := p.names[i]
		if !n.group {
			continue
		}
		if g := p.groups[n.index]; g.name == ReplayingGroup || inside[i] {
			if g.name == ReplayingGroup {
				at = i
			}
			for _, m := range g.members {
				inside[m] = true
			}
		}
	}
	if at < 0 {
		return nil
	}
	cosigned := make(map[int]bool)
	var names []string
	for i, n := range p.names {
		if n.group || !inside[i] {
			continue
		}
		w := p.witnesses[n.index]
		own := slices.ContainsFunc(p.logs, func(l PolicyLog) bool { return l.VKey.SameKey(w.VKey) })
		if !own && slices.ContainsFunc(c.Cosignatures, func(s Cosignature) bool { return s.Witness == w.Name }) {
			cosigned[n.index] = true
			if !slices.Contains(names, w.VKey.Name) {
				names = append(names, w.VKey.Name)
			}
		}
	}
	if !p.met(at, cosigned) {
		return nil
	}
	return names
}

// Met reports whether these witnesses, by the policy's names, are the quorum.
func (p *Policy) Met(witnesses []string) bool {
	have := make(map[int]bool)
	for i, w := range p.witnesses {
		have[i] = slices.Contains(witnesses, w.Name)
	}
	return p.enough(have)
}

// enough evaluates the quorum over the witnesses (by index) that cosigned.
func (p *Policy) enough(cosigned map[int]bool) bool {
	return p.quorum < 0 || p.met(p.quorum, cosigned)
}

// met evaluates a name over the witnesses (by index) that cosigned. A group's members stand before it, so one pass in
// the order of definition settles them all.
func (p *Policy) met(name int, cosigned map[int]bool) bool {
	witnessed := make([]bool, len(p.names))
	for i, n := range p.names {
		if !n.group {
			witnessed[i] = cosigned[n.index]
			continue
		}
		g, have := p.groups[n.index], 0
		for _, m := range g.members {
			if witnessed[m] {
				have++
			}
		}
		witnessed[i] = have >= g.k
	}
	return witnessed[name]
}

// SignedCheckpoint is a checkpoint that a policy accepts, and why.
type SignedCheckpoint struct {
	Checkpoint
	Note         []byte        // the whole note
	LogKeys      []keys.VKey   // the policy's log keys that signed it, in the order of the note; at least one
	LogTime      time.Time     // the latest time in the log's own 0x06 signatures; zero if they hold none
	Cosignatures []Cosignature // of the policy's witnesses, in the order of the note
	Fresh        time.Time     // since when a quorum has seen it (Policy.Open); zero without a quorum or times

	quorum bool // the policy's is met
	// There was a time, not before the first and not after the second of these, at which this was the newest checkpoint. Witnesses say so
	// who are a quorum together, for one of them alone may lie; where there is none, only the log itself. Zero: nobody says.
	notBefore, notAfter time.Time
}

// Cosignature is a witness's signature on a checkpoint.
type Cosignature struct {
	Witness string // the policy's name for it
	VKey    keys.VKey
	Time    time.Time // when the witness says it saw the checkpoint, UTC; zero if it says nothing (0x06 allows that)
}

// Seen returns the latest time at which a witness of the policy says that it saw the
// checkpoint, or the zero time.
func (c *SignedCheckpoint) Seen() time.Time {
	var t time.Time
	for _, s := range c.Cosignatures {
		if s.Time.After(t) {
			t = s.Time
		}
	}
	return t
}

// FirstSeen returns the earliest such time, or the zero time: the checkpoint, and with it every
// entry under it, existed no later.
func (c *SignedCheckpoint) FirstSeen() time.Time {
	var t time.Time
	for _, s := range c.Cosignatures {
		if !s.Time.IsZero() && (t.IsZero() || s.Time.Before(t)) {
			t = s.Time
		}
	}
	return t
}

// Open checks a checkpoint note under the policy: one of its logs signed it under its own
// origin, every signature line of a key that the policy knows is good, and the witnesses that
// cosigned are the quorum. Lines of unknown keys are ignored. Errors are *FormatError,
// *UntrustedError or *QuorumError; beside a *QuorumError the checkpoint is returned too.
func (p *Policy) Open(msg []byte) (*SignedCheckpoint, error) {
	c, err := p.open(msg)
	if err != nil {
		return nil, err
	}
	if !c.quorum {
		voices, all := make(map[string]bool), make(map[string]bool)
		for _, s := range c.Cosignatures {
			for _, w := range p.of(s) {
				voices[p.witnesses[w].VKey.Name] = true
			}
		}
		for _, w := range p.witnesses {
			all[w.VKey.Name] = true
		}
		return c, &QuorumError{len(voices), len(all)}
	}
	c.Fresh = p.NotBefore(c)
	return c, nil
}

// of returns the witness lines, by index, that name the key of a cosignature.
func (p *Policy) of(s Cosignature) []int {
	return p.known[keyName{s.VKey.Name, s.VKey.KeyID}].witnesses
}

// NotBefore returns the greatest T such that a checkpoint's cosignatures dated T or later are the quorum, or the zero time. Since
// then a quorum has seen it, and what quotes its note came to be after that. One witness, or the log by itself, cannot make an old
// checkpoint fresh.
func (p *Policy) NotBefore(c *SignedCheckpoint) time.Time {
	return p.vouched(c, func(a, b Cosignature) int { return b.Time.Compare(a.Time) })
}

// NoLater returns the least T such that a checkpoint's cosignatures dated T or earlier are the quorum, or the zero time. By then a
// quorum had seen it, and every entry under it existed. One witness cannot make a young checkpoint old.
func (p *Policy) NoLater(c *SignedCheckpoint) time.Time {
	return p.vouched(c, func(a, b Cosignature) int { return a.Time.Compare(b.Time) })
}

// vouched returns the time of the cosignature that makes up the quorum, in this order of them.
func (p *Policy) vouched(c *SignedCheckpoint, order func(a, b Cosignature) int) time.Time {
	if p.NoQuorum() {
		return time.Time{}
	}
	timed := slices.DeleteFunc(slices.Clone(c.Cosignatures), func(s Cosignature) bool { return s.Time.IsZero() })
	slices.SortStableFunc(timed, order)
	cosigned := make(map[int]bool)
	for _, s := range timed {
		for _, w := range p.of(s) {
			cosigned[w] = true
		}
		if p.enough(cosigned) {
			return s.Time
		}
	}
	return time.Time{}
}

// weigh sets what hangs on who has cosigned a checkpoint, and when.
func (p *Policy) weigh(c *SignedCheckpoint) {
	cosigned := make(map[int]bool)
	for _, s := range c.Cosignatures {
		for _, w := range p.of(s) {
			cosigned[w] = true
		}
	}
	c.quorum = p.enough(cosigned)
	c.notBefore = earlier(p.NotBefore(c), c.LogTime)
	if c.notAfter = p.NoLater(c); c.notAfter.IsZero() {
		c.notAfter = c.LogTime
	}
}

// OpenPast checks a checkpoint note as Open does but without asking for the quorum: what an
// older checkpoint, cosigned by the witnesses of its day, is held to. Errors are *FormatError or
// *UntrustedError.
func (p *Policy) OpenPast(msg []byte) (*SignedCheckpoint, error) { return p.open(msg) }

// open does what note.Open of golang.org/x/mod does for any note, for one that has been parsed more strictly: it
// takes no base64 but the canonical one, and does not pass over a second line of a key.
func (p *Policy) open(msg []byte) (*SignedCheckpoint, error) {
	text, lines, err := splitNote(msg)
	if err != nil {
		return nil, err
	}
	checkpoint, err := ParseCheckpoint(text)
	if err != nil {
		return nil, err
	}
	c := &SignedCheckpoint{Checkpoint: checkpoint, Note: msg}
	seen := make(map[keyName]bool)
	for _, l := range lines {
		k := p.known[l.keyName]
		if k == nil {
			continue
		}
		if seen[l.keyName] {
			return nil, malformed(whatNote, 0, "a key of the policy has two signature lines")
		}
		seen[l.keyName] = true
		if !k.verifier.Verify(text, l.sig) {
			return nil, &UntrustedError{"a signature on it names a key of the policy, but is not by that key"}
		}
		t := lineTime(k.vkey, l.sig)
		if k.log && k.vkey.Name == checkpoint.Origin {
			c.LogKeys = append(c.LogKeys, k.vkey)
			c.LogTime = later(c.LogTime, t)
		}
		for _, w := range k.witnesses {
			c.Cosignatures = append(c.Cosignatures, Cosignature{p.witnesses[w].Name, k.vkey, t})
		}
	}
	if len(c.LogKeys) == 0 {
		if !slices.Contains(p.Origins(), checkpoint.Origin) {
			return nil, &UntrustedError{"it calls itself the copy of another ledger than those that the policy names: look whether this is the right policy"}
		}
		return nil, &UntrustedError{"it bears no signature of a ledger that the policy trusts"}
	}
	p.weigh(c)
	return c, nil
}

// lineTime returns the time in a signature line of a key, UTC, or the zero time.
func lineTime(v keys.VKey, sig []byte) time.Time {
	if v.Type == keys.TypeEd25519 {
		return time.Time{}
	}
	s, _, ok := splitTimestamp(sig)
	if !ok || s == 0 || s > maxUnixSeconds {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// maxUnixSeconds is the end of the year 9999, beyond which times have no common written form.
const maxUnixSeconds = 253402300799
