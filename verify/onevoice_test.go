package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// twoOf is the policy of a world with two of its witnesses as the quorum.
func (w *world) twoOf() *verify.Policy {
	w.tb.Helper()
	text, _, _ := strings.Cut(w.policyText(), "group ")
	return mustPolicy(w.tb, text+"group g 2 w0 w1 w2\nquorum g\n")
}

// as publishes what the record holds now with these lines alone.
func (w *world) as(signers ...func(c verify.Checkpoint) []byte) {
	w.publish()
	c := w.checkpoint()
	w.note = append(c.Text(), '\n')
	for _, s := range signers {
		w.note = append(w.note, s(c)...)
	}
	w.files["checkpoint"], w.files[verify.CheckpointPath(c.Size)] = w.note, w.note
}

// at signs at a time, away from the record's.
func (k *cosigner) at(t time.Time) func(c verify.Checkpoint) []byte {
	return func(c verify.Checkpoint) []byte { return k.line(c, t) }
}

// One witness that says 1970, or 2100, does not make an honest record contradict itself; two of three do.
func TestOneWitnessIsNoClock(t *testing.T) {
	past, future := time.Unix(1, 0), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		times []time.Time // of w2, w1, w0; zero: it is right
		code  int
	}{
		"right":                     {[]time.Time{{}, {}, {}}, 0},
		"one in the past":           {[]time.Time{past, {}, {}}, 0},
		"one in the future":         {[]time.Time{future, {}, {}}, 0},
		"one in the past, of two":   {[]time.Time{past, {}}, 0},
		"one in the future, of two": {[]time.Time{future, {}}, 0},
		"two in the past":           {[]time.Time{past, past, {}}, verify.CodeContradiction},
		"two in the future":         {[]time.Time{future, future, {}}, verify.CodeContradiction},
	} {
		t.Run(name, func(t *testing.T) {
			w := newEmptyWorld(t, rolltest.New(t), 3)
			// The ledger has no key that says when, so the witnesses' word is all.
			sign := func() {
				lines := []func(verify.Checkpoint) []byte{w.log[0].at(w.rec.Now)}
				for i, at := range tt.times {
					if at.IsZero() {
						at = w.rec.Now
					}
					lines = append(lines, w.witnesses[2-i].at(at))
				}
				w.as(lines...)
			}
			p := w.twoOf()
			replay := verify.NewReplay(rolltest.Origin, verify.ReplayOptions{Policy: p, Fetch: w.fetch})
			code := 0
			step := func() {
				t.Helper()
				sign()
				r, err := replay.Advance(t.Context(), w.note)
				if err != nil {
					t.Fatal(err)
				}
				code = max(code, r.Code)
				w.rec.Now = w.rec.Now.Add(time.Hour)
			}
			step()
			o := rolltest.NewOrg("apnic.net", 1, 0, 1)
			w.rec.Register(o)
			w.text = tccm
			w.statement = w.rec.Publish(w.text)
			step()
			index := w.endorse(o)
			step()
			w.rec.Register(rolltest.NewOrg("nic.example", 1, 0, 1))
			step()
			if code != tt.code {
				t.Errorf("the replay: code %d", code)
			}
			r := mustAudit(t, p, w.fetch, verify.AuditOptions{Paths: w.paths()})
			if r.Code != tt.code {
				t.Errorf("the audit: code %d: %+v", r.Code, r.Findings)
			}
			v := verify.Judge(verify.Input{Policy: p, Receipt: w.receipt(index), Statement: []byte(tccm)})
			if v.Code != tt.code {
				t.Errorf("the receipt: code %d: %s", v.Code, v.Sentence)
			}
			if tt.code == 0 && (v.NotBefore == nil || v.NotBefore.Equal(future)) {
				t.Errorf("not signed before %v", v.NotBefore)
			}
		})
	}
}

// A note that lost the lines of most who signed it is not remembered for what is left.
func TestReplayOfAStrippedNote(t *testing.T) {
	w := newWorld(t, 3)
	p := w.twoOf()
	replay := verify.NewReplay(rolltest.Origin, verify.ReplayOptions{Policy: p, Fetch: w.fetch})
	advance := func(note []byte, code int) {
		t.Helper()
		r, err := replay.Advance(t.Context(), note)
		if err != nil || r.Code != code {
			t.Fatalf("%+v %v", r, err)
		}
	}
	full := w.note
	c := w.checkpoint()
	stripped := append(c.Text(), '\n')
	stripped = append(stripped, w.log[0].line(c, w.rec.Now)...)
	stripped = append(stripped, w.witnesses[2].line(c, w.rec.Now.Add(1000*time.Hour))...)
	advance(stripped, verify.CodeQuorum)
	advance(full, 0)
	w.rec.Now = w.rec.Now.Add(time.Minute)
	w.rec.Do(&entry.Statement{Action: entry.Close, Statement: w.statement}, w.rec.Operator)
	w.publish()
	advance(w.note, 0)
	if replay.Contrary() {
		t.Error("the replay has ended")
	}
}
