package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"rsc.io/qr"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// An entryView is what the page of an entry shows: what is recorded, and what the receipt is.
type entryView struct {
	Index     uint64
	Admitted  time.Time
	Kind      entry.Kind
	Said      any // the entry in a sentence, of the catalogue
	Signer    string
	Name      string // of the signer, as it was called when the entry was recorded
	Date      string // the signer's claim; "" if nobody signed
	ID        entry.Hash
	LeafHash  entry.Hash
	Keys      []keys.Ref
	Text      string          // the signed note
	Statement *roll.Statement // that it is about, if it is
	Later     *roll.Mark      // the last word of the same organization about the statement, if this is not it
	LaterGone bool            // and it withdraws
	Disputed  bool

	Chain     int       // bytes of the DNSSEC chain that came with it; 0: none did
	Covered   uint64    // size of the first published checkpoint that holds it
	NotBefore time.Time // signed after, if known
	NoLater   time.Time // existed by, if known

	Added    *keys.Ref   // the key that it brings beside those that signed; Ended is the one that it replaces, revokes or suspends
	Ended    *keys.Ref   // nil: none
	Since    *stolenFrom // from where on the ended key is said to be stolen; nil: it is not
	Vouchers []string    // domains that vouch by it

	Receipt string // path
	Command string // that tells of the entry, if it is nothing that verify answers about; a record's address follows
	Address string // of the page; "" if the server does not know its own
	Code    *qrCode
}

// A stolenFrom is the first entry that is disputed because of a key that was said to be stolen.
type stolenFrom struct {
	Index uint64
	At    time.Time // zero: it is not in the record yet
}

// Answers reports whether verify has an answer about its receipt: about an endorsement, a withdrawal, or a sealed list.
func (v *entryView) Answers() bool { return v.Endorses() || v.Kind == entry.KindRoll }

// commandFor returns the command that replays a record and tells best of an entry in it.
func commandFor(e *entry.Entry) string {
	switch body := e.Body.(type) {
	case *entry.Membership:
		return "show --policy policy.txt " + body.Member
	case *entry.KeyEvent:
		return "show --policy policy.txt " + body.Member
	case *entry.Statement:
		return "statement show --policy policy.txt"
	}
	return "audit --policy policy.txt"
}

// Endorses reports whether it is an endorsement or a withdrawal.
func (v *entryView) Endorses() bool { return v.Kind == entry.KindEndorsement }

// A qrCode is drawn in a square of Size units.
type qrCode struct {
	Size int
	Path string
}

// entryPage serves /entry/<index>.
func (s *Server) entryPage(w http.ResponseWriter, r *http.Request, rest string) {
	if number, ok := strings.CutSuffix(rest, "/page.html"); ok {
		s.takeEntry(w, r, number)
		return
	}
	index, p := s.index(r, rest)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	v, p := s.newView(r, "entry")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	var err error
	if v.Entry, err = s.entryView(r.Context(), index); err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	v.Takeaway = s.mayTake() && v.Entry.Endorses()
	s.show(w, r, v, cacheShort)
}

