package roll_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// An offer is a chain about our.example, and what its maker knows of it.
type offer struct {
	chain    []byte
	above    int  // the day on which the zones above have signed
	insecure bool // they say that it has no keys
	set      int  // else: under which of two sets of its zone's keys
	leaf     int  // the day on which that has signed
	keys     int  // and what: bit i for key i
}

// offers are chains of each outcome, all valid on the sixth day, with answers of each of five days under zones above of each of them.
var offers = sync.OnceValue(func() (all []offer) {
	d := newDNS(rolltest.Start, rolltest.Start, "our.example")
	org := rolltest.NewOrg("our.example", 2, 0, 1)
	answers := func(on, keys int) []dnssec.RR {
		var list []*rolltest.Key
		for i, k := range org.Keys {
			if keys&(1<<i) != 0 {
				list = append(list, k)
			}
		}
		d.Window(rolltest.Start.Add(time.Duration(on)*day), rolltest.Start.Add(20*day))
		d.Publish("our.example", records(rolltest.Origin, list...)...)
		return d.Records("our.example")
	}
	last := func(r dnssec.RR) bool {
		typ := r.Type
		if typ == dnssectest.RRSIG {
			typ = uint16(r.Data[0])<<8 | uint16(r.Data[1])
		}
		return typ == dnssectest.TXT || typ == dnssectest.NSEC
	}
	build := func(o offer, list []dnssec.RR) {
		chain, _, err := dnssec.Build("our.example", list, d.Anchors(), rolltest.Start.Add(6*day))
		if err != nil {
			panic(err)
		}
		o.chain = chain
		all = append(all, o)
	}
	for set, algorithm := range []uint8{13, 15} {
		d.Zone("our.example", dnssectest.Options{Algorithm: algorithm})
		for above := range 5 {
			for leaf := range 5 {
				for keys := range 4 {
					list := slices.DeleteFunc(answers(above, keys), last)
					for _, r := range answers(leaf, keys) {
						if last(r) {
							list = append(list, r)
						}
					}
					build(offer{above: above, set: set, leaf: leaf, keys: keys}, list)
				}
			}
		}
	}
	d.Zone("our.example", dnssectest.Options{Island: true})
	for above := range 5 {
		build(offer{above: above, insecure: true}, answers(above, 3))
	}
	return all
})

// told is what a model keeps of the chains: the newest day of each kind of word, which set of keys the zones above named last, and which of the organization's
// keys were gone with each end; which chains; and what each key was seen to do, by the index of the entry, since the registration.
type told struct {
	leads, cuts, ends int // -1: never
	set               int
	ever              int // keys that were shown, of any registration: bit i for key i
	cutGone, endGone  int // the same of those that were and are not there
	recorded          map[int]bool
	seen              [2][]sighting
	member            bool
}

type sighting struct {
	index uint64
	shown bool
}

func (m *told) older(o offer) bool {
	if o.insecure {
		return o.above < max(m.leads, m.cuts)
	}
	return o.above < m.cuts || o.leaf < m.ends || m.tied(o) || m.rolled(o)
}

// tied reports whether a chain is signed at the time at which others said that a key in it is gone.
func (m *told) tied(o offer) bool {
	return !o.insecure && (o.above == m.cuts && o.keys&m.cutGone != 0 || o.leaf == m.ends && o.keys&m.endGone != 0)
}

// rolled reports whether a chain is under other keys of its zone than the last one, and not later.
func (m *told) rolled(o offer) bool {
	return !o.insecure && m.leads >= 0 && o.set != m.set && o.above <= m.leads
}

func (m *told) take(at int, o offer, index uint64) {
	m.recorded[at] = true
	if o.insecure {
		m.cuts, m.cutGone = o.above, m.ever
	} else {
		if o.set != m.set {
			m.leads = o.above
		}
		m.set, m.leads, m.ends = o.set, max(m.leads, o.above), o.leaf
		m.ever |= o.keys
		m.endGone = m.ever &^ o.keys
	}
	for i := range m.seen {
		m.seen[i] = append(m.seen[i], sighting{index, !o.insecure && o.keys&(1<<i) != 0})
	}
}

// spans says what was seen of a key in the form of TestInterleavedEvidence: from to, or from to end.
func spansOf(seen []sighting) (text string) {
	open := false
	var from, to uint64
	for _, s := range seen {
		switch {
		case s.shown && !open:
			from, to, open = s.index, s.index, true
		case s.shown:
			to = s.index
		case open:
			text += fmt.Sprintf("%d-%d until %d; ", from, to, s.index)
			open = false
		}
	}
	if open {
		text += fmt.Sprintf("%d-%d; ", from, to)
	}
	return text
}

func (m *told) shows(i int) bool { n := len(m.seen[i]); return n > 0 && m.seen[i][n-1].shown }

