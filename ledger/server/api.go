package server

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
	maxFound     = 100
	maxQuery     = 100 // bytes
	maxOldKeys   = 64
)

func entryPath(index uint64) string   { return "/api/v1/entry/" + strconv.FormatUint(index, 10) }
func receiptPath(index uint64) string { return "/api/v1/receipt/" + strconv.FormatUint(index, 10) }

func stamp(t time.Time) string { return t.UTC().Format(entry.TimeFormat) }

// unicodeOf returns a domain in its own script, and "" if that is what it is in.
func unicodeOf(domain string) string {
	if u := keys.DomainToUnicode(domain); u != domain {
		return u
	}
	return ""
}

// A mark says where in the record something happened.
type mark struct {
	Index    uint64 `json:"index"`
	Admitted string `json:"admitted"`
}

func markOf(m roll.Mark) mark { return mark{m.Index, stamp(m.Admitted)} }

func markIf(yes bool, m roll.Mark) *mark {
	if !yes {
		return nil
	}
	at := markOf(m)
	return &at
}

// statementJSON is a statement in answers.
type statementJSON struct {
	Statement  entry.Hash      `json:"statement"`
	Title      string          `json:"title"`
	Language   string          `json:"language"`
	MediaType  string          `json:"media_type"`
	Size       int64           `json:"size"`
	Renditions []renditionJSON `json:"renditions"`
	Publisher  string          `json:"publisher"`
	Published  mark            `json:"published_at"`
	Supersedes *entry.Hash     `json:"supersedes,omitempty"`
	Superseded []entry.Hash    `json:"superseded_by"`
	Open       bool            `json:"open"`
	ClosedAt   *mark           `json:"closed_at,omitempty"`
	Closes     string          `json:"closes,omitempty"`
	Standing   int             `json:"standing"`
	TextURL    string          `json:"text_url"`
	RollURL    string          `json:"roll_url"`
}

type renditionJSON struct {
	Language  string     `json:"language"`
	Hash      entry.Hash `json:"hash"`
	Size      int64      `json:"size"`
	MediaType string     `json:"media_type"`
	TextURL   string     `json:"text_url"`
}

func (s *Server) statementOf(st roll.Statement) statementJSON {
	j := statementJSON{
		Statement: st.Statement, Title: st.Title, Language: st.Language, MediaType: st.MediaType, Size: st.Size,
		Renditions: []renditionJSON{}, Publisher: st.Publisher, Published: markOf(st.Mark),
		Supersedes: st.Supersedes, Superseded: st.Superseded, Open: s.open(st), ClosedAt: markIf(st.Closed, st.ClosedAt),
		Standing: st.Standing, TextURL: blobPath(st.Statement), RollURL: "/api/v1/roll/" + hexOf(st.Statement),
	}
	if j.Superseded == nil {
		j.Superseded = []entry.Hash{}
	}
	if !st.Closes.IsZero() {
		j.Closes = stamp(st.Closes)
	}
	for _, r := range st.Renditions {
		j.Renditions = append(j.Renditions, renditionJSON{r.Language, r.Hash, r.Size, r.MediaType, blobPath(r.Hash)})
	}
	return j
}

// open reports whether a statement can be endorsed now.
func (s *Server) open(st roll.Statement) bool {
	return !st.Closed && (st.Closes.IsZero() || s.now().Before(st.Closes))
}

// statements serves /api/v1/statements.
func (s *Server) statements(w http.ResponseWriter, r *http.Request, _ string) {
	var all []roll.Statement
	if err := s.ledger.View(func(st *roll.State) { all = st.Statements() }); err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	paged(s, w, r, all, s.statementOf)
}

// statement serves /api/v1/statement/<hex>.
func (s *Server) statement(w http.ResponseWriter, r *http.Request, rest string) {
	st, p := s.lookUp(rest)
	if p == nil {
		_, p = parameters(r.URL)
	}
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	s.answer(w, r, s.statementOf(st))
}

