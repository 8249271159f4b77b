package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tccm/undersigned/keys/dnssec"
	"github.com/tccm/undersigned/keys/dnssec/dnssectest"
	"github.com/tccm/undersigned/ledger/server/assets"
	"github.com/tccm/undersigned/verify"
	"github.com/tccm/undersigned/verify/entry"
	"github.com/tccm/undersigned/verify/roll/rolltest"
)

// A contract is openapi.json, taken at its word: every test of this package that asks /api/v1 holds the answer to it. A reader of the
// file must bear fields that are added later; the server must not answer with one that is not in it yet.
type contract struct {
	doc     map[string]any
	paths   []contractPath
	schemas *jsonschema.Compiler

	mu       sync.Mutex
	compiled map[string]*jsonschema.Schema
	seen     map[string]bool // operations with a status, and properties, that answers had
}

type contractPath struct {
	template string
	pattern  *regexp.Regexp
	get      map[string]any
}

const contractURL = "https://ledger.example/api/v1/openapi.json"

// theContract is shared by all tests.
var theContract = sync.OnceValue(func() *contract { return readContract(nil) })

// readContract reads the file as the server has it, after change.
func readContract(change func(doc map[string]any)) *contract {
	b, err := assets.Files.ReadFile(openAPIFile)
	if err != nil {
		panic(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		panic(err)
	}
	c := &contract{doc: v.(map[string]any), schemas: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}, seen: map[string]bool{}}
	if change != nil {
		change(c.doc)
	}
	closeObjects(v)
	c.schemas.DefaultDraft(jsonschema.Draft2020)
	if err := c.schemas.AddResource(contractURL, v); err != nil {
		panic(err)
	}
	for template, item := range c.doc["paths"].(map[string]any) {
		pattern := regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(template), `[^/]+`)
		c.paths = append(c.paths, contractPath{template, regexp.MustCompile("^" + pattern + "$"), item.(map[string]any)["get"].(map[string]any)})
	}
	return c
}

// closeObjects has every object have the properties that are named, and no other.
func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			closeObjects(inner)
		}
		if _, ok := v["properties"].(map[string]any); ok && v["type"] == "object" {
			v["additionalProperties"] = false
		}
	case []any:
		for _, inner := range v {
			closeObjects(inner)
		}
	}
}

// follow resolves a reference within the file, if v is one.
func (c *contract) follow(v map[string]any) (at string, to map[string]any) {
	ref, ok := v["$ref"].(string)
	if !ok {
		return "", v
	}
	var found any = c.doc
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		found = found.(map[string]any)[part]
	}
	return ref, found.(map[string]any)
}

// schema compiles the one at a JSON pointer.
func (c *contract) schema(pointer string) (*jsonschema.Schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.compiled[pointer]; s != nil {
		return s, nil
	}
	s, err := c.schemas.Compile(contractURL + "#" + pointer)
	c.compiled[pointer] = s
	return s, err
}

