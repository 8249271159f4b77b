package check

import (
	"context"
	"errors"
	"reflect"
	"strings"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
)

// A Request is what a page asks: an object with these fields, in small letters and with underscores. Do says what, and which others matter:
//
//	policy        Text                     -> PolicyView; what later answers judge by
//	text          Bytes                    -> {"hash"}; a text that the record may name
//	record        Base or Archive, Limit   -> RecordView; Base beside an Archive is for links alone
//	roll          Statement, AsOf, Size    -> RollView; unwitnessed-roll: what Unwitnessed returns
//	check         Text, or Name and Bytes; About -> Answer
//	organization  Domain, Statement or About     -> Answer
//	receipt       Index                    -> {"name"}, and the file beside it
type Request struct {
	Do        string
	Text      *string
	Base      string
	Limit     uint64
	Statement string
	AsOf      string
	Size      uint64
	Name      string
	Domain    string
	Index     uint64
	Bytes     []byte
	About     []byte
	Archive   []byte
}

// A Result is what a request comes to.
type Result struct {
	JSON  []byte
	Bytes []byte // of a receipt
}

// Do answers a request. open returns how what is below an address is read; progress may be nil. An error is one sentence for people (Sentence).
func (c *Checker) Do(ctx context.Context, q Request, open func(base string) verify.Fetch, progress func(done, total uint64)) (Result, error) {
	var result Result
	v, err := c.answer(ctx, q, open, progress, &result)
	if err != nil {
		return result, err
	}
	result.JSON = appendJSON(nil, reflect.ValueOf(v))
	return result, nil
}

func (c *Checker) answer(ctx context.Context, q Request, open func(base string) verify.Fetch, progress func(done, total uint64), result *Result) (any, error) {
	switch q.Do {
	case "policy":
		if q.Text == nil {
			return nil, errors.New("there is no policy in the question")
		}
		return c.Policy([]byte(*q.Text))
	case "text":
		h, err := c.Text(q.Bytes)
		return struct {
			Hash entry.Hash `json:"hash"`
		}{h}, err
	case "record":
		s := Source{Archive: q.Archive, Base: q.Base}
		if q.Archive == nil {
			if !strings.HasPrefix(q.Base, "https://") && !strings.HasPrefix(q.Base, "http://") || !strings.HasSuffix(q.Base, "/") {
				return nil, errors.New("this is not a ledger's address, such as https://ledger.example/")
			}
			s.Fetch = open(q.Base)
		}
		return c.Record(ctx, s, q.Limit, progress)
	case "roll", "unwitnessed-roll":
		h, err := parseHash(q.Statement)
		if err != nil {
			return nil, err
		}
		if q.Do != "roll" {
			return c.Unwitnessed(ctx, h, q.AsOf, q.Size)
		}
		return c.Roll(ctx, h, q.AsOf, q.Size)
	case "check":
		b := Brought{Name: q.Name, Bytes: q.Bytes, About: q.About}
		if q.Text != nil {
			b.Name, b.Bytes = "", []byte(*q.Text)
		}
		return c.Check(ctx, b)
	case "organization":
		if q.About == nil && q.Statement != "" {
			h, err := parseHash(q.Statement)
			if err != nil {
				return nil, err
			}
			if text, err := c.blob(ctx, verify.BlobPath(h)); err == nil && entry.Sum(text) == h {
				q.About = text
			}
		}
		return c.Organization(ctx, q.Domain, q.About)
	case "receipt":
		file, name, err := c.Receipt(ctx, q.Index)
		result.Bytes = file
		return struct {
			Name string `json:"name"`
		}{name}, err
	}
	return nil, errors.New("this is not a question that the verifier knows")
}

func parseHash(text string) (entry.Hash, error) {
	if !strings.HasPrefix(text, "sha256:") {
		text = "sha256:" + text
	}
	h, err := entry.ParseHash(text)
	if err != nil {
		return h, errors.New("this is not a fingerprint: it is sha256: and 64 hexadecimal digits")
	}
	return h, nil
}