// lookUp returns the statement whose fingerprint is the rest of a path.
func (s *Server) lookUp(rest string) (roll.Statement, *problem) {
	hash, ok := parseHex(rest)
	if !ok {
		p := problemOf(ProblemNotFound)
		return roll.Statement{}, &p
	}
	var found roll.Statement
	err := s.ledger.View(func(st *roll.State) { found, ok = st.Statement(hash) })
	if err != nil {
		p := s.problemFrom(err)
		return roll.Statement{}, &p
	}
	if !ok {
		p := problemSaying(ProblemNotFound, "This record has no statement with this fingerprint, which is the SHA-256 of its text file.")
		return roll.Statement{}, &p
	}
	return found, nil
}

// rollJSON is a list in an answer.
type rollJSON struct {
	Statement entry.Hash  `json:"statement"`
	AsOf      string      `json:"as_of,omitempty"`
	Language  string      `json:"language"`  // whose alphabetical order it is in
	Size      uint64      `json:"size"`      // entries that were taken into account
	Published uint64      `json:"published"` // entries in the published record
	Count     int         `json:"count"`     // who stands behind it
	Items     []signatory `json:"items"`
	Withdrawn int         `json:"withdrawn_count"`
	Gone      []signatory `json:"withdrawn"`
	Next      string      `json:"next,omitempty"`
}

// roll serves /api/v1/roll/<hex>: the list computed from the entries up to a date. Its pages go
// through those that stand first, then through those that withdrew.
func (s *Server) roll(w http.ResponseWriter, r *http.Request, rest string) {
	statement, p := s.lookUp(rest)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	q, p := parameters(r.URL, "as-of", "size", "language", "limit", "page")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	page, ok := parsePage(q)
	if !ok {
		s.fail(w, r, badPage)
		return
	}
	answer, p := s.rollAt(r.Context(), statement, q, page)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	if q.Get("size") == "" {
		// The pages that follow are of the same record, whatever is added meanwhile.
		q.Set("size", strconv.FormatUint(answer.Size, 10))
	}
	answer.Next = page.next(r.URL, q, answer.Count+answer.Withdrawn)
	s.answer(w, r, answer)
}

// rollAt computes one page of a list at what q asks for.
func (s *Server) rollAt(ctx context.Context, statement roll.Statement, q url.Values, page page) (*rollJSON, *problem) {
	failed := func(err error) (*rollJSON, *problem) {
		p := s.problemFrom(err)
		return nil, &p
	}
	of, p := s.extent(ctx, statement, q)
	if p != nil {
		return nil, p
	}
	answer := &rollJSON{Statement: statement.Statement, Language: of.language.String(), Size: of.size, Published: of.published, Items: []signatory{}, Gone: []signatory{}}
	if of.dated {
		answer.AsOf = stamp(of.at.Time)
	}
	list, err := s.history.list(ctx, statement.Statement, of.size, of.language)
	if err != nil {
		return failed(err)
	}
	answer.Count, answer.Withdrawn = len(list.standing), len(list.withdrawn)
	standing, withdrawn := list.within(page, false)
	if answer.Items, err = s.signatories(ctx, standing, answer.Size); err != nil {
		return failed(err)
	}
	if answer.Gone, err = s.signatories(ctx, withdrawn, answer.Size); err != nil {
		return failed(err)
	}
	return answer, nil
}

// disputed reports for each leaf whether a key that signed it was in doubt by then.
func (s *Server) disputed(events []event, leaves []*entry.Leaf) ([]bool, error) {
	disputed := make([]bool, len(leaves))
	err := s.ledger.View(func(st *roll.State) {
		for i, leaf := range leaves {
			disputed[i] = st.Disputed(events[i].index, leaf.Entry.Keys...)
		}
	})
	return disputed, err
}