// hold returns what is wrong with an answer, if anything.
func (c *contract) hold(method, target string, status int, header http.Header, body []byte) error {
	path, _, _ := strings.Cut(target, "?")
	if !strings.HasPrefix(path, "/api/v1/") {
		return nil
	}
	if header.Get("Content-Encoding") != "" {
		return nil // the same, compressed
	}
	var at *contractPath
	for i := range c.paths {
		if c.paths[i].pattern.MatchString(path) {
			at = &c.paths[i]
		}
	}
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil && len(body) > 0 {
		return fmt.Errorf("its Content-Type: %w", err)
	}
	var pointer string
	var schema map[string]any
	switch {
	case at == nil || method != http.MethodGet && method != http.MethodHead:
		if status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
			return fmt.Errorf("the file has no %s %s, which answers with %d", method, path, status)
		}
		pointer, schema = "/components/schemas/Problem", map[string]any{"$ref": "#/components/schemas/Problem"}
	default:
		code := fmt.Sprint(status)
		response, ok := at.get["responses"].(map[string]any)[code].(map[string]any)
		if !ok {
			return fmt.Errorf("the file has no status %d for %s", status, at.template)
		}
		ref, response := c.follow(response)
		pointer = "/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(at.template) + "/get/responses/" + code
		if ref != "" {
			pointer = strings.TrimPrefix(ref, "#")
		}
		c.see(at.template + " " + code)
		content, ok := response["content"].(map[string]any)
		if !ok {
			if len(body) > 0 {
				return fmt.Errorf("status %d of %s has a body", status, at.template)
			}
			return nil
		}
		media, ok := content[kind].(map[string]any)
		if !ok {
			return fmt.Errorf("status %d of %s has the type %q", status, at.template, kind)
		}
		headers, _ := response["headers"].(map[string]any)
		for name := range header {
			if _, ok := headers[name]; !ok && !slices.Contains(commonHeaders, name) {
				return fmt.Errorf("status %d of %s has the header %s", status, at.template, name)
			}
		}
		pointer += "/content/" + strings.ReplaceAll(kind, "/", "~1") + "/schema"
		schema = media["schema"].(map[string]any)
	}
	if method == http.MethodHead {
		return nil
	}
	var instance any = string(body)
	if strings.HasSuffix(kind, "json") {
		if instance, err = jsonschema.UnmarshalJSON(bytes.NewReader(body)); err != nil {
			return err
		}
	}
	compiled, err := c.schema(pointer)
	if err != nil {
		return err
	}
	c.walk(pointer, schema, instance)
	return compiled.Validate(instance)
}

// commonHeaders are those of all answers of this server.
var commonHeaders = []string{"Access-Control-Allow-Origin", "Cache-Control", "Content-Length", "Content-Security-Policy", "Content-Type", "Cross-Origin-Opener-Policy",
	"Cross-Origin-Resource-Policy", "Etag", "Referrer-Policy", "Vary", "X-Content-Type-Options", "Connection"}

func (c *contract) see(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[what] = true
}

// walk notes which properties and enumerated values an answer had.
func (c *contract) walk(at string, schema map[string]any, v any) {
	if ref, to := c.follow(schema); ref != "" {
		at, schema = ref, to
	}
	switch v := v.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for name, inner := range v {
			if p, ok := properties[name].(map[string]any); ok {
				c.see(at + " " + name)
				c.walk(at+"."+name, p, inner)
			}
		}
	case []any:
		items, _ := schema["items"].(map[string]any)
		for _, inner := range v {
			c.walk(at+"[]", items, inner)
		}
	case string:
		if _, ok := schema["enum"]; ok {
			c.see(at + " = " + v)
		}
	}
}

// everything returns what walk would see if answers had all that the file has.
func (c *contract) everything() map[string]bool {
	all := map[string]bool{}
	var walk func(at string, schema map[string]any)
	walk = func(at string, schema map[string]any) {
		if ref, to := c.follow(schema); ref != "" {
			at, schema = ref, to
		}
		properties, _ := schema["properties"].(map[string]any)
		for name, p := range properties {
			if key := at + " " + name; !all[key] {
				all[key] = true
				walk(at+"."+name, p.(map[string]any))
			}
		}
		if items, ok := schema["items"].(map[string]any); ok {
			walk(at+"[]", items)
		}
		enum, _ := schema["enum"].([]any)
		for _, v := range enum {
			all[at+" = "+v.(string)] = true
		}
	}
	for name, s := range c.doc["components"].(map[string]any)["schemas"].(map[string]any) {
		walk("#/components/schemas/"+name, s.(map[string]any))
	}
	for _, p := range c.paths {
		for code := range p.get["responses"].(map[string]any) {
			all[p.template+" "+code] = true
		}
	}
	return all
}

// agrees holds an answer to the contract.
func agrees(t testing.TB, c *contract, method, target string, rec *httptest.ResponseRecorder) {
	t.Helper()
	if err := c.hold(method, target, rec.Code, rec.Header(), rec.Body.Bytes()); err != nil {
		t.Errorf("%s %s is not what openapi.json says: %v\n%d %s", method, target, err, rec.Code, rec.Body)
	}
}

