package rollcall

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// What a Change can be, in the order in which it is told.
const (
	Added      = "added"      // it stands, and did not before
	Withdrew   = "withdrew"   // in between; without "before" it came and went
	Renamed    = "renamed"    // it stands as before, under another name
	Rekeyed    = "rekeyed"    // it stands as before, and something happened to its keys
	Again      = "again"      // it stands as before, and has endorsed again
	Renditions = "renditions" // it stands as before, behind other renditions of the text
)

// A Change is what became different about one organization between two moments, as it is printed in JSON.
type Change struct {
	Domain string     `json:"domain"`
	Name   string     `json:"name"`             // at the later moment
	What   []string   `json:"changes"`          // at least one
	Before *Word      `json:"before,omitempty"` // its last word at the earlier moment, if there was one
	After  *Word      `json:"after,omitempty"`  // the same at the later one
	Keys   []KeyEvent `json:"key_events"`       // what happened to its keys in between, if it stands as before
}

// A Word is an endorsement entry, and what its signer was called.
type Word struct {
	Action     entry.Action `json:"action"` // endorse or withdraw
	Index      uint64       `json:"index"`
	ID         entry.Hash   `json:"id"`
	Admitted   string       `json:"admitted"`
	Date       string       `json:"date"` // the signer's own
	Keys       []string     `json:"keys"`
	Renditions []Rendition  `json:"renditions"`
	Name       string       `json:"name"`
	LegalName  string       `json:"legal_name,omitempty"`

	at time.Time
}

// A Rendition is another form of the text that was endorsed as well.
type Rendition struct {
	Language string     `json:"language"`
	Hash     entry.Hash `json:"hash"`
}

// A KeyEvent is a registration or key entry.
type KeyEvent struct {
	Action   entry.Action `json:"action"` // register, add, rotate, revoke or suspend
	Index    uint64       `json:"index"`
	Admitted string       `json:"admitted"`
	Signer   string       `json:"signer"`
	Added    string       `json:"added,omitempty"` // the key that came
	About    string       `json:"about,omitempty"` // the key that went, or was suspended

	at time.Time
}

// ChangeOf returns the printed form of a change.
func ChangeOf(c roll.Change) Change {
	p := Change{Domain: c.Domain, What: []string{}, Before: wordOf(c.Old), After: wordOf(c.New), Keys: []KeyEvent{}}
	if p.After != nil {
		p.Name = p.After.Name
	} else if p.Before != nil {
		p.Name = p.Before.Name
	}
	for _, ev := range c.Rekeyed() {
		p.Keys = append(p.Keys, KeyEvent{ev.Action, ev.Index, stamp(ev.Admitted), ev.Signer, refOf(ev.Added), refOf(ev.About), ev.Admitted})
	}
	for _, w := range []struct {
		yes  bool
		what string
	}{{c.Added(), Added}, {c.Withdrew(), Withdrew}, {c.Renamed(), Renamed}, {len(p.Keys) > 0, Rekeyed}, {c.Again(), Again}, {c.Restated(), Renditions}} {
		if w.yes {
			p.What = append(p.What, w.what)
		}
	}
	return p
}

// ChangesOf returns the printed forms of changes in the alphabetical order of a language.
func ChangesOf(changes []roll.Change, in language.Tag) []Change {
	all := make([]Change, 0, len(changes))
	for _, c := range changes {
		all = append(all, ChangeOf(c))
	}
	Sort(all, in, func(c Change) (string, string) { return c.Name, c.Domain })
	return all
}

func stamp(t time.Time) string { return t.UTC().Format(entry.TimeFormat) }

func wordOf(s *roll.Signatory) *Word {
	if s == nil {
		return nil
	}
	w := &Word{
		Action: s.Action, Index: s.Index, ID: s.ID, Admitted: stamp(s.Admitted), Date: s.Date, Keys: []string{}, Renditions: []Rendition{},
		Name: s.Name, LegalName: s.LegalName, at: s.Admitted,
	}
	for _, ref := range s.Keys {
		w.Keys = append(w.Keys, ref.String())
	}
	for _, r := range s.Renditions {
		w.Renditions = append(w.Renditions, Rendition(r))
	}
	return w
}

func refOf(ref *keys.Ref) string {
	if ref == nil {
		return ""
	}
	return ref.String()
}

// PrintChanges returns a report for people: a sentence, then a list of each kind of change that there is.
//
//	From 11 June 2024 to 18 July 2024, one organization was added and none withdrew.
//
//	Added
//	  Example Guest (guest.example), recorded 18 July 2024
func PrintChanges(from, to verify.Moment, changes []Change) []byte {
	sections := []struct{ what, title string }{
		{Added, "Added"}, {Withdrew, "Withdrew"}, {Renamed, "Under another name"}, {Rekeyed, "Keys changed"}, {Again, "Endorsed again"},
		{Renditions, "Behind other versions of the text"},
	}
	lines := make(map[string][]string)
	for _, c := range changes {
		for _, what := range c.What {
			lines[what] = append(lines[what], c.say(what)...)
		}
	}
	added, withdrew := len(lines[Added]), len(lines[Withdrew])
	var b bytes.Buffer
	fmt.Fprintf(&b, "From %s to %s, %s added and %s withdrew.\n", from, to, organizations(added), none(withdrew))
	for _, s := range sections {
		if len(lines[s.what]) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n%s\n", s.title)
		for _, line := range lines[s.what] {
			b.WriteString("  " + oneLine(line) + "\n")
		}
	}
	return b.Bytes()
}

func organizations(n int) string {
	switch n {
	case 0:
		return "no organization was"
	case 1:
		return "one organization was"
	}
	return fmt.Sprintf("%d organizations were", n)
}

func none(n int) string {
	switch n {
	case 0:
		return "none"
	case 1:
		return "one"
	}
	return fmt.Sprint(n)
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

// say tells one kind of change in a line, or several.
func (c *Change) say(what string) []string {
	who := c.Name + " (" + c.Domain + ")"
	switch what {
	case Withdrew:
		if c.Before == nil || c.Before.Action == entry.Withdraw {
			return []string{who + ", recorded " + day(c.After.at) + "; it had endorsed after the first of the two moments"}
		}
		return []string{who + ", recorded " + day(c.After.at)}
	case Renamed:
		was, is := c.Before.Name, c.After.Name
		if was == is {
			was, is = or(c.Before.LegalName, "none"), or(c.After.LegalName, "none")
			return []string{who + ", legal name " + is + ", before: " + was}
		}
		return []string{who + ", before: " + was}
	case Rekeyed:
		var all []string
		for _, ev := range c.Keys {
			all = append(all, who+": "+ev.say()+", recorded "+day(ev.at))
		}
		return all
	case Renditions:
		return []string{who + ": " + languages(c.After.Renditions) + ", before: " + languages(c.Before.Renditions)}
	default: // Added, Again
		return []string{who + ", recorded " + day(c.After.at)}
	}
}

func (ev KeyEvent) say() string {
	switch ev.Action {
	case entry.Add:
		return "a key was added"
	case entry.Rotate:
		return "a key was replaced"
	case entry.Revoke:
		return "a key was revoked"
	case entry.Suspend:
		return "a key was suspended by " + ev.Signer
	default:
		return "it was registered anew"
	}
}

func languages(list []Rendition) string {
	var all []string
	for _, r := range list {
		all = append(all, r.Language)
	}
	return or(strings.Join(all, ", "), "the original alone")
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