// keyJSON is a key of an organization in answers.
type keyJSON struct {
	Suite            keys.Suite `json:"suite"`
	Fingerprint      string     `json:"fingerprint"`
	SPKI             []byte     `json:"spki"`
	Registered       []uint64   `json:"registered"` // indexes
	Current          bool       `json:"current"`
	SuspendedAt      *uint64    `json:"suspended_at,omitempty"`
	RevokedAt        *uint64    `json:"revoked_at,omitempty"`
	CompromisedAfter *uint64    `json:"compromised_after,omitempty"`
	DisputedFrom     *uint64    `json:"disputed_from,omitempty"`

	Published []publishedJSON `json:"published,omitempty"` // the newest
}

// publishedJSON says over which time the record shows that the domain itself published a key in the DNS.
type publishedJSON struct {
	Index     uint64  `json:"index"` // of the first chain
	Since     string  `json:"since"`
	LastIndex uint64  `json:"last_index"`
	Until     string  `json:"until"` // the signatures of the last one were valid
	GoneIndex *uint64 `json:"gone_index,omitempty"`
	Gone      string  `json:"gone,omitempty"`
}

// maxPublished bounds how many times of one key are listed.
const maxPublished = 16

func publishedOf(spans []roll.Span) (list []publishedJSON) {
	for _, p := range spans[max(0, len(spans)-maxPublished):] {
		j := publishedJSON{Index: p.First.Index, Since: entry.FormatTime(p.First.Admitted), LastIndex: p.Last.Index, Until: entry.FormatTime(p.Last.NotAfter)}
		if p.Ended {
			j.GoneIndex, j.Gone = &p.End.Index, entry.FormatTime(p.End.Admitted)
		}
		list = append(list, j)
	}
	return list
}

func keyOf(k roll.Key) keyJSON {
	when := func(yes bool, index uint64) *uint64 {
		if !yes {
			return nil
		}
		return &index
	}
	return keyJSON{
		Suite: k.Ref.Suite, Fingerprint: k.Ref.Fingerprint.String(), SPKI: k.Public.SPKI(), Registered: k.Registered, Current: k.Current,
		SuspendedAt: when(k.Suspended, k.SuspendedAt), RevokedAt: when(k.Revoked, k.RevokedAt), CompromisedAfter: when(k.Compromised, k.CompromisedAfter),
		DisputedFrom: when(k.Disputed, k.DisputedFrom),
		Published:    publishedOf(k.Published),
	}
}

// keysOf returns the current keys and the newest of the others.
func keysOf(all []roll.Key) (list []keyJSON, omitted int) {
	list = []keyJSON{}
	old := 0
	for i := len(all) - 1; i >= 0; i-- {
		if !all[i].Current {
			if old++; old > maxOldKeys {
				omitted++
				continue
			}
		}
		list = append(list, keyOf(all[i]))
	}
	slices.Reverse(list)
	return list, omitted
}

type voucherJSON struct {
	Domain   string `json:"domain"`
	Index    uint64 `json:"index"`
	Operator bool   `json:"operator"`
	Member   bool   `json:"member"`
	Disputed bool   `json:"disputed"`
}

type signatoryJSON struct {
	Domain       string        `json:"domain"`
	Unicode      string        `json:"unicode,omitempty"`
	Name         string        `json:"name"`
	LegalName    string        `json:"legal_name,omitempty"`
	Registered   mark          `json:"registered"`
	Updated      mark          `json:"updated"`
	Left         *mark         `json:"left,omitempty"`
	Quorum       int           `json:"quorum"`
	Keys         []keyJSON     `json:"keys"`
	RecoveryKeys []keyJSON     `json:"recovery_keys"`
	KeysOmitted  int           `json:"keys_omitted"` // old keys beyond the newest 64
	Vouchers     []voucherJSON `json:"vouchers"`
	LastID       entry.Hash    `json:"last_id"`
	Endorsements string        `json:"endorsements_url"`
	History      string        `json:"history_url"`
	Published    uint64        `json:"published"`
}

