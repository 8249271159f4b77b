package verify_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/tccm/undersigned/verify"
)

func ExampleParseCheckpoint() {
	c, err := verify.ParseCheckpoint([]byte("example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"))
	fmt.Println(c.Origin, c.Size, err)
	_, err = verify.ParseCheckpoint([]byte("example.com/behind-the-sofa\n020852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"))
	fmt.Println(err)
	// Output:
	// example.com/behind-the-sofa 20852163 <nil>
	// malformed checkpoint: line 2: the tree size must be a decimal number without leading zeros, at most 2^63-1
}

func ExampleParsePolicy() {
	p, err := verify.ParsePolicy([]byte("log example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\nquorum none\n"))
	fmt.Println(p.Origins(), err)
	_, err = verify.ParsePolicy([]byte("quorum W1\n"))
	fmt.Println(err)
	// Output:
	// [example.com/foo] <nil>
	// malformed policy: line 1: the quorum's name is not defined on an earlier line
}

func ExampleParseTilePath() {
	t, err := verify.ParseTilePath("tile/0/x001/x234/067.p/8")
	fmt.Println(t.Level, t.Index, t.Width, err)
	_, err = verify.ParseTilePath("tile/0/..%2f..%2fcheckpoint")
	fmt.Println(err)
	// Output:
	// 0 1234067 8 <nil>
	// malformed tile path: it is not tile/<level>/<index>, with .p/<width> if partial
}

func ExampleTilesFor() {
	for t := range verify.TilesFor(300) {
		fmt.Println(t.Path())
	}
	// Output:
	// tile/entries/000
	// tile/entries/001.p/44
	// tile/0/000
	// tile/0/001.p/44
	// tile/1/000.p/1
}

// A receipt and the text are all that it takes to ask; a copy of the record answers more.
func ExampleJudge() {
	w := newWorld(new(testing.T), 3) // a ledger with three witnesses
	receipt, err := verify.ParseReceipt(w.receipt(indexEndorsedAPNIC).Bytes())
	if err != nil {
		fmt.Println(err)
		return
	}
	v := verify.Judge(verify.Input{Policy: w.policy(), Receipt: receipt, Statement: []byte(tccm)})
	fmt.Println(v.Sentence)
	for _, a := range v.Answers {
		fmt.Printf("%s %s\n", a.Question, a.State)
	}
	record, err := verify.Audit(context.Background(), w.policy(), w.fetch, verify.AuditOptions{Receipts: []*verify.Receipt{receipt}})
	if err != nil {
		fmt.Println(err)
		return
	}
	v = verify.Judge(verify.Input{Policy: w.policy(), Receipt: receipt, Statement: []byte(tccm), Record: record, Known: []string{"nic.example"}})
	fmt.Println(v.Sentence)
	// Output:
	// Yes, as far as a receipt alone can show: Asia Pacific Network Information Centre (APNIC), apnic.net, endorsed this text on 11 June 2024.
	// Did they sign? look-closer
	// This exact text? confirmed
	// When? confirmed
	// Does it still stand? could-not-check
	// Yes. Asia Pacific Network Information Centre (APNIC), apnic.net, endorsed this text on 11 June 2024, and the endorsement still stands.
}

func ExampleAuditArchive() {
	w := newWorld(new(testing.T), 3)
	ctx := context.Background()
	var file bytes.Buffer
	if err := verify.WriteArchive(ctx, &file, w.fetch, []uint64{1, 5, 6, 8}, nil); err != nil {
		fmt.Println(err)
		return
	}
	archive, err := verify.OpenArchive(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := verify.AuditArchive(ctx, w.policy(), archive, verify.AuditOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Sentence)
	for _, e := range report.State.Standing(w.statement) {
		fmt.Println(e.Domain, e.Date)
	}
	// Output:
	// The public record ledger.example/test holds together: all 8 entries were read, up to 11 June 2024, every signature and every rule was checked, and every earlier copy of it that it quotes agrees.
	// apnic.net 2024-06-11
	// dns.pt 2024-06-11
}
