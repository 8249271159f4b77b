package verify

import (
	"context"
	"slices"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// maxContradictions bounds the contradiction files of a report.
const maxContradictions = 16

// vkeys returns all keys of a policy: whoever may have contradicted itself.
func (p *Policy) vkeys() []keys.VKey {
	var vkeys []keys.VKey
	for _, l := range p.logs {
		vkeys = append(vkeys, l.VKey)
	}
	for _, w := range p.witnesses {
		vkeys = append(vkeys, w.VKey)
	}
	return vkeys
}

// Convicts reports whether a contradiction file names a key of the log with this origin, by the policy's log lines. Any other
// convicts witnesses alone, and says nothing against the record.
func (p *Policy) Convicts(origin string, c *Contradiction) bool {
	return slices.ContainsFunc(c.Keys, func(k keys.VKey) bool {
		return k.Name == origin && slices.ContainsFunc(p.logs, func(l PolicyLog) bool { return l.VKey.SameKey(k) })
	})
}

// convicted says whether there are as many contradiction files as a report has.
func (a *auditor) convicted() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.report.Contradictions) >= maxContradictions
}

// convict keeps a contradiction file, if there is one. It may be called from any goroutine.
func (a *auditor) convict(c *Contradiction) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c == nil {
		return
	}
	list := &a.report.Misled
	if a.policy.Convicts(a.report.Origin, c) {
		list = &a.report.Contradictions
	}
	if len(*list) < maxContradictions {
		*list = append(*list, c)
	}
}

// convictBack convicts those who signed the smaller of two trees as the newest after the larger one, and reports whether the log did.
func (a *auditor) convictBack(larger, smaller []byte) (log bool) {
	var tried []keys.VKey
	for _, k := range a.policy.vkeys() {
		if slices.ContainsFunc(tried, func(o keys.VKey) bool { return o.String() == k.String() }) {
			continue // it is the log's and a witness's
		}
		tried = append(tried, k)
		if c := rolledBack([]keys.VKey{k}, larger, smaller); c != nil {
			a.convict(c)
			log = log || a.policy.Convicts(a.report.Origin, c)
		}
	}
	return log
}

// convictNote holds another signed note against the one that is audited.
func (a *auditor) convictNote(ctx context.Context, note []byte) {
	a.convict(Contradict(a.policy.vkeys(), note, a.report.checkpoint.Note, a.hashes.nodes(ctx)))
}

// support reads a leaf and its inclusion proof under the audited checkpoint.
func (a *auditor) support(ctx context.Context, index uint64) (Support, bool) {
	s := Support{Index: index}
	leaves, err := a.hashes.Entries(ctx, index/TileWidth)
	if err != nil || index%TileWidth >= uint64(len(leaves)) {
		return s, false
	}
	s.Leaf = leaves[index%TileWidth]
	s.Proof, err = a.hashes.InclusionProof(ctx, index, a.report.Size)
	return s, err == nil
}

// convictEntry tries to prove by itself that an entry is inadmissible, or beside the one that stands in its way.
func (a *auditor) convictEntry(ctx context.Context, index uint64, raw []byte, l *entry.Leaf) {
	if a.convicted() {
		return
	}
	own, ok := a.support(ctx, index)
	if !ok || string(own.Leaf) != string(raw) {
		return
	}
	vkeys, note := a.policy.vkeys(), a.report.checkpoint.Note
	if l == nil {
		a.convict(ContradictEntry(vkeys, note, nil, own))
		return
	}
	var public []entry.PublicKey
	for _, n := range l.Entry.Named() {
		if k, ok := a.report.State.Key(n.Ref); ok {
			public = append(public, entry.PublicKey{Suite: k.Public.Suite(), SPKI: k.Public.SPKI()})
		}
	}
	if c := ContradictEntry(vkeys, note, public, own); c != nil {
		a.convict(c)
		return
	}
	var others []uint64
	if index > 0 {
		others = append(others, index-1)
	}
	if e, ok := l.Entry.Body.(*entry.Endorsement); ok {
		if before, ok := a.report.State.Endorsement(l.Entry.Signer, e.Statement); ok {
			others = append(others, before.Index)
		}
	}
	for _, i := range others {
		if other, ok := a.support(ctx, i); ok {
			if c := ContradictEntry(vkeys, note, nil, other, own); c != nil {
				a.convict(c)
				return
			}
		}
	}
}

// convictTime tries to prove, by a published note, that an entry was not recorded when it says.
func (a *auditor) convictTime(ctx context.Context, index uint64, s span) {
	if a.convicted() {
		return
	}
	own, ok := a.support(ctx, index)
	if !ok {
		return
	}
	var err error
	if s.note == nil {
		if s.note, err = a.fetch(ctx, CheckpointPath(s.size)); err != nil {
			return
		}
	}
	if s.size <= index {
		a.convict(ContradictTime(a.policy, a.report.checkpoint.Note, s.note, own))
		return
	}
	if own.Proof, err = a.hashes.InclusionProof(ctx, index, s.size); err == nil {
		a.convict(ContradictTime(a.policy, s.note, nil, own))
	}
}
