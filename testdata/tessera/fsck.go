package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
)

// check has Tessera's own fsck recompute a log's hashes from the entries up, and says how long it took.
func check(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("tessera fsck", flag.ContinueOnError)
	dir := flags.String("dir", "", "directory of the log's files, by the paths of tlog-tiles")
	address := flags.String("url", "", "or the address of the log")
	vkey := flags.String("vkey", "", "the log's key, as a signed note names it")
	n := flags.Uint("n", uint(workers()), "resources that are fetched and compared at a time")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if (*dir == "") == (*address == "") || *vkey == "" || flags.NArg() > 0 {
		return errors.New("fsck takes -vkey and either -dir or -url")
	}
	verifier, err := note.NewVerifier(*vkey)
	if err != nil {
		return err
	}
	var source fsck.Fetcher = client.FileFetcher{Root: *dir}
	if *address != "" {
		u, err := url.Parse(*address)
		if err != nil {
			return err
		}
		if source, err = client.NewHTTPFetcher(u, nil); err != nil {
			return err
		}
	}
	ctx := context.Background()
	checkpoint, _, _, err := client.FetchCheckpoint(ctx, source.ReadCheckpoint, verifier, verifier.Name())
	if err != nil {
		return err
	}
	began := time.Now()
	if err := fsck.New(verifier.Name(), verifier, source, leafHashes, fsck.Opts{N: *n}).Check(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	_, err = fmt.Fprintf(stdout, "Tessera's fsck finds nothing wrong: %d entries in %.3f s, %.0f a second\n",
		checkpoint.Size, took.Seconds(), float64(checkpoint.Size)/took.Seconds())
	return err
}

// leafHashes hashes the entries of a bundle, as Tessera's own command does.
func leafHashes(bundle []byte) ([][]byte, error) {
	var b api.EntryBundle
	if err := b.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	hashes := make([][]byte, len(b.Entries))
	for i, e := range b.Entries {
		hashes[i] = rfc6962.DefaultHasher.HashLeaf(e)
	}
	return hashes, nil
}