// signatory serves /api/v1/signatory/<domain>, and its /history and /endorsements.
func (s *Server) signatory(w http.ResponseWriter, r *http.Request, rest string) {
	domain, part, whole := strings.Cut(rest, "/")
	if keys.CheckDomain(domain) != nil || whole && part != "history" && part != "endorsements" {
		s.fail(w, r, problemOf(ProblemNotFound))
		return
	}
	var member roll.Member
	var endorsements []roll.Endorsement
	var ok bool
	err := s.ledger.View(func(st *roll.State) {
		member, ok = st.Member(domain)
		if ok && part == "endorsements" {
			endorsements = st.Endorsements(domain)
		}
	})
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	if !ok {
		s.fail(w, r, problemSaying(ProblemNotFound, "No organization with this domain was ever registered in this record."))
		return
	}
	switch part {
	case "history":
		paged(s, w, r, member.History, eventOf)
	case "endorsements":
		paged(s, w, r, endorsements, endorsementOf)
	default:
		if _, p := parameters(r.URL); p != nil {
			s.fail(w, r, *p)
			return
		}
		s.answer(w, r, s.memberOf(member))
	}
}

func (s *Server) memberOf(m roll.Member) signatoryJSON {
	path := "/api/v1/signatory/" + m.Domain
	j := signatoryJSON{
		Domain: m.Domain, Unicode: unicodeOf(m.Domain), Name: m.Name, LegalName: m.LegalName,
		Registered: markOf(m.Registered), Updated: markOf(m.Updated), Left: markIf(m.Left, m.LeftAt),
		Quorum: m.Quorum, Vouchers: []voucherJSON{}, LastID: m.LastID,
		Endorsements: path + "/endorsements", History: path + "/history", Published: s.ledger.Published().Size,
	}
	var more int
	j.Keys, j.KeysOmitted = keysOf(m.Keys)
	j.RecoveryKeys, more = keysOf(m.RecoveryKeys)
	j.KeysOmitted += more
	for _, v := range m.Vouchers {
		j.Vouchers = append(j.Vouchers, voucherJSON{v.Domain, v.Index, v.Operator, v.Member, v.Disputed})
	}
	return j
}

type eventJSON struct {
	mark
	ID     entry.Hash   `json:"id"`
	Action entry.Action `json:"action"`
	Signer string       `json:"signer"`
	Keys   []string     `json:"keys"`
	Added  string       `json:"added,omitempty"`
	About  string       `json:"about,omitempty"`
}

func eventOf(e roll.Event) eventJSON {
	j := eventJSON{mark: markOf(e.Mark), ID: e.ID, Action: e.Action, Signer: e.Signer, Keys: refs(e.Keys)}
	if e.Added != nil {
		j.Added = e.Added.String()
	}
	if e.About != nil {
		j.About = e.About.String()
	}
	return j
}

func refs(list []keys.Ref) []string {
	texts := make([]string, 0, len(list))
	for _, ref := range list {
		texts = append(texts, ref.String())
	}
	return texts
}

type endorsementJSON struct {
	mark
	ID        entry.Hash   `json:"id"`
	Statement entry.Hash   `json:"statement"`
	Action    entry.Action `json:"action"`
	Date      string       `json:"date"`
	Keys      []string     `json:"keys"`
	Disputed  bool         `json:"disputed"`
	Receipt   string       `json:"receipt_url"`
}

func endorsementOf(e roll.Endorsement) endorsementJSON {
	return endorsementJSON{markOf(e.Mark), e.ID, e.Statement, e.Action, e.Date, refs(e.Keys), e.Disputed, receiptPath(e.Index)}
}

// paged answers with one page of a list.
func paged[T, J any](s *Server, w http.ResponseWriter, r *http.Request, all []T, item func(T) J) {
	q, p := parameters(r.URL, "limit", "page")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	page, ok := parsePage(q)
	if !ok {
		s.fail(w, r, badPage)
		return
	}
	answer := struct {
		Published uint64 `json:"published"`
		Count     int    `json:"count"`
		Items     []J    `json:"items"`
		Next      string `json:"next,omitempty"`
	}{s.ledger.Published().Size, len(all), []J{}, page.next(r.URL, q, len(all))}
	from, to := page.cut(len(all))
	for _, t := range all[from:to] {
		answer.Items = append(answer.Items, item(t))
	}
	s.answer(w, r, answer)
}

