package mirror

import (
	"log/slog"

	"github.com/tccm/undersigned/verify"
)

// misled are the keys of witnesses that were found to contradict themselves. What they sign says nothing about a ledger.
type misled map[string]bool

// tell hands on the proof against a witness and names it, once for each of its keys: it could make a new one every second.
func (m misled) tell(c *verify.Contradiction, evidence func(*verify.Contradiction), log *slog.Logger) {
	proven, err := c.Check()
	if err != nil {
		return
	}
	fresh := false
	for _, k := range proven.Keys {
		if id := k.String(); !m[id] && len(m) < maxTold {
			m[id], fresh = true, true
		}
	}
	if !fresh {
		return
	}
	log.Error("a witness contradicts itself; that says nothing against the ledger", "origin", proven.Origin, "witness", proven.Keys[0].Name, "proven", proven.Sentence)
	evidence(c)
}
