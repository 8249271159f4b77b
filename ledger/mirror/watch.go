package mirror

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// A Watch says what the user of a Monitor wants to be told of.
type Watch struct {
	Ledgers    []LedgerLine
	All        bool         // every entry
	Domains    []string     // what these do or is done to them, and whoever looks like them
	Names      []string     // whoever registers under such a name
	Statements []entry.Hash // whatever concerns these texts
	Expect     []Expectation
}

// A LedgerLine says where a record is read, and the policy that it is held to.
type LedgerLine struct{ Source, Policy string }

// An Expectation is one entry that its user has announced. It is met by the first such entry that is admitted in time.
type Expectation struct {
	Action string       // as in an expect line
	Domain string       // of the signer, or of the member that it is about
	Hashes []entry.Hash // all that the entry names: the text, or the fingerprint of each key that it brings, revokes or suspends
	End    time.Time    // midnight UTC after the last day
}

// MaxWatch bounds what ParseWatch reads, in bytes.
const MaxWatch = 1 << 20

// expectable are the actions of expect lines, and the events that meet them.
var expectable = map[string]EventType{
	"endorse": EventEndorsement, "withdraw": EventWithdrawal,
	"register": EventRegistration, "update": EventUpdate, "leave": EventLeave, "vouch": EventVouched,
	"add-key": EventKeyAdded, "rotate-key": EventKeyRotated, "revoke-key": EventKeyRevoked, "suspend-key": EventKeySuspended,
	"publish": EventStatementPublished, "close": EventStatementClosed, "reopen": EventStatementReopened, "amend": EventCharter,
}

// ParseWatch parses what is to be watched, a line each; items are separated by spaces and tabs:
//
//	# a comment
//	ledger <address> <policy file>
//	all
//	domain <domain>
//	name <name, to the end of the line>
//	statement sha256:<64 hex>
//	expect <action> <domain> [sha256:<64 hex>]... until <YYYY-MM-DD>
//
// The last day of an expectation belongs to it, by UTC. An endorsement, a withdrawal and what is about a statement name its hash; a registration,
// an update and a key event the fingerprints of all keys that they bring, revoke or suspend. Errors are *verify.FormatError.
func ParseWatch(b []byte) (*Watch, error) {
	w := new(Watch)
	if len(b) > MaxWatch {
		return nil, badWatch(0, "it is larger than 1 MiB")
	}
	n := 0
	for line := range bytes.Lines(b) {
		n++
		line, ok := bytes.CutSuffix(line, []byte("\n"))
		problem := "the line does not end with a line feed"
		if ok {
			problem = w.line(string(line))
		}
		if problem != "" {
			return nil, badWatch(n, problem)
		}
	}
	return w, nil
}

func badWatch(line int, problem string) error {
	return &verify.FormatError{What: "list of what to watch", Line: line, Problem: problem}
}

// line takes in one line and returns what is wrong with it, or "".
func (w *Watch) line(line string) string {
	for i := range len(line) {
		if line[i] < 0x20 && line[i] != '\t' || line[i] == 0x7f {
			return "it holds a control character"
		}
	}
	items := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(items) == 0 || items[0][0] == '#' {
		return ""
	}
	switch items[0] {
	case "ledger":
		if len(items) != 3 {
			return "a ledger line is: ledger <address> <policy file>"
		}
		w.Ledgers = append(w.Ledgers, LedgerLine{items[1], items[2]})
	case "all":
		if len(items) != 1 {
			return "a line all has nothing after it"
		}
		w.All = true
	case "domain":
		if len(items) != 2 || keys.CheckDomain(items[1]) != nil {
			return "a domain line is: domain <domain>, in lower case, as xn-- where it is not ASCII"
		}
		w.Domains = append(w.Domains, items[1])
	case "name":
		if len(items) < 2 {
			return "a name line is: name <name>"
		}
		w.Names = append(w.Names, strings.Join(items[1:], " "))
	case "statement":
		if len(items) != 2 {
			return problemStatementLine
		}
		h, err := entry.ParseHash(items[1])
		if err != nil {
			return problemStatementLine
		}
		w.Statements = append(w.Statements, h)
	case "expect":
		return w.expect(items[1:])
	default:
		return "it begins with none of ledger, all, domain, name, statement, expect"
	}
	return ""
}

const (
	problemStatementLine = "a statement line is: statement sha256:<64 hexadecimal digits in lower case>"
	problemExpectLine    = "an expect line is: expect <action> <domain> [sha256:<64 hexadecimal digits>]... until <YYYY-MM-DD>"
)

func (w *Watch) expect(items []string) string {
	if len(items) < 4 || items[len(items)-2] != "until" || keys.CheckDomain(items[1]) != nil {
		return problemExpectLine
	}
	e := Expectation{Action: items[0], Domain: items[1]}
	last, err := time.Parse(time.DateOnly, items[len(items)-1])
	if err != nil {
		return problemExpectLine
	}
	e.End = last.AddDate(0, 0, 1)
	for _, item := range items[2 : len(items)-2] {
		h, err := entry.ParseHash(item)
		if err != nil {
			return problemExpectLine
		}
		e.Hashes = append(e.Hashes, h)
	}
	typ, ok := expectable[e.Action]
	if !ok {
		return "what is expected is none of endorse, withdraw, register, update, leave, vouch, add-key, rotate-key, revoke-key, suspend-key, publish, close, reopen, amend"
	}
	if len(e.Hashes) == 0 && typ != EventUpdate && typ != EventLeave && typ != EventVouched {
		return "it does not say which text or which keys are expected: any would do"
	}
	slices.SortFunc(e.Hashes, func(a, b entry.Hash) int { return bytes.Compare(a[:], b[:]) })
	e.Hashes = slices.Compact(e.Hashes)
	w.Expect = append(w.Expect, e)
	return ""
}

// String returns the expectation as a line, always the same.
func (e Expectation) String() string {
	b := fmt.Appendf(nil, "expect %s %s", e.Action, e.Domain)
	for _, h := range e.Hashes {
		b = fmt.Appendf(b, " %s", h)
	}
	return string(fmt.Appendf(b, " until %s", e.End.AddDate(0, 0, -1).Format(time.DateOnly)))
}
