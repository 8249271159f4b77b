package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/tccm/undersigned/keys"
	"github.com/tccm/undersigned/verify/entry"
)

// A task is what a part is told, as a line of JSON at the start of its standard input.
type task struct {
	Keys string `json:"keys,omitempty"` // file of the members' keys
	Root string `json:"root,omitempty"` // directory of the files to serve
	Load *load  `json:"load,omitempty"`
	// Entries is how many entries follow, each after its length as uint32.
	Entries int `json:"entries,omitempty"`
}

// Part is what a run does in processes of their own:
//
//	verify      serves POST /entries: parse the entry, verify its signatures, nothing else
//	static      serves the files of a directory
//	signatures  verifies the signatures of entries on all processors
//	load        sends requests, each client one after the other
//
// The first two say on their first line where they serve, and end with their standard input; the others answer with a line of JSON.
func Part(ctx context.Context, name string, in io.Reader, out io.Writer) error {
	r := bufio.NewReaderSize(in, 1<<20)
	line, err := r.ReadBytes('\n')
	if err != nil {
		return err
	}
	var t task
	if err := json.Unmarshal(line, &t); err != nil {
		return err
	}
	switch name {
	case "verify":
		known, err := readKeys(t.Keys)
		if err != nil {
			return err
		}
		return serve(ctx, verifying(known), r, out)
	case "static":
		return serve(ctx, http.FileServer(http.Dir(t.Root)), r, out)
	case "signatures":
		return signatures(t, r, out)
	case "load":
		return t.Load.run(ctx, r, out)
	}
	return fmt.Errorf("there is no part %q", name)
}

// serve serves until standard input ends, or ctx.
func serve(ctx context.Context, h http.Handler, in io.Reader, out io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() {
		io.Copy(io.Discard, in)
		stop()
	}()
	defer context.AfterFunc(ctx, func() { server.Close() })()
	fmt.Fprintf(out, "Serving at http://%s/\n", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// known are the members' keys.
type known map[keys.Ref]key

// A key is of Ed25519. What the program is held to verifies with the standard library, as anybody would, and keeps no multiples of it.
type key struct {
	plain ed25519.PublicKey
	ours  *keys.PublicKey
}

// readKeys reads what keyLines wrote.
func readKeys(path string) (known, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	k := make(known)
	for line := range bytes.Lines(b) {
		f := bytes.Fields(line)
		if len(f) != 3 {
			return nil, errors.New("a line of the keys is not a domain, a suite and a key")
		}
		spki, err := base64.StdEncoding.DecodeString(string(f[2]))
		if err != nil {
			return nil, err
		}
		public, err := keys.ParsePublicKey(keys.Suite(f[1]), spki)
		if err != nil {
			return nil, err
		}
		parsed, err := x509.ParsePKIXPublicKey(spki)
		if err != nil {
			return nil, err
		}
		plain, ok := parsed.(ed25519.PublicKey)
		if !ok {
			return nil, errors.New("a line of the keys has a key that is not of Ed25519")
		}
		k[public.Ref()] = key{plain, public}
	}
	return k, nil
}

// verifies says whether every signature of an entry is good.
func (k known) verifies(e *entry.Entry) bool {
	msg := e.Text()
	for i, named := range e.Named() {
		key, ok := k[named.Ref]
		if !ok || i >= len(e.Signatures) || !ed25519.Verify(key.plain, msg, e.Signatures[i].Sig) {
			return false
		}
	}
	return true
}

// verifying is the least that a server must do.
func verifying(k known) http.Handler {
	ok := []byte("{\"ok\":true}\n")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(entry.MaxEntry)))
		if err != nil {
			http.Error(w, "body", http.StatusBadRequest)
			return
		}
		e, err := entry.Parse(body)
		if err != nil || !k.verifies(e) {
			http.Error(w, "entry", http.StatusUnprocessableEntity)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(ok)
	})
}

// readBody reads a body after its length.
func readBody(r io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

func appendBody(to, b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(to, uint32(len(b))), b...)
}

// verified is how long it took to verify signatures.
type verified struct {
	Seconds float64 `json:"seconds"`
	Kept    float64 `json:"kept"` // as this program does it, with multiples of the keys
	Others  float64 `json:"others"`
	OK      bool    `json:"ok"`
}

// signatures verifies the signatures of the entries that come, which were parsed before, and does nothing else: with the standard library, and as
// this program does where a key has signed before.
func signatures(t task, in io.Reader, out io.Writer) error {
	k, err := readKeys(t.Keys)
	if err != nil {
		return err
	}
	type signed struct {
		key      key
		msg, sig []byte
	}
	var all []signed
	for range t.Entries {
		b, err := readBody(in)
		if err != nil {
			return err
		}
		e, err := entry.Parse(b)
		if err != nil {
			return err
		}
		for i, named := range e.Named() {
			all = append(all, signed{k[named.Ref], e.Text(), e.Signatures[i].Sig})
		}
	}
	good := make([]bool, len(all))
	m := measure(os.Getpid())
	parallel(len(all), func(i int) { good[i] = ed25519.Verify(all[i].key.plain, all[i].msg, all[i].sig) })
	v := verified{OK: true}
	v.Seconds, v.Others = m.end()
	var began time.Time
	for range 2 { // the first time some keys have not verified enough yet
		began = time.Now()
		parallel(len(all), func(i int) { good[i] = all[i].key.ours.Verify(origin, all[i].msg, all[i].sig) && good[i] })
	}
	v.Kept = time.Since(began).Seconds()
	for _, ok := range good {
		v.OK = v.OK && ok
	}
	return json.NewEncoder(out).Encode(v)
}
