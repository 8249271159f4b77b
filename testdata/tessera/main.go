// Command tessera is a small server on Tessera's library, to be compared with Undersigned's own in one run: it takes the same
// bodies, does the same parsing and the same signature checks, by the same packages, and answers with an index and, unless told
// otherwise, with an inclusion proof under a published checkpoint. It is a module of its own, so that nobody who uses Undersigned
// pulls Tessera.
//
//	tessera -dir DIR -keys FILE     serves a log in DIR until its standard input ends
//	tessera fsck -dir DIR -vkey KEY checks the hashes of a log's files with Tessera's own fsck
//
// The first line that it prints ends with its address, the second is its key:
//
//	Tessera serves a log at http://127.0.0.1:41873/
//	ledger.example/tccm+f00d…+AQ…
//
// # What it is spared
//
// There are no rules, no quotas, no search for duplicates (Tessera's antispam is off, as in its conformance server), no second
// signature of the log, no last-signed record and no limit to what one client may use. It publishes a checkpoint as often as
// Tessera's POSIX driver allows, every 100 ms. The builders of proofs, and so the tiles that they have read, are shared by all answers under one
// checkpoint.
//
// # POST /entries
//
// The body is one signed entry, as text/plain. The answer is JSON:
//
//	{"index":57,"id":"sha256:…","published":true,"receipt":"c2sp.org/tlog-proof@v1\n…"}   200
//	{"index":57,"id":"sha256:…","published":false}                                        200, with -answer index
//
// The receipt's leaf is the body. An entry that does not parse is 400; one that is for another ledger, is not signed by a key of
// -keys, or whose signature is not valid is 422; 503 says that Tessera asks to wait. The log's files are at the paths of tlog-tiles.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/note"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "tessera:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) > 0 && args[0] == "fsck" {
		return check(args[1:], stdout)
	}
	flags := flag.NewFlagSet("tessera", flag.ContinueOnError)
	dir := flags.String("dir", "", "directory of the log; it is made")
	keyFile := flags.String("keys", "", "file of the keys that may sign entries, each a line: domain, suite, SPKI in base64")
	listen := flags.String("listen", "127.0.0.1:0", "address to listen at")
	c := config{}
	flags.StringVar(&c.origin, "origin", "ledger.example/tccm", "the log's name, and the ledger that entries must be for")
	answer := flags.String("answer", "proof", "proof: index and receipt, once published; index: as soon as it is durable")
	flags.DurationVar(&c.interval, "interval", 100*time.Millisecond, "between checkpoints; the POSIX driver takes no less than 100ms")
	flags.UintVar(&c.batch, "batch", 256, "entries of a batch at most")
	flags.DurationVar(&c.age, "age", 20*time.Millisecond, "how long the first entry of a batch waits for others at most")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" || *keyFile == "" || flags.NArg() > 0 || *answer != "proof" && *answer != "index" {
		return errors.New("it takes -dir, -keys and flags; -answer is proof or index")
	}
	c.dir, c.prove = *dir, *answer == "proof"
	b, err := os.ReadFile(*keyFile)
	if err != nil {
		return err
	}
	if c.keys, err = parseKeys(b); err != nil {
		return fmt.Errorf("%s: %w", *keyFile, err)
	}
	private, vkey, err := note.GenerateKey(rand.Reader, c.origin)
	if err != nil {
		return err
	}
	if c.signer, err = note.NewSigner(private); err != nil {
		return err
	}
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop() // not before: who has closed the standard input may send a signal as well
	ctx, cancel := context.WithCancel(interrupted)
	defer cancel()
	go func() {
		io.Copy(io.Discard, stdin)
		cancel()
	}()
	s, err := open(c)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return errors.Join(err, s.close())
	}
	// It is what whoever started it waits for.
	if _, err := fmt.Fprintf(stdout, "Tessera serves a log at http://%s/\n%s\n", listener.Addr(), vkey); err != nil {
		return errors.Join(err, listener.Close(), s.close())
	}
	h := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(listener) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
		ending, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = h.Shutdown(ending)
	}
	return errors.Join(err, s.close())
}

// workers is how many goroutines compute at a time.
func workers() int { return runtime.GOMAXPROCS(0) }