// A page is a part of a list: limit items from the number'th on, counted in pages from 1.
type page struct{ number, limit int }

var badPage = problemSaying(ProblemParameter, "limit is a number from 1 to 1000, and page one from 1 to 1000000.")

func parsePage(q url.Values) (page, bool) {
	p := page{1, defaultLimit}
	for _, f := range []struct {
		name string
		to   *int
		most uint64
	}{{"limit", &p.limit, maxLimit}, {"page", &p.number, 1_000_000}} {
		if !q.Has(f.name) {
			continue
		}
		n, ok := parseNumber(q.Get(f.name))
		if !ok || n < 1 || n > f.most {
			return page{}, false
		}
		*f.to = int(n)
	}
	return p, true
}

// cut returns which of n items are on the page.
func (p page) cut(n int) (from, to int) {
	from = min((p.number-1)*p.limit, n)
	return from, min(from+p.limit, n)
}

// next returns the path of the next page, "" if this is the last. The path has been routed, so it is
// one of ours, and q's values have been parsed.
func (p page) next(u *url.URL, q url.Values, n int) string {
	if _, to := p.cut(n); to >= n {
		return ""
	}
	q = url.Values(http.Header(q).Clone())
	q.Set("page", strconv.Itoa(p.number+1))
	return u.EscapedPath() + "?" + q.Encode()
}

type entryJSON struct {
	Index    uint64     `json:"index"`
	Admitted string     `json:"admitted"`
	Kind     entry.Kind `json:"kind"`
	Signer   string     `json:"signer,omitempty"` // nobody signs what the log makes
	Date     string     `json:"date,omitempty"`
	ID       entry.Hash `json:"id"`
	LeafHash entry.Hash `json:"leaf_hash"`
	Entry    string     `json:"entry"` // the signed note
	Receipt  string     `json:"receipt_url"`

	// By the word of witnesses that are the quorum of the ledger's own policy (verify.Bounds).
	Covered   uint64 `json:"covered_by"`           // size of the first published checkpoint that holds it
	NotBefore string `json:"not_before,omitempty"` // signed after, if known
	NoLater   string `json:"no_later,omitempty"`   // existed by, if known
}

// entry serves /api/v1/entry/<index>.
func (s *Server) entry(w http.ResponseWriter, r *http.Request, rest string) {
	index, p := s.index(r, rest)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	b, err := s.ledger.Leaf(r.Context(), index)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	leaf, err := entry.ParseLeaf(b)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	e := leaf.Entry
	answer := entryJSON{
		Index: index, Admitted: stamp(leaf.Admitted), Kind: e.Body.Kind(), Signer: e.Signer, Date: e.Date, ID: e.ID(), LeafHash: verify.LeafHash(b),
		Entry: string(e.Bytes()), Receipt: receiptPath(index),
	}
	bounds, err := s.bounds(r.Context(), index, e)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	answer.Covered = bounds.Size
	if !bounds.NotBefore.IsZero() {
		answer.NotBefore = stamp(bounds.NotBefore)
	}
	if !bounds.NoLater.IsZero() {
		answer.NoLater = stamp(bounds.NoLater)
	}
	cache := cacheForever
	if s.policy != nil {
		cache = cacheShort // under another policy the times are others
	}
	s.content(w, r, typeJSON, cache, encode(answer), true)
}

