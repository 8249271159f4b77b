package verify_test

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// However it is helped, an audit finds the same.
func TestAuditHelped(t *testing.T) {
	honest := bigWorld(t, 300)
	forged := bigWorld(t, 300)
	e := forged.rec.Registration(rolltest.NewOrg("forged.example", 1, 0, 1))
	e.Signatures[0].Sig[5] ^= 1
	forged.force(forged.rec.Leaf(e))
	forged.publish()
	later := bigWorld(t, 300)
	later.force([]byte("undersigned/leaf/v2\n"))
	later.publish()

	const helpers = 2
	var asked atomic.Int64
	answer := func(_ context.Context, question []byte) ([]byte, error) {
		asked.Add(1)
		return roll.NewAnswerer().Answer(question)
	}
	for name, help := range map[string]func(context.Context, []byte) ([]byte, error){
		"well": answer,
		"never": func(context.Context, []byte) ([]byte, error) {
			asked.Add(1)
			return nil, errors.New("nobody is there")
		},
		"with nothing": func(context.Context, []byte) ([]byte, error) {
			asked.Add(1)
			return nil, nil
		},
		"with another answer": func() func(context.Context, []byte) ([]byte, error) {
			var mu sync.Mutex
			var before []byte
			return func(ctx context.Context, question []byte) ([]byte, error) {
				b, err := answer(ctx, question)
				mu.Lock()
				defer mu.Unlock()
				b, before = before, b
				return b, err
			}
		}(),
	} {
		for _, w := range []*world{honest, forged, later} {
			asked.Store(0)
			want := w.audit(verify.AuditOptions{})
			got := w.audit(verify.AuditOptions{Help: help, Helpers: helpers})
			if n := asked.Load(); n < 600/64 {
				t.Errorf("%s: %d questions", name, n)
			}
			if !reflect.DeepEqual(got.Findings, want.Findings) || got.Sentence != want.Sentence || !reflect.DeepEqual(got.Entries, want.Entries) || !reflect.DeepEqual(got.State.Members(), want.State.Members()) {
				t.Errorf("%s: %s, want %s", name, got.Sentence, want.Sentence)
			}
		}
	}
	// Who is alone, or has little to check, asks nobody.
	asked.Store(0)
	small := newWorld(t, 1)
	if r := small.audit(verify.AuditOptions{Help: answer, Helpers: helpers}); !r.OK || asked.Load() > 0 {
		t.Errorf("%d questions about a small record: %s", asked.Load(), r.Sentence)
	}
	if r := honest.audit(verify.AuditOptions{Help: answer}); !r.OK || asked.Load() > 0 {
		t.Errorf("%d questions to nobody: %s", asked.Load(), r.Sentence)
	}
	if honest.audit(verify.AuditOptions{}).Entries[entry.KindEndorsement] != 300 {
		t.Error("the record is another one")
	}
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := verify.Audit(ctx, honest.policy(), honest.fetch, verify.AuditOptions{Helpers: helpers, Help: func(context.Context, []byte) ([]byte, error) {
		cancel()
		return nil, ctx.Err()
	}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
