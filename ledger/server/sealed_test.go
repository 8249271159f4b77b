package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tccm/undersigned/ledger"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// seal has the lists of a filled world sealed, of its text and its closed one each time, between other entries:
//
//	11, 12 roll         apnic.net stands behind worldText; as of 12 June 2024, 09:30:09.999
//	13 endorse          weird.example, worldText
//	14, 15 roll         a day later
//	16 withdraw         apnic.net, worldText
//	17, 18 roll         another day later
func seal(w *world) *world {
	w.Helper()
	lists := func() {
		w.Helper()
		if err := w.ledger.Seal(w.Context()); err != nil {
			w.Fatal(err)
		}
		w.advance(time.Second)
	}
	lists()
	w.must(w.endorsement(entry.Endorse, "weird.example", w.text))
	w.advance(24 * time.Hour)
	lists()
	w.must(w.endorsement(entry.Withdraw, "apnic.net", w.text))
	w.advance(24 * time.Hour)
	lists()
	w.advance(time.Hour)
	return w
}

// judged returns the verdict on a file that the server sends, after an audit of the record.
func (w *world) judged(path string) *verify.Verdict {
	w.Helper()
	receipt, err := verify.ParseReceipt(w.read(path))
	if err != nil {
		w.Fatalf("%s: %v", path, err)
	}
	policy, err := verify.ParsePolicy(fmt.Appendf(nil, "log %s\nlog %s\nquorum none\n", logSigners(w, w.ledger.Origin())[0].VKey, logSigners(w, w.ledger.Origin())[1].VKey))
	if err != nil {
		w.Fatal(err)
	}
	report, err := verify.Audit(w.Context(), policy, w.ledger.Fetch, verify.AuditOptions{Receipts: []*verify.Receipt{receipt}, Now: w.clock})
	if err != nil || !report.OK {
		w.Fatalf("%s: %v %+v", path, err, report)
	}
	return verify.Judge(verify.Input{Policy: policy, Receipt: receipt, Now: w.clock(), Record: report})
}

func TestRollReceipts(t *testing.T) {
	w := seal(newWorld(t))
	for _, c := range []struct {
		name, query string
		index       uint64
		code        int
		present     any
		sentence    string
	}{
		{"present", "?domain=apnic.net&as-of=2024-06-13T12:00:00Z", 0, 0, nil, ""},
		{"present, as of the roll", "?domain=apnic.net&as-of=2024-06-12T09:30:09.999Z", 11, verify.CodeOK, true, "the endorsement stood as of 12 June 2024"},
		{"present at the second", "?domain=weird.example&as-of=2024-06-13T09:30:11.999Z", 14, verify.CodeOK, true, "the endorsement stood as of 13 June 2024"},
		{"present now", "?domain=weird.example", 17, verify.CodeOK, true, "the endorsement stood as of 14 June 2024"},
		{"withdrawn before the first", "?domain=cira.ca&as-of=2024-06-12T09:30:09.999Z", 11, verify.CodeWithdrawn, false, "withdrew"},
		{"withdrawn now", "?domain=apnic.net", 17, verify.CodeWithdrawn, false, "withdrew"},
		{"absent", "?domain=weird.example&as-of=2024-06-12T09:30:09.999Z", 11, verify.CodeNotFound, false, "No endorsement of “We stand by this” by weird.example is in this record"},
		{"absent, never registered", "?domain=nobody.example", 17, verify.CodeNotFound, false, "by nobody.example is in this record as of 14 June 2024"},
		{"whole", "", 17, verify.CodeOK, nil, "1 organization, and nobody else, stood behind"},
		{"whole, two", "?as-of=2024-06-13T09:30:11.999Z", 14, verify.CodeOK, nil, "2 organizations, and nobody else, stood behind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := "/api/v1/roll-receipt/" + hexOf(w.text) + c.query
			if c.index == 0 {
				wantProblem(t, w.get(path), ProblemNotFound)
				return
			}
			v := w.judged(path)
			if v.Code != c.code || v.Roll == nil || v.Roll.Index != c.index || !strings.Contains(v.Sentence, c.sentence) {
				t.Errorf("%d: %s\n%+v", v.Code, v.Sentence, v.Roll)
			}
			switch {
			case c.present == nil && (v.Roll.Present != nil || uint64(len(v.Roll.Lines)) != v.Roll.Count):
				t.Errorf("%+v", v.Roll)
			case c.present != nil && (v.Roll.Present == nil || *v.Roll.Present != c.present):
				t.Errorf("%+v", v.Roll)
			}
		})
	}
	// Under the first checkpoint that has it, unless the policy does not take that one: then under the newest.
	under := func(want uint64) {
		t.Helper()
		receipt, err := verify.ParseReceipt(w.read("/api/v1/roll-receipt/" + hexOf(w.text) + "?as-of=2024-06-12T09:30:09.999Z"))
		if err != nil {
			t.Fatal(err)
		}
		text, _, _ := strings.Cut(string(receipt.Checkpoint), "\n\n")
		if c, err := verify.ParseCheckpoint([]byte(text + "\n")); err != nil || c.Size != want {
			t.Errorf("it is under %v, want %d (%v)", c.Size, want, err)
		}
	}
	under(13)
	logs := logSigners(t, "other.example/log")
	policy, err := verify.ParsePolicy(fmt.Appendf(nil, "log %s\nquorum none\n", logs[0].VKey))
	if err != nil {
		t.Fatal(err)
	}
	w.server.policy = policy
	under(19)
	// More than is sent whole.
	w.server.limits.names = 0
	path := "/api/v1/roll-receipt/" + hexOf(w.text)
	wantProblem(t, w.get(path), ProblemLong)
	w.read(path + "?domain=apnic.net")
	if page := string(w.read("/statement/" + hexOf(w.text))); strings.Contains(page, "proof of the whole list") || !strings.Contains(page, "Was an organization on it?") {
		t.Error("the page offers a list that is too long, or no proof at all")
	}
	if page := string(w.read("/statement/" + hexOf(w.text) + "?as-of=2024-06-13")); strings.Contains(page, "roll-receipt") {
		t.Error("the page offers a proof of another list than the one it shows")
	}
	if page := string(w.read("/statement/" + hexOf(w.text) + "?as-of=2024-06-14")); strings.Count(page, "roll-receipt") != 1 {
		t.Error("the page of a day does not offer its list")
	}
}