// bounds returns the times between which a published entry was signed and recorded, as far as the policy tells.
func (s *Server) bounds(ctx context.Context, index uint64, e *entry.Entry) (b verify.Bounds, err error) {
	if b.Size, err = s.covering(ctx, index); err != nil || b.Size == 0 || s.policy == nil {
		return b, err
	}
	// seen returns a time of a published note; zero: the policy does not take the note, such as one of keys that were changed.
	seen := func(size uint64, when func(*verify.SignedCheckpoint) time.Time) (t time.Time, err error) {
		note, err := s.ledger.CheckpointAt(ctx, size)
		if err != nil {
			return t, err
		}
		if c, err := s.policy.OpenPast(note); err == nil {
			t = when(c)
		}
		return t, nil
	}
	if b.NoLater, err = seen(b.Size, s.policy.NoLater); err != nil {
		return b, err
	}
	if body, ok := e.Body.(*entry.Endorsement); ok { // which quotes a note that was published here, or it would not be in the record
		b.NotBefore, err = seen(body.After.Size, s.policy.NotBefore)
	}
	return b, err
}

// covering returns the size of the first published checkpoint that covers an entry; 0: it is being published at this moment.
func (s *Server) covering(ctx context.Context, index uint64) (uint64, error) {
	sizes, err := s.ledger.CheckpointSizes(ctx)
	if err != nil {
		return 0, err
	}
	i, _ := slices.BinarySearch(sizes, index+1)
	if i == len(sizes) {
		return 0, nil
	}
	return sizes[i], nil
}

// index reads the rest of a path that takes no parameters as the index of a published entry.
func (s *Server) index(r *http.Request, rest string) (uint64, *problem) {
	if _, p := parameters(r.URL); p != nil {
		return 0, p
	}
	index, ok := parseNumber(rest)
	if !ok {
		p := problemOf(ProblemNotFound)
		return 0, &p
	}
	if size := s.ledger.Published().Size; index >= size {
		p := problemSaying(ProblemNotFound, "The published record has "+strconv.FormatUint(size, 10)+" entries, counted from 0, so this one is not in it yet.")
		return 0, &p
	}
	return index, nil
}

// receipt serves /api/v1/receipt/<index>.
func (s *Server) receipt(w http.ResponseWriter, r *http.Request, rest string) {
	index, p := s.index(r, rest)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	receipt, err := s.ledger.Receipt(r.Context(), index)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	w.Header().Set("Content-Disposition", `attachment; filename="entry-`+strconv.FormatUint(index, 10)+`.tlog-proof"`)
	s.content(w, r, typeText, cacheShort, receipt.Bytes(), false)
}

// inclusion serves /api/v1/proof/inclusion.
func (s *Server) inclusion(w http.ResponseWriter, r *http.Request, _ string) {
	index, size, p := s.proofOf(r, "index", "size")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	if index >= size {
		s.fail(w, r, problemSaying(ProblemParameter, "index must be less than size: entries are counted from 0."))
		return
	}
	hashes, err := s.ledger.Inclusion(r.Context(), index, size)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	s.content(w, r, typeJSON, cacheForever, encode(struct {
		Index  uint64   `json:"index"`
		Size   uint64   `json:"size"`
		Hashes []string `json:"hashes"`
	}{index, size, nodes(hashes)}), false)
}

// consistency serves /api/v1/proof/consistency.
func (s *Server) consistency(w http.ResponseWriter, r *http.Request, _ string) {
	from, to, p := s.proofOf(r, "from", "to")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	if from > to {
		s.fail(w, r, problemSaying(ProblemParameter, "from must not be larger than to."))
		return
	}
	hashes, err := s.ledger.Consistency(r.Context(), from, to)
	if err != nil {
		s.fail(w, r, s.problemFrom(err))
		return
	}
	s.content(w, r, typeJSON, cacheForever, encode(struct {
		From   uint64   `json:"from"`
		To     uint64   `json:"to"`
		Hashes []string `json:"hashes"`
	}{from, to, nodes(hashes)}), false)
}

