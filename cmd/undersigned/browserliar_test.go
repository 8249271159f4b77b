package main

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// browserLiars are servers that show a record otherwise than it is, each in one way. other is another record that the same log and witnesses have
// signed. It returns their addresses.
func browserLiars(t *testing.T, r, other *browserRecord, f *browserFacts) map[string]string {
	t.Helper()
	pages := func(path string) bool {
		return path == "/" || strings.HasPrefix(path, "/statement/") || strings.HasPrefix(path, "/entry/") || strings.HasPrefix(path, "/organization/")
	}
	// What is forged looks like what is not.
	item := regexp.MustCompile(`(?s)<li[^>]* data-(?:domain|statement)="[^"]*"[^>]*>.*?</li>\s*`)
	items := func(path string, body []byte, about string, change func(li []byte) []byte) []byte {
		if !pages(path) {
			return body
		}
		return item.ReplaceAllFunc(body, func(li []byte) []byte {
			if bytes.Contains(li, []byte(about)) {
				return change(bytes.Clone(li))
			}
			return li
		})
	}
	const victim, forged = "blacknight.com", "forged.example"
	forge := func(li []byte) []byte {
		li = bytes.ReplaceAll(li, []byte(victim), []byte(forged))
		return bytes.ReplaceAll(li, []byte("Blacknight"), []byte("Forged Example"))
	}
	another := func(body []byte) []byte { return bytes.ReplaceAll(body, []byte("on an equal footing "), nil) }
	text := "/blobs/sha256/" + f.Statements["tccm"].Hash
	receipt := func(index uint64) string { return "/api/v1/receipt/" + strconv.FormatUint(index, 10) }
	lies := map[string]func(path string, body []byte) []byte{
		"hash tile": func(path string, body []byte) []byte {
			if strings.HasPrefix(path, "/tile/0/") {
				body[0] ^= 1
			}
			return body
		},
		// A name of the same length.
		"entry tile": func(path string, body []byte) []byte {
			if strings.HasPrefix(path, "/tile/entries/") {
				return bytes.ReplaceAll(body, []byte("Blacknight"), []byte("Whitemight"))
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
			if path == "/checkpoint" {
				return regexp.MustCompile(`(?m)^— [a-z]+\.example/.*\n`).ReplaceAll(body, nil)
			}
			return body
		},
		"dropped from the page": func(path string, body []byte) []byte {
			return items(path, body, victim, func([]byte) []byte { return nil })
		},
		"added to the page": func(path string, body []byte) []byte {
			return items(path, body, victim, func(li []byte) []byte { return append(li, forge(li)...) })
		},
		"renamed on the page": func(path string, body []byte) []byte { return items(path, body, victim, forge) },
		// Who withdrew is left out, or shown to whoever reads the page as if it had not: the attribute still says so.
		"withdrawal hidden": func(path string, body []byte) []byte {
			if strings.HasPrefix(path, "/organization/") {
				return bytes.ReplaceAll(body, []byte(`<span class="amber"><span aria-hidden="true">▲</span> withdrew</span>`), []byte("<span>endorsed</span>"))
			}
			return items(path, body, demoGuest, func([]byte) []byte { return nil })
		},
		// An endorsement that somebody withdrew later is shown as if it were of another entry, and of another day.
		"earlier word": func(path string, body []byte) []byte {
			guest := strconv.FormatUint(f.Entries["guest"], 10)
			if !strings.HasPrefix(path, "/organization/") {
				return body
			}
			return items(path, body, `data-index="`+guest+`"`, func(li []byte) []byte {
				for from, to := range map[string]string{`"` + guest + `"`: `"60"`, "/entry/" + guest: "/entry/60", "entry " + guest: "entry 60", "18 July 2024": "20 June 2024"} {
					li = bytes.ReplaceAll(li, []byte(from), []byte(to))
				}
				return li
			})
		},
		"another text": func(path string, body []byte) []byte {
			if path == text || pages(path) {
				return another(body)
			}
			return body
		},
		"another article": func(path string, body []byte) []byte {
			if pages(path) {
				return another(body)
			}
			return body
		},
		"another receipt": func(path string, body []byte) []byte {
			if path == receipt(f.Entries["apnic"]) {
				return redated(t, body)
			}
			return body
		},
	}
	lies["dropped, no witnesses"] = func(path string, body []byte) []byte {
		return lies["dropped from the page"](path, lies["no witnesses"](path, body))
	}
	// What is read says something else than the attributes beside it.
	lies["another number in words"] = func(path string, body []byte) []byte {
		if pages(path) {
			return regexp.MustCompile(`>(\d+ signator|\d+ organizations? st|\d+</strong><br>)`).ReplaceAll(body, []byte(">9$1"))
		}
		return body
	}
	lies["another domain in words"] = func(path string, body []byte) []byte {
		return items(path, body, victim, func(li []byte) []byte {
			return bytes.ReplaceAll(li, []byte(">"+victim+"</a>"), []byte(">"+forged+"</a>"))
		})
	}
	lies["another date"] = func(path string, body []byte) []byte {
		key := victim
		if strings.HasPrefix(path, "/organization/") {
			key = "data-statement"
		}
		return items(path, body, key, func(li []byte) []byte {
			return regexp.MustCompile(` 2024(, [0-9:]+ UTC)?</time>`).ReplaceAll(li, []byte(" 2023$1</time>"))
		})
	}
	dispute := regexp.MustCompile(`<(span|p) class="mark amber"><span aria-hidden="true">▲</span> disputed[^<]*</(span|p)>`)
	lies["dispute hidden"] = func(path string, body []byte) []byte {
		if !pages(path) {
			return body
		}
		return dispute.ReplaceAll(body, nil)
	}
	lies["dispute made up"] = func(path string, body []byte) []byte {
		key := victim
		if strings.HasPrefix(path, "/organization/") {
			key = "data-statement"
		}
		return items(path, body, key, func(li []byte) []byte {
			return bytes.Replace(li, []byte("</li>"), []byte(`<span class="mark amber"><span aria-hidden="true">▲</span> disputed: a key that signed was later said to be stolen</span></li>`), 1)
		})
	}
	lies["another title"] = func(path string, body []byte) []byte {
		if strings.HasPrefix(path, "/organization/") {
			return items(path, body, "data-statement", func(li []byte) []byte {
				return bytes.ReplaceAll(li, []byte("</a></p>"), []byte(" and Prosperity</a></p>"))
			})
		}
		return body
	}
	lies["withdrawn among the standing"] = func(path string, body []byte) []byte {
		if pages(path) {
			return bytes.ReplaceAll(body, []byte(`names gone"`), []byte(`names"`))
		}
		return body
	}
	// Nothing that the page says of the list can be held against the record.
	lies["no list"] = func(path string, body []byte) []byte {
		if pages(path) {
			return bytes.ReplaceAll(items(path, body, victim, func([]byte) []byte { return nil }), []byte(" data-roll="), []byte(" data-list="))
		}
		return body
	}
	forked, err := other.ledger.Receipt(t.Context(), f.Entries["apnic"])
	if err != nil {
		t.Fatal(err)
	}
	lies["receipt of another record"] = func(path string, body []byte) []byte {
		if path == receipt(f.Entries["apnic"]) {
			return forked.Bytes()
		}
		return body
	}
	// These answer with what they have for another address.
	swaps := map[string]map[string]string{
		"receipt of another":   {receipt(f.Entries["apnic"]): receipt(f.Entries["apnic"] + 1)},
		"receipt of a charter": {receipt(f.Entries["apnic"]): receipt(0)},
		"another organization": {"/organization/" + victim: "/organization/apnic.net"},
		// The page of a size, from before the guest withdrew, as if it were today's.
		"older list": {
			"/statement/" + f.Statements["tccm"].Hash: "/statement/" + f.Statements["tccm"].Hash + "?size=" + strconv.FormatUint(f.Entries["withdrawal"], 10),
		},
		"another day": {"/": "/?as-of=2024-07-18", "/statement/" + f.Statements["tccm"].Hash: "/statement/" + f.Statements["tccm"].Hash},
	}
	addresses := map[string]string{}
	for name, lie := range lies {
		addresses[name] = liar(t, r.url, nil, func(resp *http.Response) error {
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
	for name, swap := range swaps {
		addresses[name] = liar(t, r.url, swap, func(*http.Response) error { return nil })
	}
	// These do not lie, they fail: no sign of anything but that.
	for name, prefix := range map[string]string{"no tiles": "/tile/", "no receipt": "/api/v1/receipt/"} {
		addresses[name] = liar(t, r.url, nil, func(resp *http.Response) error {
			if !strings.HasPrefix(resp.Request.URL.Path, prefix) {
				return nil
			}
			resp.StatusCode, resp.Status = http.StatusServiceUnavailable, "503 Service Unavailable"
			resp.ContentLength = 0
			resp.Header.Set("Content-Length", "0")
			err := resp.Body.Close()
			resp.Body = http.NoBody
			return err
		})
	}
	addresses["no checkpoint"] = liar(t, r.url, nil, func(resp *http.Response) error {
		if resp.Request.URL.Path == "/checkpoint" {
			panic(http.ErrAbortHandler)
		}
		return nil
	})
	return addresses
}

// liar serves what another server does, changed, and at some addresses what that has at others.
func liar(t *testing.T, address string, swap map[string]string, change func(*http.Response) error) string {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			if other, ok := swap[p.In.URL.Path]; ok {
				path, query, _ := strings.Cut(other, "?")
				p.Out.URL.Path, p.Out.URL.RawPath, p.Out.URL.RawQuery = path, "", query
			}
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

// redated is the receipt of an endorsement of 11 June 2024, whose entry, in the line of extra data, has another date.
func redated(t *testing.T, receipt []byte) []byte {
	return regexp.MustCompile(`(?m)^extra .*$`).ReplaceAllFunc(receipt, func(line []byte) []byte {
		extra, err := base64.StdEncoding.DecodeString(string(line[len("extra "):]))
		if err != nil || !bytes.Contains(extra, []byte("\ndate 2024-06-11\n")) {
			t.Errorf("the receipt has no date to change: %v", err)
		}
		extra = bytes.Replace(extra, []byte("\ndate 2024-06-11\n"), []byte("\ndate 2024-06-12\n"), 1)
		return append([]byte("extra "), base64.StdEncoding.EncodeToString(extra)...)
	})
}
