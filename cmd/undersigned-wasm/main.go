//go:build js && wasm

// Undersigned-wasm is the verifier for browsers: package verify/check behind a JavaScript function, in a worker (worker.js).
//
//	undersigned.ask(request, read, tell, help) -> Promise of {result, bytes}
//
//	request  check.Request: {do, text, base, limit, statement, as_of, size, name, domain, index}, and the Uint8Arrays {bytes, about, archive}. What
//	         is not needed may be missing, and what is of another type is taken for missing.
//	read     read(address, limit) -> Promise of a Uint8Array, or of null if there is nothing; whatever is rejected says why
//	tell     tell(done, total): how far it is
//	help     {count, answer(question)}, or null: so many others have this verifier too, and one of them answers, with a Promise of a Uint8Array
//	result   JSON: the value that check.Request says of its kind
//	bytes    a Uint8Array: the file, of a receipt
//
//	undersigned.answer(question) -> a Uint8Array, or null
//
// is what such a helper does: it answers a question about signatures (package verify/roll), a Uint8Array.
//
// What is rejected is an Error whose message is a sentence for people. undersigned.version says which version it is. Requests are answered
// one at a time, in the order in which they are made.
package main

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"runtime/debug"
	"strings"
	"sync"
	"syscall/js"
	"time"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/check"
	"github.com/tccm/undersigned/verify/roll"
)

var (
	checker  = check.New(time.Now)
	asking   sync.Mutex // held by whoever uses checker
	answerer = roll.NewAnswerer()
)

func main() {
	js.Global().Set("undersigned", map[string]any{
		"version": version(),
		"ask":     js.FuncOf(ask),
		"answer":  js.FuncOf(help),
	})
	select {} // until the worker ends
}

// version returns the module's version as it was built.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// ask answers a request. It returns a promise at once.
func ask(_ js.Value, args []js.Value) any {
	var run js.Func
	run = js.FuncOf(func(_ js.Value, settle []js.Value) any {
		run.Release()
		resolve, reject := settle[0], settle[1]
		go func() {
			result, err := answer(args)
			if err != nil {
				reject.Invoke(js.Global().Get("Error").New(check.Sentence(err)))
				return
			}
			v := map[string]any{"result": string(result.JSON)}
			if result.Bytes != nil {
				v["bytes"] = array(result.Bytes)
			}
			resolve.Invoke(v)
		}()
		return nil
	})
	return js.Global().Get("Promise").New(run)
}

// answer is ask, whatever happens: a mistake of ours is an error for the page, and not the end of the worker.
func answer(args []js.Value) (result check.Result, err error) {
	asking.Lock()
	defer asking.Unlock()
	defer func() {
		if recover() != nil {
			err = errors.New("the verifier made a mistake, and says nothing about what you brought")
		}
	}()
	if len(args) != 4 || args[0].Type() != js.TypeObject {
		return result, errors.New("this is not a question that the verifier knows")
	}
	if helpers := args[3]; helpers.IsNull() {
		checker.HelpedBy(0, nil)
	} else {
		checker.HelpedBy(helpers.Get("count").Int(), func(_ context.Context, question []byte) ([]byte, error) {
			return settled(helpers.Call("answer", array(question)), math.MaxInt64, errors.New("nobody helps"))
		})
	}
	return checker.Do(context.Background(), request(args[0]), func(base string) verify.Fetch { return fetch(base, args[1]) }, func(done, total uint64) {
		args[2].Invoke(float64(done), float64(total))
	})
}

// request reads a request.
func request(v js.Value) check.Request {
	text := func(name string) string {
		if p := v.Get(name); p.Type() == js.TypeString {
			return p.String()
		}
		return ""
	}
	number := func(name string) uint64 {
		if p := v.Get(name); p.Type() == js.TypeNumber && p.Float() >= 1 && p.Float() < 1<<53 {
			return uint64(p.Float())
		}
		return 0
	}
	q := check.Request{
		Do: text("do"), Base: text("base"), Limit: number("limit"), Statement: text("statement"), AsOf: text("as_of"), Size: number("size"), Name: text("name"),
		Domain: text("domain"), Index: number("index"), Bytes: part(v, "bytes"), About: part(v, "about"), Archive: part(v, "archive"),
	}
	if p := v.Get("text"); p.Type() == js.TypeString {
		s := p.String()
		q.Text = &s
	}
	return q
}

// part copies one of the files of a request; nil: it has none.
func part(request js.Value, name string) []byte {
	v := request.Get(name)
	if !v.InstanceOf(js.Global().Get("Uint8Array")) {
		return nil
	}
	return bytesOf(v)
}

// maxAnswer bounds what a server says beside the record, in bytes.
const maxAnswer = 1 << 20

// fetch reads what is below an address.
func fetch(base string, read js.Value) verify.Fetch {
	return func(ctx context.Context, path string) ([]byte, error) {
		limit := verify.FetchLimit(path)
		if strings.HasPrefix(path, "api/") {
			limit = maxAnswer
		}
		return settled(read.Invoke(base+path, float64(limit)), limit, errors.New("the server cannot be reached"))
	}
}

// settled waits for a Promise of a Uint8Array of at most limit bytes, or of null: there is none. lost is the error if it is rejected.
func settled(promise js.Value, limit int64, lost error) ([]byte, error) {
	type settlement struct {
		data []byte
		err  error
	}
	settlements := make(chan settlement, 1)
	resolved := js.FuncOf(func(_ js.Value, args []js.Value) any {
		switch v := args[0]; {
		case v.IsNull():
			settlements <- settlement{err: fs.ErrNotExist}
		case int64(v.Get("length").Int()) > limit:
			settlements <- settlement{err: errors.New("it is larger than it can be")}
		default:
			settlements <- settlement{data: bytesOf(v)}
		}
		return nil
	})
	defer resolved.Release()
	rejected := js.FuncOf(func(js.Value, []js.Value) any {
		settlements <- settlement{err: lost}
		return nil
	})
	defer rejected.Release()
	promise.Call("then", resolved, rejected)
	s := <-settlements
	return s.data, s.err
}

// bytesOf copies a Uint8Array.
func bytesOf(v js.Value) []byte {
	b := make([]byte, v.Get("length").Int())
	js.CopyBytesToGo(b, v)
	return b
}

// array makes a Uint8Array.
func array(b []byte) js.Value {
	v := js.Global().Get("Uint8Array").New(len(b))
	js.CopyBytesToJS(v, b)
	return v
}

// help answers a question about signatures for another worker; null: it cannot.
func help(_ js.Value, args []js.Value) (said any) {
	defer func() {
		if recover() != nil {
			said = nil
		}
	}()
	answer, err := answerer.Answer(bytesOf(args[0]))
	if err != nil {
		return nil
	}
	return array(answer)
}
