package verify_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
	"github.com/tccm/undersigned/verify/timestamp"
	"github.com/tccm/undersigned/verify/timestamp/timestamptest"
)

// stamp has an authority stamp what is published, and the log keep the token.
func (w *world) stamp(a *timestamptest.Authority) uint64 {
	return w.keep(w.checkpoint().Size, a.Token(w.note, 0))
}

func (w *world) keep(size uint64, token []byte) uint64 {
	w.tb.Helper()
	return w.rec.Must(&entry.Entry{Ledger: rolltest.Origin, Body: &entry.Evidence{Type: entry.RFC3161, Size: size, Data: token}})
}

func checker(t *testing.T, pem []byte) verify.CheckTimeStamp {
	t.Helper()
	r, err := timestamp.ParseRoots(pem)
	if err != nil {
		t.Fatal(err)
	}
	return r.Check
}

func TestTimeStamps(t *testing.T) {
	w, p, index, published := story(t)
	a := timestamptest.New(func() time.Time { return w.rec.Now }, timestamptest.Options{Name: "Stamps Ltd"})
	b := timestamptest.New(func() time.Time { return w.rec.Now.Add(time.Minute) }, timestamptest.Options{Name: "Other Stamps"})
	a.Accuracy = 2 * time.Second
	by := w.rec.Now.Truncate(time.Second).Add(a.Accuracy)
	first := w.stamp(a)
	w.stamp(b)
	w.seenAt(1, 2, 3)
	receipt := w.receipt(index)
	audit := func(roots []byte) *verify.Report {
		o := verify.AuditOptions{Receipts: []*verify.Receipt{receipt}, About: "apnic.net", Covering: w.covering}
		if roots != nil {
			o.TimeStamps = checker(t, roots)
		}
		return mustAudit(t, p, w.fetch, o)
	}
	all := slices.Concat(a.Roots(), b.Roots())
	for name, c := range map[string]struct {
		roots        []byte
		good, others uint64
		remark       string
	}{
		"both roots": {all, 2, 0, ""},
		"one root":   {a.Roots(), 1, 1, "1 time stamp could not be checked: it takes a root that answers for its authority among those given (--tsa-roots)."},
		"no roots":   {nil, 0, 2, "2 time stamps could not be checked: they take roots that answer for time-stamping authorities (--tsa-roots)."},
	} {
		r := audit(c.roots)
		if r.Code != 0 || r.Stamps != c.good || r.UncheckedStamps != c.others || (c.remark == "") != (len(r.Remarks) == 0) {
			t.Errorf("%s: code %d, %d checked, %d not, remarks %+v, findings %+v", name, r.Code, r.Stamps, r.UncheckedStamps, r.Remarks, r.Findings)
		}
		if c.remark != "" && r.Remarks[0].Sentence != c.remark {
			t.Errorf("%s: %s", name, r.Remarks[0].Sentence)
		}
		s, ok := r.Stamped(index)
		if ok != (c.good > 0) || ok && (s.Index != first || !s.By().Equal(by)) {
			t.Errorf("%s: %+v", name, s)
		}
		for how, in := range map[string]verify.Input{"the receipt": {Policy: p, Receipt: receipt, Statement: []byte(tccm), Record: r}, "the domain": {Policy: p, Domain: "apnic.net", Record: r}} {
			v := verify.Judge(in)
			if v.Code != 0 || v.Answers[2].State != verify.Confirmed || v.NoLater == nil || !v.NoLater.Equal(published[1].Add(20*time.Second)) {
				t.Errorf("%s, %s: %+v", name, how, v.Answers[2])
			}
			reasons := strings.Join(v.Answers[2].Reasons, " ")
			if c.good > 0 && (v.Stamped == nil || !v.Stamped.Equal(by) || v.StampedBy != "Stamps Ltd" || !strings.Contains(reasons, "The time-stamping authority Stamps Ltd says as well that it existed by") || !strings.Contains(strings.Join(v.How, " "), fmt.Sprintf("Entry %d of the record holds a time stamp by Stamps Ltd", first))) {
				t.Errorf("%s, %s: %+v %v", name, how, v.Answers[2], v.How)
			}
			if c.good == 0 && (v.Stamped != nil || !strings.Contains(reasons, "The record holds 2 time stamps of it that could not be checked here.")) {
				t.Errorf("%s, %s: %+v", name, how, v.Answers[2])
			}
		}
	}
	// What was added after the stamped copy is not stamped, and a receipt alone says nothing of it.
	if s, ok := audit(all).Stamped(first); ok {
		t.Errorf("%+v", s)
	}
	if v := verify.Judge(verify.Input{Policy: p, Receipt: receipt, Statement: []byte(tccm)}); v.Stamped != nil {
		t.Errorf("%+v", v.Answers[2])
	}

	// Without witnesses an authority is all there is.
	lone := newWorld(t, 0)
	a.Now = func() time.Time { return lone.rec.Now }
	lone.stamp(a)
	lone.publish()
	receipt = lone.receipt(indexEndorsedAPNIC)
	r := lone.audit(verify.AuditOptions{Receipts: []*verify.Receipt{receipt}, TimeStamps: checker(t, a.Roots())})
	v := verify.Judge(verify.Input{Policy: lone.policy(), Receipt: receipt, Statement: []byte(tccm), Record: r})
	if v.Code != 0 || v.Answers[2].State != verify.Confirmed || !strings.Contains(v.Answers[2].Text, "by the word of the time-stamping authority Stamps Ltd") {
		t.Errorf("%+v", v.Answers[2])
	}
}