// TestOpenAPIRoutes: the file has the routes of the server with the same parameters, and the server those of the file.
func TestOpenAPIRoutes(t *testing.T) {
	c := theContract()
	w := newWorld(t)
	example := strings.NewReplacer("{fingerprint}", hexOf(w.text), "{domain}", "apnic.net", "{index}", "7")
	described := map[string]bool{}
	for _, p := range c.paths {
		path := example.Replace(p.template)
		route, _ := find(path)
		if route.name == noRoute.name || route.methods != get {
			t.Errorf("the server does not know %s", p.template)
			continue
		}
		described[route.name] = true
		var in []string
		list, _ := p.get["parameters"].([]any)
		for _, v := range list {
			_, parameter := c.follow(v.(map[string]any))
			name := parameter["name"].(string)
			if parameter["in"] == "query" {
				in = append(in, name)
			} else if !strings.Contains(p.template, "{"+name+"}") {
				t.Errorf("%s has no %s", p.template, name)
			}
		}
		// The server says which it takes, to who sends another one.
		var problem problem
		if err := json.Unmarshal(w.get(path+"?nonsense=1").Body.Bytes(), &problem); err != nil {
			t.Fatal(err)
		}
		want := "This path takes no parameters."
		if len(in) > 0 {
			slices.Sort(in)
			list, ok := strings.CutPrefix(problem.Detail, "This path takes the parameters ")
			names := strings.Split(strings.TrimSuffix(list, ", each at most once, and no other."), ", ")
			slices.Sort(names)
			if !ok || !slices.Equal(names, in) {
				t.Errorf("%s: the file has the parameters %v, the server says %q", p.template, in, problem.Detail)
			}
		} else if problem.Detail != want {
			t.Errorf("%s: the file has no parameters, the server says %q", p.template, problem.Detail)
		}
	}
	for _, r := range routes {
		if strings.HasPrefix(r.prefix, "/api/v1/") && !described[r.name] {
			t.Errorf("the file has not %s", r.prefix)
		}
	}
	_, p := c.follow(map[string]any{"$ref": "#/components/schemas/Problem"})
	for _, v := range p["properties"].(map[string]any)["type"].(map[string]any)["enum"].([]any) {
		if _, ok := problems[Problem(strings.TrimPrefix(v.(string), problemPrefix))]; !ok {
			t.Errorf("the server knows no %s", v)
		}
	}
}