// TestRollsChosen: in a random history the server sends the very list that the program chooses from the record, and says
// that there is none when the program does.
func TestRollsChosen(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	w := newEmptyWorld(t, rolltest.Origin)
	var domains []string
	for i := range 4 {
		domains = append(domains, fmt.Sprintf("org%d.example", i))
		w.join(domains[i], domains[i])
	}
	w.text = w.publish(worldText, worldTitle)
	stands := map[string]bool{}
	for range 80 {
		w.advance(time.Duration(random.IntN(10_000)) * time.Second)
		domain := domains[random.IntN(len(domains))]
		switch {
		case random.IntN(3) == 0:
			if err := w.ledger.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
		case stands[domain]:
			w.must(w.endorsement(entry.Withdraw, domain, w.text))
			stands[domain] = false
		default:
			w.must(w.endorsement(entry.Endorse, domain, w.text))
			stands[domain] = true
		}
	}
	state := w.fold(w.clock())
	found, missing := 0, 0
	for range 300 {
		moment := rolltest.Start.Add(time.Duration(random.Int64N(int64(w.clock().Sub(rolltest.Start) + time.Hour)))).Truncate(time.Millisecond)
		if random.IntN(4) == 0 {
			day, _ := verify.ParseMoment(moment.Format(time.DateOnly))
			moment = day.Time
		}
		path := "/api/v1/roll-receipt/" + hexOf(w.text) + "?as-of=" + verify.Moment{Time: moment}.Text()
		if random.IntN(2) == 0 {
			path += "&domain=" + domains[random.IntN(len(domains))]
		}
		rec := w.get(path)
		agrees(t, theContract(), http.MethodGet, path, rec)
		if moment.After(w.clock()) {
			wantProblem(t, rec, ProblemParameter)
			continue
		}
		want, _, ok := state.SealedAt(w.text, state.Size(), moment)
		if !ok {
			missing++
			wantProblem(t, rec, ProblemNotFound)
			continue
		}
		found++
		receipt, err := verify.ParseReceipt(rec.Body.Bytes())
		if err != nil || receipt.Index != want.Index {
			t.Fatalf("%s: %d %v, want %d", path, rec.Code, err, want.Index)
		}
	}
	if found < 30 || missing < 30 {
		t.Errorf("%d found, %d missing", found, missing)
	}
	var listed struct{ Items []sealedJSON }
	if err := json.Unmarshal(w.read("/api/v1/rolls/"+hexOf(w.text)+"?limit=1000"), &listed); err != nil {
		t.Fatal(err)
	}
	for i, r := range state.Rolls(w.text) {
		if got := listed.Items[i]; got.Index != r.Index || got.AsOf != stamp(r.AsOf) || got.Admitted != stamp(r.Admitted) || got.Count != r.Count {
			t.Errorf("%+v, not %+v", got, r)
		}
		if receipt, err := verify.ParseReceipt(w.read(listed.Items[i].Receipt)); err != nil || receipt.Index != r.Index {
			t.Errorf("the receipt of roll %d: %v", r.Index, err)
		}
	}
}