// entryView collects what the page of a published entry shows.
func (s *Server) entryView(ctx context.Context, index uint64) (*entryView, error) {
	if _, err := s.history.read(ctx); err != nil {
		return nil, err
	}
	b, err := s.ledger.Leaf(ctx, index)
	if err != nil {
		return nil, err
	}
	leaf, err := entry.ParseLeaf(b)
	if err != nil {
		return nil, err
	}
	e := leaf.Entry
	v := &entryView{
		Index: index, Admitted: leaf.Admitted, Kind: e.Body.Kind(), Signer: e.Signer, Name: s.history.nameAt(e.Signer, index+1), Date: e.Date, ID: e.ID(),
		LeafHash: verify.LeafHash(b), Keys: e.Keys, Text: string(e.Bytes()), Receipt: receiptPath(index),
	}
	bounds, err := s.bounds(ctx, index, e)
	if err != nil {
		return nil, err
	}
	v.Covered, v.NotBefore, v.NoLater, v.Chain = bounds.Size, bounds.NotBefore, bounds.NoLater, len(leaf.Chain)
	if hash, ok := aboutStatement(e); ok {
		err := s.ledger.View(func(st *roll.State) {
			if about, ok := st.Statement(hash); ok {
				v.Statement = &about
			}
			if last, ok := st.Endorsement(e.Signer, hash); ok && v.Endorses() && last.Index != index && last.Index < s.ledger.Published().Size {
				v.Later, v.LaterGone = &last.Mark, last.Action == entry.Withdraw
			}
		})
		if err != nil {
			return nil, err
		}
	}
	disputed, err := s.disputed([]event{{index: index}}, []*entry.Leaf{leaf})
	if err != nil {
		return nil, err
	}
	v.Disputed = disputed[0]
	if !v.Answers() {
		v.Command = commandFor(e)
	}
	s.keyed(v, e)
	v.Said = s.sentence(v, e)
	if s.url != "" {
		v.Address = s.base() + entryAddress(index)
		if v.Code, err = drawCode(v.Address); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// keyed fills in what an entry does to keys, and who vouches.
func (s *Server) keyed(v *entryView, e *entry.Entry) {
	switch body := e.Body.(type) {
	case *entry.KeyEvent:
		if body.PublicKey != nil {
			ref := body.PublicKey.Ref()
			v.Added = &ref
		}
		v.Ended = body.Revokes
		if body.CompromisedAfter != nil {
			v.Since = s.stolenFrom(*body.CompromisedAfter)
		}
	case *entry.Membership:
		for _, by := range body.Vouchers {
			if !slices.Contains(v.Vouchers, by.Domain) {
				v.Vouchers = append(v.Vouchers, by.Domain)
			}
		}
	}
}

// stolenFrom returns an entry from which on a key is said to be stolen, in the record that has been read.
func (s *Server) stolenFrom(index uint64) *stolenFrom {
	return &stolenFrom{index, s.history.admittedAt(index)}
}

// aboutStatement returns the statement that an entry is about.
func aboutStatement(e *entry.Entry) (entry.Hash, bool) {
	switch body := e.Body.(type) {
	case *entry.Statement:
		return body.Statement, true
	case *entry.Endorsement:
		return body.Statement, true
	case *entry.Roll:
		return body.Statement, true
	}
	return entry.Hash{}, false
}

// sentence says what an entry says.
func (s *Server) sentence(v *entryView, e *entry.Entry) any {
	who := v.Name // below it stands the domain
	if who == "" {
		who = e.Signer
	}
	title := ""
	if v.Statement != nil {
		title = v.Statement.Title
	}
	switch body := e.Body.(type) {
	case *entry.Charter:
		if e.Genesis {
			return message("said.charter", "operator", body.Operator, "title", body.Title)
		}
		return message("said.amend", "operator", body.Operator, "title", body.Title)
	case *entry.Statement:
		switch body.Action {
		case entry.Publish:
			return message("said.publish", "who", who, "title", body.Title)
		case entry.Close:
			return message("said.close", "who", who, "title", title)
		}
		return message("said.reopen", "who", who, "title", title)
	case *entry.Membership:
		switch body.Action {
		case entry.Register:
			return message("said.register", "who", who)
		case entry.Update:
			return message("said.update", "who", who)
		}
		return message("said.leave", "who", who)
	case *entry.Endorsement:
		if body.Action == entry.Withdraw {
			return message("said.withdraw", "who", who, "title", title)
		}
		return message("said.endorse", "who", who, "title", title)
	case *entry.KeyEvent:
		switch body.Action {
		case entry.Add:
			return message("said.add", "who", who)
		case entry.Rotate:
			return message("said.rotate", "who", who)
		case entry.Revoke:
			return message("said.revoke", "who", who)
		}
		return message("said.suspend", "who", who, "member", body.Member)
	case *entry.Roll:
		return message("said.roll", "time", body.AsOf.UTC().Format(timeFormat), "title", title)
	case *entry.Evidence:
		if body.Type == entry.DNSSEC {
			return message("said.dnssec", "domain", body.Member)
		}
		return message("said.evidence", "type", body.Type)
	}
	return message("said.other", "kind", e.Body.Kind())
}

// quiet is the margin that a reader of a QR code wants around it, in units (ISO/IEC 18004, section 6.3.8).
const quiet = 4

// drawCode draws an address as a QR code: a path that fills the dark units of each row.
func drawCode(address string) (*qrCode, error) {
	code, err := qr.Encode(address, qr.M)
	if err != nil {
		return nil, err
	}
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			n := 0
			for code.Black(x+n, y) {
				n++
			}
			if n > 0 {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, n, n)
				x += n
			}
		}
	}
	return &qrCode{code.Size + 2*quiet, path.String()}, nil
}