// TestOpenAPIAnswers asks a record in which everything has happened that shows in answers, and the transcripts: all of them hold, and
// nothing is in the file that no answer has.
func TestOpenAPIAnswers(t *testing.T) {
	c := readContract(nil)
	ask := func(w *world, targets ...string) {
		for _, target := range targets {
			rec := w.get(target)
			agrees(t, c, http.MethodGet, target, rec)
			if tag := rec.Header().Get("ETag"); tag != "" {
				r := httptest.NewRequest(http.MethodGet, target, nil)
				r.Header.Set("If-None-Match", tag)
				again := httptest.NewRecorder()
				w.server.ServeHTTP(again, r)
				if again.Code != http.StatusNotModified {
					t.Errorf("%s: %d", target, again.Code)
				}
				agrees(t, c, http.MethodGet, target, again)
			}
		}
	}
	var data []byte
	for _, name := range []string{"api", "changes"} {
		b, err := os.ReadFile("testdata/" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, b...)
	}
	w := newWorld(t)
	for _, e := range exchanges(t, strings.NewReplacer("{text}", hexOf(w.text), "{closed}", hexOf(w.closed)).Replace(string(data))) {
		if method, target, _ := strings.Cut(e.line, " "); method == http.MethodGet {
			ask(w, strings.ReplaceAll(target, "<script>", url.QueryEscape("<script>")))
		}
	}
	ask(w, "/api/v1/openapi.json")
	sealed := seal(newWorld(t))
	b, err := os.ReadFile("testdata/rolls.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range exchanges(t, strings.NewReplacer("{text}", hexOf(sealed.text), "{closed}", hexOf(sealed.closed)).Replace(string(b))) {
		_, target, _ := strings.Cut(e.line, " ")
		ask(sealed, target)
	}
	sealed.server.limits.names = 0
	ask(sealed, "/api/v1/roll-receipt/"+hexOf(sealed.text))
	logs := logSigners(t, rolltest.Origin)
	policy, err := verify.ParsePolicy(fmt.Appendf(nil, "log %s\nwitness w %s\nquorum w\n", logs[0].VKey, logs[1].VKey))
	if err != nil {
		t.Fatal(err)
	}
	w.server.policy = policy
	ask(w, "/api/v1/entry/7", "/api/v1/entry/8", "/api/v1/entry/9")

	w = newEventful(t)
	text := hexOf(w.text)
	for _, p := range c.paths {
		path := strings.NewReplacer("{fingerprint}", text, "{domain}", "busy.example", "{index}", "7").Replace(p.template)
		ask(w, path+"?nonsense=1")
		if strings.Contains(p.template, "{") {
			ask(w, strings.NewReplacer("{fingerprint}", strings.Repeat("0", 64), "{domain}", "nobody.example", "{index}", "999").Replace(p.template))
		}
	}
	ask(w, "/api/v1/statements", "/api/v1/statements?limit=1", "/api/v1/checkpoints?limit=1", "/api/v1/roll/"+text, "/api/v1/roll/"+text+"?limit=1&as-of=2024-06-12",
		"/api/v1/changes/"+text+"?from=2024-06-11", "/api/v1/changes/"+text+"?from=2024-06-14", "/api/v1/changes/"+text+"?from=2024-06-11&as-of=2024-06-12&limit=1")
	for domain := range w.orgs {
		path := "/api/v1/signatory/" + domain
		ask(w, path, path+"/history", path+"/history?limit=1", path+"/endorsements", path+"/endorsements?limit=1")
	}
	for i := range w.ledger.Published().Size {
		ask(w, fmt.Sprint("/api/v1/entry/", i))
	}
	leaf, err := w.server.leaf(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	ask(w, "/api/v1/search?q="+leaf.Entry.ID().String())
	// The answers of a server that cannot answer.
	for _, p := range c.paths {
		for _, name := range []Problem{ProblemLimited, ProblemBusy, ProblemInternal, ProblemFailed, ProblemNotSigning} {
			rec := httptest.NewRecorder()
			path := strings.NewReplacer("{fingerprint}", text, "{domain}", "busy.example", "{index}", "7").Replace(p.template)
			w.server.fail(rec, httptest.NewRequest(http.MethodGet, path, nil), problemOf(name))
			agrees(t, c, http.MethodGet, path, rec)
		}
	}
	agrees(t, c, http.MethodPost, "/api/v1/statements", w.do("POST", "/api/v1/statements", "text/plain", nil))
	agrees(t, c, http.MethodGet, "/api/v1/nothing", w.get("/api/v1/nothing"))

	var missing []string
	for what := range c.everything() {
		if !c.seen[what] {
			missing = append(missing, what)
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		t.Errorf("the file has what no answer has:\n%s", strings.Join(missing, "\n"))
	}
}

// newEventful returns a world in which everything has happened that shows in answers.
func newEventful(t *testing.T) *world {
	w := newEmptyWorld(t, rolltest.Origin)
	member := func(domain string, n, recovery int) *rolltest.Org {
		o := rolltest.NewOrg(domain, n, recovery, 1)
		w.orgs[domain] = o
		m := &entry.Membership{Action: entry.Register, Member: domain, Name: "Name of " + domain, LegalName: "Legal name of " + domain, Quorum: 1, Vouchers: w.operator.Vouch()}
		ks := slices.Clone(o.Keys)
		for _, k := range o.Keys {
			m.PublicKeys = append(m.PublicKeys, k.Line())
		}
		for _, k := range o.Recovery {
			m.RecoveryKeys = append(m.RecoveryKeys, k.Line())
			ks = append(ks, k)
		}
		w.must(w.draft(m, o, ks...))
		return o
	}
	busy, gone, passing := member("busy.example", 4, 1), member("xn--mnchen-3ya.example", 1, 0), member("passing.example", 1, 0)
	old := w.publish("An old text.\n", "Old")
	german := entry.Rendition{Language: "de", Hash: entry.Sum([]byte("Ein Text.\n")), Size: 10, MediaType: "text/plain"}
	w.text = entry.Sum([]byte("A text.\n"))
	w.must(w.draft(&entry.Statement{
		Action: entry.Publish, Statement: w.text, Title: "New", Language: "en", MediaType: "text/plain", Size: 8, Renditions: []entry.Rendition{german}, Supersedes: &old,
		Closes: w.clock().AddDate(1, 0, 0),
	}, w.operator))
	w.must(w.endorsement(entry.Endorse, busy.Domain, old))
	w.must(w.draft(&entry.Statement{Action: entry.Close, Statement: old}, w.operator))
	for _, domain := range []string{"busy.example", "xn--mnchen-3ya.example"} {
		w.must(w.endorsement(entry.Endorse, domain, w.text))
	}
	w.advance(48 * time.Hour)
	w.must(w.draft(&entry.Membership{Action: entry.Update, Member: busy.Domain, Name: "Another name", LegalName: "Another legal name", Quorum: 1, RecoveryKeys: []entry.PublicKey{busy.Recovery[0].Line()}}, busy))
	event := func(e *entry.KeyEvent, signer *rolltest.Org, ks ...*rolltest.Key) {
		e.Member = busy.Domain
		w.must(w.draft(e, signer, ks...))
	}
	refs := []*rolltest.Key{busy.Keys[0], busy.Keys[1], busy.Keys[2], busy.Keys[3]}
	second, third, fourth := refs[1].Ref(), refs[2].Ref(), refs[3].Ref()
	added, next := rolltest.NewKey("added"), rolltest.NewKey("next")
	line := added.Line()
	event(&entry.KeyEvent{Action: entry.Add, PublicKey: &line}, busy, refs[0], added)
	line2, compromised := next.Line(), uint64(5)
	event(&entry.KeyEvent{Action: entry.Rotate, PublicKey: &line2, Revokes: &second}, busy, refs[0], next)
	event(&entry.KeyEvent{Action: entry.Revoke, Revokes: &third, CompromisedAfter: &compromised}, busy, refs[0])
	event(&entry.KeyEvent{Action: entry.Suspend, Revokes: &fourth}, w.operator)
	again := w.endorsement(entry.Endorse, busy.Domain, w.text)
	again.Body.(*entry.Endorsement).Renditions = []entry.RenditionRef{{Language: "de", Hash: german.Hash}}
	w.must(again)
	w.must(w.endorsement(entry.Endorse, passing.Domain, w.text))
	w.must(w.endorsement(entry.Withdraw, passing.Domain, w.text))
	w.must(w.endorsement(entry.Withdraw, gone.Domain, w.text))
	w.must(w.draft(&entry.Membership{Action: entry.Leave, Member: gone.Domain}, gone))
	back := member("back.example", 1, 0)
	w.must(w.endorsement(entry.Endorse, back.Domain, w.text))
	w.advance(48 * time.Hour)
	w.must(w.draft(&entry.Membership{Action: entry.Leave, Member: back.Domain}, back))
	k := rolltest.NewKey("back again")
	w.must(w.draft(&entry.Membership{Action: entry.Register, Member: back.Domain, Name: "Back", Quorum: 1, PublicKeys: []entry.PublicKey{k.Line()}, Vouchers: w.operator.Vouch()}, back, k))
	late := member("late.example", 1, 0)
	w.must(w.endorsement(entry.Endorse, late.Domain, w.text))

	// A key that its domain publishes, and then no longer.
	dns := dnssectest.New(w.clock().Add(-time.Hour), w.clock().Add(14*24*time.Hour))
	dnssectest.Trust(dns.Anchors()...)
	dns.Zone("example", dnssectest.Options{})
	dns.Zone("proven.example", dnssectest.Options{})
	proven := rolltest.NewKey("proven")
	chain := func(records ...dnssec.Record) []byte {
		dns.Publish("proven.example", records...)
		b, _, err := dns.Chain("proven.example", w.clock())
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	w.orgs["proven.example"] = &rolltest.Org{Domain: "proven.example"}
	join := rolltest.Sign(w.draft(&entry.Membership{Action: entry.Register, Member: "proven.example", Name: "Proven", Quorum: 1, PublicKeys: []entry.PublicKey{proven.Line()}, Vouchers: w.operator.Vouch()}, w.orgs["proven.example"], proven))
	shown := chain(dnssec.Record{Ledger: w.ledger.Origin(), Key: proven.Ref().Fingerprint})
	if r := w.ledger.Submit(t.Context(), entry.Submission(join, shown))[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	if r := w.ledger.AddEvidence(t.Context(), &entry.Evidence{Type: entry.DNSSEC, Member: "proven.example", Data: chain()}); r.Err != nil {
		t.Fatal(r.Err)
	}
	return w
}

// TestOpenAPINotices: a field, a status and a route that the file lacks are each noticed.
func TestOpenAPINotices(t *testing.T) {
	w := newWorld(t)
	components := func(doc map[string]any, kind, name string) map[string]any {
		return doc["components"].(map[string]any)[kind].(map[string]any)[name].(map[string]any)
	}
	for name, c := range map[string]struct {
		change func(doc map[string]any)
		target string
	}{
		"nothing": {func(map[string]any) {}, ""},
		"a field": {func(doc map[string]any) {
			delete(components(doc, "schemas", "Signatory")["properties"].(map[string]any), "date")
		}, "/api/v1/roll/" + hexOf(w.text)},
		"a type":    {func(doc map[string]any) { components(doc, "schemas", "Size")["type"] = "string" }, "/api/v1/checkpoints"},
		"a pattern": {func(doc map[string]any) { components(doc, "schemas", "Time")["pattern"] = "^x" }, "/api/v1/entry/7"},
		"a value": {func(doc map[string]any) {
			components(doc, "schemas", "Word")["properties"].(map[string]any)["action"] = map[string]any{"enum": []any{"endorse"}}
		}, "/api/v1/changes/" + hexOf(w.text) + "?from=2024-06-11"},
		"a status":     {func(doc map[string]any) { delete(pathOf(doc, "/api/v1/search")["responses"].(map[string]any), "400") }, "/api/v1/search"},
		"a media type": {func(doc map[string]any) { components(doc, "responses", "NotFound")["content"] = map[string]any{} }, "/api/v1/entry/999"},
		"a header": {func(doc map[string]any) {
			delete(pathOf(doc, "/api/v1/receipt/{index}")["responses"].(map[string]any)["200"].(map[string]any), "headers")
		}, "/api/v1/receipt/7"},
		"a route": {func(doc map[string]any) { delete(doc["paths"].(map[string]any), "/api/v1/statements") }, "/api/v1/statements"},
		"an error": {func(doc map[string]any) {
			components(doc, "schemas", "Problem")["properties"].(map[string]any)["type"] = map[string]any{"enum": []any{}}
		}, "/api/v1/nothing"},
	} {
		contract := readContract(c.change)
		noticed := false
		for _, target := range []string{"/api/v1/roll/" + hexOf(w.text), "/api/v1/checkpoints", "/api/v1/entry/7", "/api/v1/changes/" + hexOf(w.text) + "?from=2024-06-11", "/api/v1/search", "/api/v1/entry/999", "/api/v1/receipt/7", "/api/v1/statements", "/api/v1/nothing"} {
			rec := w.get(target)
			err := contract.hold(http.MethodGet, target, rec.Code, rec.Header(), rec.Body.Bytes())
			if target == c.target {
				noticed = err != nil
			} else if err != nil && c.target == "" {
				t.Errorf("%s: %v", target, err)
			}
		}
		if noticed != (c.target != "") {
			t.Errorf("without %s: noticed %v", name, noticed)
		}
	}
}

func pathOf(doc map[string]any, path string) map[string]any {
	return doc["paths"].(map[string]any)[path].(map[string]any)["get"].(map[string]any)
}
