package tsa_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tccm/undersigned/ledger/tsa"
	"github.com/tccm/undersigned/verify/timestamp"
	"github.com/tccm/undersigned/verify/timestamp/timestamptest"
)

var noon = time.Date(2024, 6, 11, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

var note = []byte("a note\n")

// direct answers requests without a network.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if d.Handler == nil {
		return nil, errors.New("no network")
	}
	rec := httptest.NewRecorder()
	d.ServeHTTP(rec, r)
	return rec.Result(), nil
}

func TestStamp(t *testing.T) {
	a := timestamptest.New(atNoon, timestamptest.Options{})
	server := httptest.NewServer(a)
	defer server.Close()
	c, err := tsa.NewClient(server.URL, atNoon, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, s, err := c.Stamp(t.Context(), note)
	if err != nil || !s.Time.Equal(noon) {
		t.Fatal(s, err)
	}
	roots, err := timestamp.ParseRoots(a.Roots())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := roots.Check(token, note); err != nil {
		t.Error(err)
	}
	again, _, err := c.Stamp(t.Context(), note)
	if err != nil || bytes.Equal(again, token) {
		t.Error("the same token twice", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.Stamp(ctx, note); err == nil {
		t.Error("asked without being allowed to")
	}
}

func TestRefused(t *testing.T) {
	at := func(d time.Duration) *timestamptest.Authority {
		return timestamptest.New(func() time.Time { return noon.Add(d) }, timestamptest.Options{})
	}
	change := func(f func(*timestamptest.Authority)) *timestamptest.Authority {
		a := at(0)
		f(a)
		return a
	}
	kept := at(0)
	query, _, err := timestamp.Request(note, big.NewInt(5))
	if err != nil {
		t.Fatal(err)
	}
	old := kept.Reply(query)
	for name, c := range map[string]struct {
		tsa  http.Handler
		says string
	}{
		"good":               {at(0), ""},
		"a clock close by":   {at(4 * time.Minute), ""},
		"a clock far ahead":  {at(6 * time.Minute), "more than 5 minutes apart"},
		"a clock far behind": {at(-6 * time.Minute), "more than 5 minutes apart"},
		"a clock far behind that knows it": {change(func(a *timestamptest.Authority) {
			a.Now = func() time.Time { return noon.Add(-6 * time.Minute) }
			a.Accuracy = 2 * time.Minute
		}), ""},
		"another nonce":     {change(func(a *timestamptest.Authority) { a.Nonce = big.NewInt(1) }), "answers another request"},
		"an earlier answer": {change(func(a *timestamptest.Authority) { a.Mangle = func([]byte) []byte { return old } }), "answers another request"},
		"other bytes": {change(func(a *timestamptest.Authority) {
			other, nonce, err := timestamp.Request([]byte("x"), big.NewInt(5))
			if err != nil {
				t.Fatal(err)
			}
			a.Nonce = nonce
			a.Mangle = func([]byte) []byte { a.Mangle = nil; return a.Reply(other) }
		}), "over other bytes"},
		"a flipped bit":   {change(func(a *timestamptest.Authority) { a.Mangle = func(b []byte) []byte { b[len(b)-9] ^= 1; return b } }), "signature"},
		"no time stamp":   {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") }), "not answer with a reply"},
		"nothing in it":   {change(func(a *timestamptest.Authority) { a.Mangle = func([]byte) []byte { return nil } }), "not in order"},
		"without end":     {change(func(a *timestamptest.Authority) { a.Mangle = func([]byte) []byte { return make([]byte, 1<<20) } }), "too large"},
		"a redirect":      {http.RedirectHandler("http://127.0.0.1:1/", http.StatusTemporaryRedirect), "status 307"},
		"an error":        {http.NotFoundHandler(), "status 404"},
		"nobody":          {nil, "cannot be reached"},
		"somebody else's": {timestamptest.New(atNoon, timestamptest.Options{EKU: timestamptest.TimeStamping(false)}), "not one of a time-stamping authority"},
	} {
		client, err := tsa.NewClient("https://tsa.example/", atNoon, direct{c.tsa})
		if err != nil {
			t.Fatal(err)
		}
		_, s, err := client.Stamp(t.Context(), note)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
}

func TestNewClient(t *testing.T) {
	for address, good := range map[string]bool{
		"https://tsa.example/": true, "http://tsa.example/tsr?x=1": true,
		"": false, "tsa.example": false, "ftp://tsa.example/": false, "https://me:secret@tsa.example/": false, "https://": false, "https://tsa.example/#x": false, "://": false,
	} {
		if _, err := tsa.NewClient(address, nil, nil); (err == nil) != good {
			t.Errorf("%s: %v", address, err)
		}
	}
}