// What a time stamp contradicts, or is contradicted by, is named.
func TestTimeStampsThatContradict(t *testing.T) {
	for name, c := range map[string]struct {
		make func(w *world, a *timestamptest.Authority) uint64 // index
		says string
	}{
		"over another copy": {func(w *world, a *timestamptest.Authority) uint64 {
			token := a.Token(w.files[verify.CheckpointPath(1)], 0)
			return w.keep(w.checkpoint().Size, token)
		}, "as a time stamp of the copy of the record of size 8 what is none: not a time stamp of these bytes: it is over other bytes"},
		"over refreshed cosignatures": {func(w *world, a *timestamptest.Authority) uint64 {
			w.rec.Now = w.rec.Now.Add(time.Minute)
			fresh := w.sign(w.checkpoint(), append(slices.Clone(w.log), w.witnesses...)...)
			return w.keep(w.checkpoint().Size, a.Token(fresh, 0))
		}, "it is over other bytes"},
		"nothing of the kind": {func(w *world, a *timestamptest.Authority) uint64 {
			return w.keep(w.checkpoint().Size, []byte("hello"))
		}, "it is not a CMS SignedData in DER"},
		"from before the copy was signed": {func(w *world, a *timestamptest.Authority) uint64 {
			a.Now = func() time.Time { return w.rec.Now.Add(-time.Hour) }
			return w.stamp(a)
		}, "over the copy of the record of size 8, which was signed later"},
		"from after its own entry": {func(w *world, a *timestamptest.Authority) uint64 {
			a.Now = func() time.Time { return w.rec.Now.Add(time.Hour) }
			return w.stamp(a)
		}, "says that it was recorded before the time stamp was made that it holds"},
		"from before an entry under it": {func(w *world, a *timestamptest.Authority) uint64 {
			now := w.rec.Now
			w.rec.Now = now.AddDate(0, 0, 2)
			index := w.endorse(rolltest.NewOrg("dns.pt", 1, 1, 1))
			w.publish() // all who sign lie with the log
			a.Now = func() time.Time { return now }
			w.stamp(a)
			return index
		}, "which holds it, was stamped, as entry 9 shows"},
		"of a copy that is not to be had": {func(w *world, a *timestamptest.Authority) uint64 {
			token := a.Token(w.note, 0)
			w.keep(2, token)
			return 0
		}, "checkpoints/2 is missing"},
	} {
		w := newWorld(t, 2)
		a := timestamptest.New(func() time.Time { return w.rec.Now }, timestamptest.Options{})
		index := c.make(w, a)
		w.publish()
		for source, o := range map[string]verify.AuditOptions{"a server": {}, "an archive": {Paths: w.paths()}} {
			o.TimeStamps = checker(t, a.Roots())
			r := w.audit(o)
			if r.Code == 0 || !slices.ContainsFunc(r.Findings, func(f verify.Finding) bool {
				return strings.Contains(f.Sentence, c.says) && (index == 0 || f.Index != nil && *f.Index == index)
			}) {
				t.Errorf("%s, %s: code %d: %+v", name, source, r.Code, r.Findings)
			}
			o.TimeStamps = nil
			code := 0
			if name == "of a copy that is not to be had" {
				code = verify.CodeUnchecked
			}
			if r := w.audit(o); r.Code != code || r.UncheckedStamps != 1 {
				t.Errorf("%s, %s, without roots: code %d, %+v", name, source, r.Code, r.Findings)
			}
		}
	}
}

// Tokens are checked beside the fold, a few at a time, and none outlives the audit.
func TestTimeStampsEndWithTheAudit(t *testing.T) {
	w := newWorld(t, 2)
	a := timestamptest.New(func() time.Time { return w.rec.Now }, timestamptest.Options{})
	for range 20 {
		w.stamp(a)
	}
	w.publish()
	r := w.audit(verify.AuditOptions{TimeStamps: func([]byte, []byte) (*verify.TimeStamp, error) { return nil, errors.New("it is bad") }})
	if r.Code != verify.CodeContradiction || len(r.Findings) != 20 {
		t.Errorf("%+v", r.Findings)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := verify.Audit(ctx, w.policy(), func(ctx context.Context, path string) ([]byte, error) {
		if strings.HasPrefix(path, "checkpoints/") {
			cancel()
		}
		return w.fetch(ctx, path)
	}, verify.AuditOptions{TimeStamps: checker(t, a.Roots())})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Within a second people are told the end of it, as the authority answers for nothing before that.
func TestTimeStampIsRoundedUp(t *testing.T) {
	w := newWorld(t, 0)
	a := timestamptest.New(func() time.Time { return w.rec.Now }, timestamptest.Options{Name: "Stamps Ltd"})
	a.Accuracy = time.Millisecond
	w.stamp(a)
	w.publish()
	receipt := w.receipt(indexEndorsedAPNIC)
	r := w.audit(verify.AuditOptions{Receipts: []*verify.Receipt{receipt}, TimeStamps: checker(t, a.Roots())})
	s, ok := r.Stamped(indexEndorsedAPNIC)
	v := verify.Judge(verify.Input{Policy: w.policy(), Receipt: receipt, Record: r})
	if !ok || v.Stamped == nil || !v.Stamped.Equal(s.By()) {
		t.Fatalf("%+v %+v", s, v)
	}
	by := s.Time.Add(time.Second).Format("15:04:05 UTC")
	if !strings.Contains(v.Answers[2].Text, by) || !strings.Contains(strings.Join(v.How, " "), "existed by "+s.Time.Format("2 January 2006, ")+by) {
		t.Errorf("by %v: %s %v", s.By(), v.Answers[2].Text, v.How)
	}
}
