package verify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// A sighting is what witnesses say of when a DNSSEC chain in the record existed. Whoever has a key that was rolled or broken can sign with
// any date: a chain shows something only if it existed before its signatures ended. That it was valid at its admission, the fold has
// made sure, but by the ledger's own clock.
type sighting struct {
	standing seen
	since    time.Time // a quorum had seen the record without it; zero: unknown
	by       time.Time // a quorum had seen the record with it; zero: unknown
}

// seen is what a sighting comes to.
type seen uint8

const (
	seenNever  seen = iota // no copy that the audit saw fixes when
	seenNobody             // the policy asks for no witnesses
	seenLate               // the first copy with it was seen after its signatures had ended
	seenAfter              // a copy without it was seen after that
	seenInTime             // a copy with it was seen before
)

// ChainInTime reports whether a quorum of witnesses saw the DNSSEC chain in the entry at index before its signatures ended, of the chains that the audit was asked
// about (AuditOptions.Receipts and About; all if there are none).
func (r *Report) ChainInTime(index uint64) bool { return r.chains[index].standing == seenInTime }

// maxSightings bounds the notes that are fetched to see when chains existed, newest chain first, those that are asked about before others.
const maxSightings = 1000

// sumChains judges every chain in the record at both ends of the time between the copies that witnesses saw before and after it.
func (a *auditor) sumChains(ctx context.Context, c *SignedCheckpoint) {
	r := a.report
	if r.State == nil {
		return
	}
	r.chains = make(map[uint64]sighting)
	l := newLookout(a, c)
	about, all := a.chainsAbout()
	unknown := 0
	for _, at := range about {
		s := l.judge(ctx, at.Chain)
		r.chains[at.Index] = s
		ended := fmt.Sprintf("Entry %d holds what the DNS said of the keys of %s, in signatures that ended %s", at.Index, display(at.domain), second(at.NotAfter))
		switch s.standing {
		case seenNever, seenNobody:
			unknown++
		case seenLate:
			a.remark(&at.Index, fmt.Sprintf("%s; no quorum of witnesses says that it existed before %s.", ended, second(s.by)))
		case seenAfter:
			a.remark(&at.Index, fmt.Sprintf("%s; witnesses saw the record without it later than that, %s.", ended, second(s.since)))
		}
	}
	what := "Of all that the record holds"
	if !all {
		what = "Of what the record holds about those that are asked about"
	}
	switch {
	case unknown == 0:
	case a.policy.NoQuorum():
		a.remark(nil, fmt.Sprintf("The policy asks for no witnesses, so that only the ledger's own word says when the DNS said what %s.", entriesHold(unknown)))
	default:
		a.remark(nil, fmt.Sprintf("%s, this audit saw no copy of the record that fixes when the DNS said what %s.", what, entriesHold(unknown)))
	}
}

func entriesHold(n int) string {
	if n == 1 {
		return "1 entry holds"
	}
	return fmt.Sprintf("%d entries hold", n)
}

// chainAbout is a chain and the domain that it is about.
type chainAbout struct {
	domain string
	roll.Chain
}

// chainsAbout returns the chains about the organizations that the audit is asked about, and about all whose vouching they rest on, in the
// order in which they matter; all of the record's if nobody is asked about.
func (a *auditor) chainsAbout() (list []chainAbout, all bool) {
	state := a.report.State
	var domains []string
	known := map[string]bool{}
	add := func(domain string) {
		if domain != "" && !known[domain] {
			known[domain] = true
			domains = append(domains, domain)
		}
	}
	add(a.o.About)
	for _, r := range a.o.Receipts {
		if leaf, err := entry.ParseLeaf(r.Leaf); err == nil {
			add(leaf.Entry.Signer)
		}
		add(r.Domain)
		for _, l := range r.Lines {
			add(l.Domain)
		}
	}
	if all = len(domains) == 0; all {
		for domain, c := range state.Chains() {
			list = append(list, chainAbout{domain, c})
		}
		slices.SortFunc(list, func(x, y chainAbout) int { return cmp.Compare(y.Index, x.Index) })
		return list, all
	}
	for i := 0; i < len(domains); i++ {
		m, _ := state.Member(domains[i])
		for _, c := range slices.Backward(m.Chains) {
			list = append(list, chainAbout{m.Domain, c})
		}
		for _, w := range m.Vouchers {
			add(w.Domain)
		}
	}
	return list, all
}