// Whatever order evidence comes in, with members that leave and come back in between: a fold that goes through all of it, one that is kept as a
// snapshot again and again, one that replays the leaves, and a model that knows when what was signed come to the same.
func TestInterleavedEvidence(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 20
	}
	taken, older, twice, silent, tied, rolled := 0, 0, 0, 0, 0, 0
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(uint64(seed), 6))
		r := rolltest.New(t)
		r.Now = rolltest.Start.Add(6 * day)
		org := rolltest.NewOrg("our.example", 2, 0, 1)
		kept := reread(t, r.State)
		m := told{leads: -1, cuts: -1, ends: -1, recorded: map[int]bool{}}
		for range 30 {
			if rng.IntN(4) == 0 {
				kept = reread(t, kept)
			}
			at := rng.IntN(len(offers()))
			o, index := offers()[at], r.State.Size()
			var e *entry.Entry
			var chain []byte
			var want string // what a refusal says
			switch {
			case !m.member:
				e = r.Registration(org)
				if rng.IntN(2) == 0 {
					chain = o.chain
					switch {
					case m.older(o):
						want = "older"
					case o.insecure || o.keys == 0:
						want = "any of the keys"
					}
				}
			case rng.IntN(12) == 0:
				e = rolltest.Sign(r.Draft(&entry.Membership{Action: entry.Leave, Member: "our.example"}, org))
			default:
				e = evidenceOf(o.chain)
				switch {
				case m.recorded[at]:
					want = "in the record already"
					twice++
				case m.older(o):
					want = "older"
					older++
					if !o.insecure && o.above >= m.cuts && o.leaf >= m.ends {
						switch {
						case !m.rolled(o):
							tied++
						case !m.tied(o):
							rolled++
						}
					}
				case (o.insecure || o.keys == 0) && !m.shows(0) && !m.shows(1):
					want = "says nothing"
					silent++
				}
			}
			l := &entry.Leaf{Admitted: r.Now, Entry: e, Chain: chain}
			got := kept.Admit(l, nil)
			if err := r.ApplyWith(e, chain); (err == nil) != (want == "") || fmt.Sprint(err) != fmt.Sprint(got) {
				t.Fatalf("seed %d, entry %d: %v and %v, want %q", seed, index, err, got, want)
			}
			if want != "" {
				checkRefusal(t, got, roll.RuleEvidence, want)
				continue
			}
			switch b := e.Body.(type) {
			case *entry.Evidence:
				m.take(at, o, index)
				taken++
			case *entry.Membership:
				m.member = b.Action == entry.Register
				if m.member {
					m.seen = [2][]sighting{}
				}
				if chain != nil {
					m.take(at, o, index)
				}
			}
			var first, gone []string
			for i, k := range org.Keys {
				key, _ := kept.Key(k.Ref())
				text := ""
				for _, p := range key.Published {
					if text += fmt.Sprintf("%d-%d", p.First.Index, p.Last.Index); p.Ended {
						text += fmt.Sprintf(" until %d", p.End.Index)
					}
					text += "; "
				}
				if want := spansOf(m.seen[i]); text != want {
					t.Fatalf("seed %d, entry %d: key %d is published over %q, want %q", seed, index, i, text, want)
				}
				if n := len(m.seen[i]); n > 0 && m.seen[i][n-1].index == index {
					before := n > 1 && m.seen[i][n-2].shown
					switch now := m.seen[i][n-1].shown; {
					case now && !before:
						first = append(first, k.Ref().String())
					case before && !now:
						gone = append(gone, k.Ref().String())
					}
				}
			}
			var proves dnssec.Outcome
			switch _, evidence := e.Body.(*entry.Evidence); {
			case !evidence && chain == nil:
			case o.insecure:
				proves = dnssec.Insecure
			case o.keys == 0:
				proves = dnssec.Absent
			default:
				proves = dnssec.Published
			}
			if shown, missing, outcome := kept.News("our.example", index); outcome != proves || fmt.Sprint(shown, missing) != fmt.Sprint(first, gone) {
				t.Fatalf("seed %d, entry %d is news of %v and %v, want %v and %v", seed, index, shown, missing, first, gone)
			}
		}
		replayed := roll.New(rolltest.Origin)
		for i, leaf := range r.Leaves {
			if err := replayed.Apply(uint64(i), leaf); err != nil {
				t.Fatal(err)
			}
		}
		if b := string(replayed.Snapshot()); b != string(r.State.Snapshot()) || b != string(kept.Snapshot()) {
			t.Fatalf("seed %d: the states differ", seed)
		}
	}
	text := fmt.Sprintf("%d pieces of evidence were taken, %d were older (%d of them by a tie alone, %d by a delegation alone), %d known, %d said nothing", taken, older, tied, rolled, twice, silent)
	if taken < seeds || older < seeds || tied < seeds/8 || rolled < seeds/2 || twice < seeds/20 || silent < seeds/8 {
		t.Errorf("%s: too few of a kind", text)
	}
	t.Log(text)
}