// proofOf reads the two numbers of a proof; the second is the size of a tree that has been published.
func (s *Server) proofOf(r *http.Request, first, second string) (a, b uint64, p *problem) {
	q, p := parameters(r.URL, first, second)
	if p != nil {
		return 0, 0, p
	}
	a, ok := parseNumber(q.Get(first))
	b, ok2 := parseNumber(q.Get(second))
	published := s.ledger.Published().Size
	if !ok || !ok2 || b < 1 || b > published {
		p := problemSaying(ProblemParameter, first+" and "+second+" are numbers, and "+second+" is from 1 to the size of the published checkpoint, which is "+strconv.FormatUint(published, 10)+".")
		return 0, 0, &p
	}
	return a, b, nil
}

func nodes(hashes [][32]byte) []string {
	texts := make([]string, 0, len(hashes))
	for _, h := range hashes {
		texts = append(texts, base64.StdEncoding.EncodeToString(h[:]))
	}
	return texts
}

// search serves /api/v1/search: organizations by domain or name, statements by title or
// fingerprint, entries by ID.
func (s *Server) search(w http.ResponseWriter, r *http.Request, _ string) {
	q, p := parameters(r.URL, "q")
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	found, p := s.find(r.Context(), q.Get("q"), 0)
	if p != nil {
		s.fail(w, r, *p)
		return
	}
	type organization struct {
		Domain string `json:"domain"`
		Name   string `json:"name"`
		URL    string `json:"url"`
	}
	type item struct {
		Statement entry.Hash `json:"statement"`
		Title     string     `json:"title"`
		URL       string     `json:"url"`
	}
	answer := struct {
		Published     uint64         `json:"published"`
		Organizations []organization `json:"organizations"`
		Statements    []item         `json:"statements"`
		Entries       []string       `json:"entries"`
		Complete      bool           `json:"complete"` // false: there are more
	}{Published: found.published, Organizations: []organization{}, Statements: []item{}, Entries: []string{}, Complete: !found.moreOrganizations && !found.moreStatements}
	for _, o := range found.organizations {
		answer.Organizations = append(answer.Organizations, organization{o.domain, o.name, "/api/v1/signatory/" + o.domain})
	}
	for _, st := range found.statements {
		answer.Statements = append(answer.Statements, item{st.Statement, st.Title, "/api/v1/statement/" + hexOf(st.Statement)})
	}
	if found.entry != nil {
		answer.Entries = append(answer.Entries, entryPath(*found.entry))
	}
	s.answer(w, r, answer)
}

// What a search found.
type searched struct {
	published         uint64
	organizations     []found
	moreOrganizations bool
	statements        []roll.Statement
	moreStatements    bool
	entry             *uint64 // index
}

// find looks a text up in the published record: at most maxFound organizations, after so many others, and as many statements.
func (s *Server) find(ctx context.Context, q string, after int) (*searched, *problem) {
	text := strings.TrimSpace(q)
	if text == "" || len(text) > maxQuery || !utf8.ValidString(text) || fold(text) == "" {
		p := problemSaying(ProblemParameter, "q is what to look for, 1 to 100 bytes: a domain, a part of a name or title, or a fingerprint.")
		return nil, &p
	}
	failed := func(err error) (*searched, *problem) {
		p := s.problemFrom(err)
		return nil, &p
	}
	published, err := s.history.read(ctx)
	if err != nil {
		return failed(err)
	}
	f := &searched{published: published}
	all := s.history.find(text, after+maxFound+1)
	all = all[min(after, len(all)):]
	f.organizations, f.moreOrganizations = all[:min(maxFound, len(all))], len(all) > maxFound
	hash, err := entry.ParseHash(text)
	if err != nil {
		hash, _ = parseHex(text)
	}
	var statements []roll.Statement
	if err := s.ledger.View(func(st *roll.State) { statements = st.Statements() }); err != nil {
		return failed(err)
	}
	folded := fold(text)
	for _, st := range statements {
		if st.Statement != hash && !strings.Contains(fold(st.Title), folded) {
			continue
		}
		if f.moreStatements = len(f.statements) == maxFound; f.moreStatements {
			break
		}
		f.statements = append(f.statements, st)
	}
	if index, ok := s.ledger.Find(hash); ok && index < published {
		f.entry = &index
	}
	return f, nil
}
