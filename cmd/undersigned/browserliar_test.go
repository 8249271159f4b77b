package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/tccm/undersigned/testdata/tccm"
)

// browserLiars are servers that show a record otherwise than it is, each in one way. It returns their addresses.
func browserLiars(t *testing.T, r *browserRecord, f *browserFacts) map[string]string {
	t.Helper()
	pages := func(path string) bool {
		return path == "/" || strings.HasPrefix(path, "/statement/") || strings.HasPrefix(path, "/entry/") || strings.HasPrefix(path, "/organization/")
	}
	// What is forged looks like what is not.
	item := regexp.MustCompile(`(?s)<li[^>]*>\s*<span class="name"[^>]*>.*?</li>\s*`)
	const forged = "forged.example"
	lies := map[string]func(path string, body []byte) []byte{
		"hash tile": func(path string, body []byte) []byte {
			if strings.HasPrefix(path, "/tile/0/") {
				body[0] ^= 1
			}
			return body
		},
		// A signatory of the same length has another name in the record's own bytes.
		"entry tile": func(path string, body []byte) []byte {
			if strings.HasPrefix(path, "/tile/entries/") {
				return bytes.ReplaceAll(body, []byte("Blacknight"), []byte("Whitemight"))
			}
			return body
		},
		"dropped from the page": func(path string, body []byte) []byte {
			if !pages(path) {
				return body
			}
			return item.ReplaceAllFunc(body, func(li []byte) []byte {
				if bytes.Contains(li, []byte("blacknight.com")) {
					return nil
				}
				return li
			})
		},
		"added to the page": func(path string, body []byte) []byte {
			if !pages(path) {
				return body
			}
			return item.ReplaceAllFunc(body, func(li []byte) []byte {
				if bytes.Contains(li, []byte("blacknight.com")) {
					other := bytes.ReplaceAll(li, []byte("blacknight.com"), []byte(forged))
					return append(li, bytes.ReplaceAll(other, []byte("Blacknight"), []byte("Forged Example"))...)
				}
				return li
			})
		},
		"renamed on the page": func(path string, body []byte) []byte {
			if !pages(path) {
				return body
			}
			return bytes.ReplaceAll(body, []byte("blacknight.com"), []byte(forged))
		},
		// Who withdrew is shown among those who did not.
		"withdrawal hidden": func(path string, body []byte) []byte {
			if !pages(path) {
				return body
			}
			return item.ReplaceAllFunc(body, func(li []byte) []byte {
				if bytes.Contains(li, []byte(demoGuest)) {
					return nil
				}
				return li
			})
		},
		"another text": func(path string, body []byte) []byte {
			if path == "/blobs/sha256/"+f.Statements["tccm"].Hash {
				return bytes.Replace(tccm.Statement, []byte("on an equal footing "), nil, 1)
			}
			if pages(path) {
				return bytes.ReplaceAll(body, []byte("on an equal footing "), nil)
			}
			return body
		},
		"another receipt": func(path string, body []byte) []byte {
			if path == "/api/v1/receipt/"+strconv.FormatUint(f.Entries["apnic"], 10) {
				body[len(body)/2] ^= 1
			}
			return body
		},
		"another root": func(path string, body []byte) []byte {
			if path == "/checkpoint" {
				lines := bytes.SplitN(body, []byte("\n"), 4)
				lines[2] = []byte("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
				return bytes.Join(lines, []byte("\n"))
			}
			return body
		},
		"no witnesses": func(path string, body []byte) []byte {
			if path == "/checkpoint" || strings.HasPrefix(path, "/checkpoints/") {
				return regexp.MustCompile(`(?m)^— [a-z]+\.example/.*\n`).ReplaceAll(body, nil)
			}
			return body
		},
	}
	addresses := map[string]string{}
	for name, lie := range lies {
		addresses[name] = liar(t, r.url, func(resp *http.Response) error {
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return err
			}
			if err := resp.Body.Close(); err != nil {
				return err
			}
			if resp.StatusCode == http.StatusOK {
				body = lie(resp.Request.URL.Path, body)
			}
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return nil
		})
	}
	// These do not lie, they fail: no sign of anything but that.
	addresses["no tiles"] = liar(t, r.url, func(resp *http.Response) error {
		if strings.HasPrefix(resp.Request.URL.Path, "/tile/") {
			resp.StatusCode, resp.Status = http.StatusServiceUnavailable, "503 Service Unavailable"
			resp.Body.Close()
			resp.Body, resp.ContentLength = http.NoBody, 0
			resp.Header.Set("Content-Length", "0")
		}
		return nil
	})
	addresses["no checkpoint"] = liar(t, r.url, func(resp *http.Response) error {
		if resp.Request.URL.Path == "/checkpoint" {
			panic(http.ErrAbortHandler)
		}
		return nil
	})
	return addresses
}

// liar serves what another server does, changed.
func liar(t *testing.T, address string, change func(*http.Response) error) string {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			// What is compressed cannot be changed.
			if !strings.HasSuffix(p.In.URL.Path, ".wasm") {
				p.Out.Header.Del("Accept-Encoding")
			}
		},
		ModifyResponse: change,
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL + "/"
}
