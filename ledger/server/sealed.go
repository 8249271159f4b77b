package server

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// sealedJSON is a sealed list in an answer.
type sealedJSON struct {
	mark
	AsOf    string `json:"as_of"`
	Count   uint64 `json:"count"`
	Receipt string `json:"receipt_url"` // of the whole list
}

// rolls serves /api/v1/rolls/<hex>: the sealed lists of a statement, by index.
func (s *Server) rolls(w http.ResponseWriter, r *http.Request, rest string) {
	statement, p := s.lookUp(rest)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	var all []roll.Sealed
	if err := s.ledger.View(func(st *roll.State) { all = st.Rolls(statement.Statement) }); err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	for published := s.ledger.Published().Size; len(all) > 0 && all[len(all)-1].Index >= published; {
		all = all[:len(all)-1]
	}
	paged(s, w, r, all, func(l roll.Sealed) sealedJSON {
		return sealedJSON{markOf(l.Mark), stamp(l.AsOf), l.Count, rollReceiptPath(statement.Statement, l.AsOf)}
	})
}

// rollReceiptPath is that of the file with the whole list sealed as of a moment.
func rollReceiptPath(statement entry.Hash, asOf time.Time) string {
	return "/api/v1/roll-receipt/" + hexOf(statement) + "?" + url.Values{"as-of": {verify.Moment{Time: asOf}.Text()}}.Encode()
}

// rollReceipt serves /api/v1/roll-receipt/<hex>: the receipt of a sealed list.
func (s *Server) rollReceipt(w http.ResponseWriter, r *http.Request, rest string) {
	statement, p := s.lookUp(rest)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	q, p := parameters(r.URL, "as-of", "domain")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	domain := q.Get("domain")
	if q.Has("domain") && keys.CheckDomain(domain) != nil {
		s.fail(w, r, problemSaying(ProblemParameter, "domain is one as the record writes them, in lower case, such as apnic.net; an internationalized one is written with xn--."))
		return
	}
	ctx := r.Context()
	of, p := s.extent(ctx, statement, q)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	sealed, near, ok := s.ledger.SealedAt(statement.Statement, of.at.Time)
	if !ok {
		said := "No list of this statement is sealed that says who stood behind it on " + of.at.String() + "."
		for _, l := range near {
			said += " There is one as of " + verify.Moment{Time: l.AsOf}.String() + "."
		}
		s.fail(w, r, problemSaying(ProblemNotFound, said+" The list of any moment, without such a proof, is at /api/v1/roll/."))
		return
	}
	name := domain
	if domain == "" {
		if name = "signatories"; sealed.Count > uint64(s.limits.names) {
			s.fail(w, r, problemSaying(ProblemLong, longList))
			return
		}
	}
	note, err := s.noteOver(ctx, sealed.Index)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	receipt, err := s.makeRollReceipt(ctx, sealed.Index, domain, note)
	switch {
	case errors.Is(err, verify.ErrTooLarge):
		s.fail(w, r, problemSaying(ProblemLong, longRest))
		return
	case err != nil:
		s.fail(w, r, s.problemFrom(err))
		return
	}
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+"-"+strconv.FormatUint(sealed.Index, 10)+`.tlog-proof"`)
	s.content(w, r, typeText, of.cache(), receipt.Bytes(), false)
}

// makeRollReceipt makes one in its turn: it goes through all of the list.
func (s *Server) makeRollReceipt(ctx context.Context, index uint64, domain string, note []byte) (*verify.Receipt, error) {
	if err := s.history.take(ctx); err != nil {
		return nil, err
	}
	defer func() { <-s.history.turn }()
	return s.ledger.RollReceipt(ctx, index, domain, note)
}

// Why a file is not made.
const (
	longList = "This list has more than 10000 signatories, too many for one answer. Ask about one organization, or make the file from a copy of the record with undersigned receipt --roll."
	longRest = "What this rests on is too long for one file."
)

// noteOver returns the note that a receipt of an entry rests on: that of the first published checkpoint which covers it, because
// that says best by when it existed; or the newest, if by the policy that one says more.
func (s *Server) noteOver(ctx context.Context, index uint64) ([]byte, error) {
	newest := s.ledger.Checkpoint()
	size, err := s.covering(ctx, index)
	if err != nil || size == 0 {
		return newest, err
	}
	note, err := s.ledger.CheckpointAt(ctx, size)
	if err != nil {
		return nil, err
	}
	if s.policy != nil {
		afresh, err := s.ledger.LatestAt(ctx, size)
		if err != nil {
			return nil, err
		}
		return s.policy.Prefer(note, afresh, newest), nil
	}
	return note, nil
}
