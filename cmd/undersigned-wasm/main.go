//go:build js && wasm

// Undersigned-wasm is the verifier for browsers: package verify/check behind one JavaScript function, in a worker (worker.js).
//
//	undersigned.ask(request, read, tell) -> Promise of {result, bytes}
//
//	request  check.Request: {do, text, base, limit, statement, as_of, size, name, domain, index}, and the Uint8Arrays {bytes, about, archive}. What
//	         is not needed may be missing, and what is of another type is taken for missing.
//	read     read(address, limit) -> Promise of a Uint8Array, or of null if there is nothing; whatever is rejected says why
//	tell     tell(done, total): how far it is
//	result   JSON: the value that check.Request says of its kind
//	bytes    a Uint8Array: the file, of a receipt
//
// What is rejected is an Error whose message is a sentence for people. undersigned.version says which version it is. Questions are answered
// one at a time, in the order in which they are asked.
package main

import (
	"context"
	"errors"
	"io/fs"
	"runtime/debug"
	"strings"
	"sync"
	"syscall/js"
	"time"

	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/check"
)

var (
	checker = check.New(time.Now)
	asking  sync.Mutex // held by whoever uses checker
)

func main() {
	js.Global().Set("undersigned", map[string]any{
		"version": version(),
		"ask":     js.FuncOf(ask),
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
				file := js.Global().Get("Uint8Array").New(len(result.Bytes))
				js.CopyBytesToJS(file, result.Bytes)
				v["bytes"] = file
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
	if len(args) != 3 || args[0].Type() != js.TypeObject {
		return result, errors.New("this is not a question that the verifier knows")
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
	b := make([]byte, v.Get("length").Int())
	js.CopyBytesToGo(b, v)
	return b
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
		type answer struct {
			data []byte
			err  error
		}
		answers := make(chan answer, 1)
		got := js.FuncOf(func(_ js.Value, args []js.Value) any {
			v := args[0]
			if v.IsNull() {
				answers <- answer{err: fs.ErrNotExist}
				return nil
			}
			n := v.Get("length").Int()
			if int64(n) > limit {
				answers <- answer{err: errors.New("it is larger than it can be")}
				return nil
			}
			data := make([]byte, n)
			js.CopyBytesToGo(data, v)
			answers <- answer{data: data}
			return nil
		})
		defer got.Release()
		lost := js.FuncOf(func(js.Value, []js.Value) any {
			answers <- answer{err: errors.New("the server cannot be reached")}
			return nil
		})
		defer lost.Release()
		read.Invoke(base+path, float64(limit)).Call("then", got, lost)
		a := <-answers
		return a.data, a.err
	}
}