// TestRollsUnpublished: what is stored and not published yet neither seals a list nor makes it another one.
func TestRollsUnpublished(t *testing.T) {
	var down atomic.Bool
	w := newEmptyWorld(t, rolltest.Origin, func(cfg *ledger.Config) {
		cfg.Cosign = cosigning(func(_ context.Context, note []byte) ([]byte, error) {
			if down.Load() {
				return nil, errors.New("no witness answers")
			}
			return note, nil
		})
	})
	fill(w)
	if err := w.ledger.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.advance(time.Second)
	w.server.limits.settle = 50 * time.Millisecond
	down.Store(true)
	if rec := w.do("POST", "/entries?wait=0s", "text/plain", bodies["weird endorses"](w)); rec.Code != http.StatusAccepted {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	w.advance(time.Second)
	given, stop := context.WithCancel(t.Context())
	stop()
	if err := w.ledger.Seal(given); err == nil {
		t.Fatal("it is published without a witness")
	}
	for range 600 { // stored in the background
		if w.ledger.Stats().Stored == 16 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if s := w.ledger.Stats(); s.Stored != 16 || s.Published != 13 {
		t.Fatalf("%+v", s)
	}
	text := hexOf(w.text)
	if list := string(w.read("/api/v1/rolls/" + text)); !strings.Contains(list, `"count":1,"items":[{"index":11,`) {
		t.Error(list)
	}
	for _, query := range []string{"", "?domain=weird.example"} {
		if receipt, err := verify.ParseReceipt(w.read("/api/v1/roll-receipt/" + text + query)); err != nil || receipt.Index != 11 {
			t.Errorf("%s: %v %v", query, receipt, err)
		}
	}
	if page := string(w.read("/statement/" + text)); !strings.Contains(page, "entry 11</a>") {
		t.Error("the page does not offer the list")
	}
}

// A clock that went back behind the record, or that of a second server, makes no moment of the record one that has not come yet.
func TestRollsAheadOfTheClock(t *testing.T) {
	w := seal(newWorld(t))
	w.advance(-2 * time.Hour)
	var listed struct {
		Items []struct {
			AsOf    string `json:"as_of"`
			Receipt string `json:"receipt_url"`
		}
	}
	if err := json.Unmarshal(w.read("/api/v1/rolls/"+hexOf(w.text)), &listed); err != nil {
		t.Fatal(err)
	}
	last := listed.Items[len(listed.Items)-1]
	if at, err := verify.ParseMoment(last.AsOf); err != nil || !at.Time.After(w.clock()) {
		t.Fatalf("%s is not ahead of the clock: %v", last.AsOf, err)
	}
	for _, path := range []string{last.Receipt, "/api/v1/roll/" + hexOf(w.text) + "?as-of=" + last.AsOf, "/api/v1/changes/" + hexOf(w.text) + "?as-of=" + last.AsOf + "&from=" + last.AsOf} {
		w.read(path)
	}
	w.server = New(Config{Ledger: w.ledger, Now: w.clock})
	w.read("/api/v1/changes/" + hexOf(w.text) + "?as-of=" + last.AsOf + "&from=" + last.AsOf)
	wantProblem(t, w.get("/api/v1/roll/"+hexOf(w.text)+"?as-of=2024-06-15"), ProblemParameter)
}
