package dnssec

import (
	"encoding/hex"
	"errors"
	"strings"

	"github.com/tccm/undersigned/keys"
)

const (
	recordVersion = "v=undersigned1; ledger="
	recordKey     = "; k="
	ownerLabel    = "_undersigned"
)

var errRecord = errors.New(`dnssec: a record is "v=undersigned1; ledger=<origin>; k=sha256:<64 lower-case hexadecimal digits>"`)

// A Record is one key that a domain publishes for one ledger. Records are comparable.
type Record struct {
	Ledger string // its origin
	Key    keys.Fingerprint
}

// String returns the text of the TXT record.
func (r Record) String() string { return recordVersion + r.Ledger + recordKey + r.Key.String() }

// ParseRecord parses what Record.String prints, with an origin that [keys.CheckOrigin] accepts, and nothing else.
func ParseRecord(s string) (Record, error) {
	rest, ok := strings.CutPrefix(s, recordVersion)
	origin, print, ok2 := strings.Cut(rest, recordKey)
	digits, ok3 := strings.CutPrefix(print, "sha256:")
	r := Record{Ledger: origin}
	if !ok || !ok2 || !ok3 || len(digits) != 64 || keys.CheckOrigin(origin) != nil {
		return Record{}, errRecord
	}
	if _, err := hex.Decode(r.Key[:], []byte(digits)); err != nil || strings.ToLower(digits) != digits {
		return Record{}, errRecord
	}
	return r, nil
}

// Owner returns the name at which a domain publishes its keys, without a final dot.
func Owner(domain string) string { return ownerLabel + "." + domain }

// CheckDomain returns nil if a domain can publish keys: it is one by [keys.CheckDomain], and its name leaves room for the label
// "_undersigned".
func CheckDomain(domain string) error {
	if err := keys.CheckDomain(domain); err != nil {
		return err
	}
	if len(Owner(domain)) > 253 {
		return errors.New("dnssec: the domain is too long to publish keys: there is no room for _undersigned before it")
	}
	return nil
}
