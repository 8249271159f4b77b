package roll

import (
	"slices"
	"strings"

	"github.com/tccm/undersigned/verify/entry"
)

// statement judges what the operator and publishers say about a statement.
func (t *trial) statement(b *entry.Statement) (func(), error) {
	operator, err := t.author()
	if err != nil {
		return nil, err
	}
	st := t.s.statements[b.Statement]
	if b.Action == entry.Publish {
		return t.publish(b, st, operator)
	}
	if st == nil {
		return nil, t.refuse(RuleStatement, "the statement %s has not been published", b.Statement)
	}
	if !operator && st.publisher != t.e.Signer {
		return nil, t.refuse(RuleSigner, "the statement was published by %s", st.publisher)
	}
	switch open := st.open(t.Admitted); {
	case b.Action == entry.Close && !open:
		return nil, t.refuse(RuleOpen, "the statement is closed already")
	case b.Action == entry.Reopen && open:
		return nil, t.refuse(RuleOpen, "the statement is open already")
	}
	if err := t.closes(b); err != nil {
		return nil, err
	}
	return func() {
		st.lastID = t.id
		if b.Action == entry.Close {
			st.closed, st.closedAt = true, t.Mark
		} else {
			st.closed, st.closedAt, st.closes = false, Mark{}, b.Closes
		}
	}, nil
}

// author refuses the entry unless the operator signs it (true) or a publisher
// does with its quorum (false).
func (t *trial) author() (operator bool, err error) {
	if t.byOperator() {
		return true, nil
	}
	if !slices.Contains(t.s.charter.publishers, t.e.Signer) {
		if t.e.Signer == t.s.charter.operator {
			return false, t.refuse(RuleKey, "a key line is not of the operator's keys")
		}
		return false, t.refuse(RuleSigner, "%s is neither the operator nor a publisher", t.e.Signer)
	}
	m, err := t.member()
	if err != nil {
		return false, err
	}
	n, err := t.signers(m, 0, nil)
	if err != nil {
		return false, err
	}
	return false, t.quorum(m, n, false)
}

func (t *trial) closes(b *entry.Statement) error {
	if !b.Closes.IsZero() && !b.Closes.After(t.Admitted) {
		return t.refuse(RuleCloses, "closes is not after the time of admission")
	}
	return nil
}

func (t *trial) publish(b *entry.Statement, st *statement, operator bool) (func(), error) {
	if st != nil {
		return nil, t.refuse(RuleStatement, "the statement was published by entry %d", st.Index)
	}
	var old *statement
	if b.Supersedes != nil {
		old = t.s.statements[*b.Supersedes]
		switch {
		case *b.Supersedes == b.Statement:
			return nil, t.refuse(RuleSupersede, "the statement supersedes itself")
		case old == nil:
			return nil, t.refuse(RuleSupersede, "it supersedes a statement that has not been published")
		case !operator && old.publisher != t.e.Signer:
			return nil, t.refuse(RuleSupersede, "it supersedes a statement of %s", old.publisher)
		}
	}
	if err := t.closes(b); err != nil {
		return nil, err
	}
	return func() {
		s := t.s
		st := &statement{
			Mark: t.Mark, id: uint32(len(s.published)), entryID: t.id, hash: b.Statement, publisher: t.s.known(t.e.Keys[0]).domain,
			title: strings.Clone(b.Title), language: strings.Clone(b.Language), mediaType: strings.Clone(b.MediaType), size: b.Size,
			closes: b.Closes, lastID: t.id, sealed: minTime,
		}
		for _, r := range b.Renditions {
			r.Language, r.MediaType = strings.Clone(r.Language), strings.Clone(r.MediaType)
			st.renditions = append(st.renditions, r)
		}
		if old != nil {
			st.supersedes = &old.hash
			old.superseded = append(old.superseded, st.hash)
		}
		s.statements[st.hash] = st
		s.published = append(s.published, st)
	}, nil
}
