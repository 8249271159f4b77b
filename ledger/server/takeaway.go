package server

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"strconv"

	"github.com/tccm/undersigned/ledger/takeaway"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

// Bounds of the pages that are taken away. What is larger is made from a copy of the record, with the program.
const (
	maxTakenEntries = 10_000   // of a whole record
	maxTakenRecord  = 16 << 20 // bytes of it
	maxTakenText    = 1 << 20  // bytes of a text beside a receipt
)

const (
	takenNowhere = "This server has no verifier for browsers, which such a page needs. Make the page from a copy of the record with undersigned receipt --html."
	takenLong    = "This record is too long for a page of its own. Make one from a copy of the record with undersigned receipt --html --whole."
)

// mayTake reports whether this server makes pages that check themselves.
func (s *Server) mayTake() bool { return s.offered != nil && takeaway.Available() }

// takeEntry serves /entry/<index>/page.html: the receipt of an endorsement or a withdrawal, as a page that checks itself.
func (s *Server) takeEntry(w http.ResponseWriter, r *http.Request, rest string) {
	index, p := s.index(r, rest)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	if !s.mayTake() {
		s.fail(w, r, problemSaying(ProblemNotFound, takenNowhere))
		return
	}
	ctx := r.Context()
	receipt, err := s.ledger.Receipt(ctx, index)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	leaf, err := entry.ParseLeaf(receipt.Leaf)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	body, ok := leaf.Entry.Body.(*entry.Endorsement)
	if !ok {
		s.fail(w, r, problemSaying(ProblemNotFound, "This entry is no endorsement and no withdrawal: there is no page of its own for it."))
		return
	}
	page := takeaway.Page{Receipt: receipt.Bytes(), About: body.Statement, Name: leaf.Entry.Signer + "-" + strconv.FormatUint(index, 10)}
	statement, p := s.lookUp(hexOf(body.Statement))
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	page.Title = statement.Title
	if statement.Size <= maxTakenText {
		text, err := s.ledger.Blob(ctx, body.Statement)
		switch {
		case err == nil:
			page.Texts = [][]byte{text}
		case !errors.Is(err, fs.ErrNotExist):
			s.fail(w, r, s.problemFrom(err))
			return
		}
	}
	s.take(w, r, page)
}

// takeRecord serves /statement/<hex>/page.html: the whole record, as a page that checks itself, about one statement.
func (s *Server) takeRecord(w http.ResponseWriter, r *http.Request, statement roll.Statement) {
	if _, p := parameters(r.URL); p != nil {
		s.fail(w, r, *p)
		return
	}
	if !s.mayTake() {
		s.fail(w, r, problemSaying(ProblemNotFound, takenNowhere))
		return
	}
	published := s.ledger.Published()
	if published.Size > maxTakenEntries {
		s.fail(w, r, problemSaying(ProblemLong, takenLong))
		return
	}
	archive, err := s.archive(r.Context(), maxTakenRecord)
	if errors.Is(err, verify.ErrTooLarge) {
		s.fail(w, r, problemSaying(ProblemLong, takenLong))
		return
	}
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	s.take(w, r, takeaway.Page{Archive: archive, About: statement.Statement, Title: statement.Title, Name: "record-" + strconv.FormatUint(published.Size, 10)})
}

// archive packs the published record, with what is kept of past checkpoints and texts, in its turn, as long as it has at most so many bytes.
func (s *Server) archive(ctx context.Context, most int) ([]byte, error) {
	if err := s.history.take(ctx); err != nil {
		return nil, err
	}
	defer func() { <-s.history.turn }()
	sizes, err := s.ledger.CheckpointSizes(ctx)
	if err != nil {
		return nil, err
	}
	texts, err := s.ledger.Blobs(ctx)
	if err != nil {
		return nil, err
	}
	b := bounded{most: most}
	if err := verify.WriteArchive(ctx, &b, s.ledger.Fetch, sizes, texts); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// bounded takes so many bytes.
type bounded struct {
	bytes.Buffer
	most int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.most {
		return 0, verify.ErrTooLarge
	}
	return b.Buffer.Write(p)
}

// take sends a page, to be saved. It is never shown from here: its script is not one that the pages of this server allow.
func (s *Server) take(w http.ResponseWriter, r *http.Request, page takeaway.Page) {
	page.Policy, page.Origin, page.Link, page.Made, page.Given = s.offered, s.ledger.Origin(), s.url, s.now(), takeaway.ByServer
	if page.Link != "" && page.Link[len(page.Link)-1] != '/' {
		page.Link += "/"
	}
	html, err := takeaway.Make(page)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	w.Header().Set("Content-Disposition", `attachment; filename="`+page.Name+`.html"`)
	s.content(w, r, typeHTML, cacheShort, html, false)
}