// A lookout knows when witnesses saw which copies of the record.
type lookout struct {
	a       *auditor
	sizes   []uint64    // of the copies that were seen, ascending
	since   []time.Time // the greatest span.from up to this one
	by      []time.Time // the least span.seen from this one on; zero: none
	looked  map[uint64]time.Time
	covered [][2]uint64 // of copies that the source named: of which entry it is the first, and its size; by size
	asked   int         // for the first copy with a chain
}

func newLookout(a *auditor, c *SignedCheckpoint) *lookout {
	l := &lookout{a: a, looked: make(map[uint64]time.Time)}
	copies := []span{{size: c.Size, from: c.notBefore, seen: a.policy.NoLater(c)}}
	for _, s := range a.spans {
		if s.stamp == 0 {
			copies = append(copies, s)
		}
	}
	slices.SortStableFunc(copies, func(x, y span) int { return cmp.Compare(x.size, y.size) })
	l.by = make([]time.Time, len(copies))
	for i, s := range copies {
		l.sizes = append(l.sizes, s.size)
		l.since = append(l.since, s.from)
		if i > 0 {
			l.since[i] = later(l.since[i-1], s.from)
		}
	}
	var by time.Time
	for i, s := range slices.Backward(copies) {
		by = earlier(by, s.seen)
		l.by[i] = by
	}
	return l
}

// judge tells when a chain was seen.
func (l *lookout) judge(ctx context.Context, c roll.Chain) (s sighting) {
	a := l.a
	i, _ := slices.BinarySearch(l.sizes, c.Index+1) // the first copy with it
	if i > 0 {
		s.since = l.since[i-1]
	}
	if i < len(l.sizes) {
		s.by = l.by[i]
	}
	inTime := func() bool {
		return !s.by.IsZero() && !s.by.After(c.NotAfter) && !s.by.Add(slack).Before(c.NotBefore)
	}
	first := a.o.Covering == nil && a.o.Paths != nil || i < len(l.sizes) && l.sizes[i] == c.Index+1
	if !inTime() && !first && a.o.Covering != nil && ctx.Err() == nil {
		if size, ok := l.firstWith(ctx, c.Index); ok {
			first = true
			s.by = earlier(s.by, l.look(ctx, size))
		}
	}
	switch {
	case a.policy.NoQuorum():
		s.standing = seenNobody
	case !s.since.IsZero() && s.since.After(c.NotAfter.Add(slack)):
		s.standing = seenAfter
	case inTime():
		s.standing = seenInTime
	case first && !s.by.IsZero() && s.by.After(c.NotAfter):
		s.standing = seenLate
	}
	return s
}

// firstWith returns the size of the first published copy with an entry, as the source says. Whoever asked for an earlier one knows it of all before that copy's end.
func (l *lookout) firstWith(ctx context.Context, index uint64) (size uint64, ok bool) {
	i, _ := slices.BinarySearchFunc(l.covered, index, func(c [2]uint64, index uint64) int { return cmp.Compare(c[1], index+1) })
	if i < len(l.covered) && l.covered[i][0] <= index {
		return l.covered[i][1], true
	}
	if l.asked >= maxSightings {
		return 0, false
	}
	l.asked++
	if size, ok = l.a.covering(ctx, index); ok {
		if i < len(l.covered) && l.covered[i][1] == size {
			l.covered[i][0] = min(l.covered[i][0], index)
		} else {
			l.covered = slices.Insert(l.covered, i, [2]uint64{index, size})
		}
	}
	return size, ok
}

// look tells by when the published copy of a size was seen, zero if that is not known.
func (l *lookout) look(ctx context.Context, size uint64) time.Time {
	by, known := l.looked[size]
	if known {
		return by
	}
	_, c, err := l.a.checkPast(ctx, CheckpointPath(size), size)
	if err != nil {
		l.a.pastBroken(size, err)
	} else {
		by = l.a.policy.NoLater(c)
	}
	l.looked[size] = by
	return by
}
