// What the modules do without a page. Run by TestModules (modules_test.go) with node --test.
import assert from "node:assert/strict";
import test from "node:test";

import { permalink, stateOf } from "./answer.js";
import { isReceipt } from "./check.js";
import { asked, compare, itemOf, momentOf, numberIn, sameMoment, shows, withdrew, wordsFrom } from "./claims.js";
import { visible } from "./differences.js";
import { Engine, EngineError } from "./engine.js";
import { fault } from "./judge.js";
import { count, speak, text } from "./messages.js";
import { alter } from "./samples.js";
import { Verifier } from "./verifier.js";

speak({ "a.one": "{n} entry of {of}", "a.other": "{n} entries of {of}", b: "{x} and {constructor}" }, "en");

test("messages: a number chooses the form, a value that is not given stays", () => {
  assert.equal(count("a", 1, { of: "all" }), "1 entry of all");
  assert.equal(count("a", 12345, { of: "{n}" }), "12,345 entries of {n}");
  assert.equal(text("b", { x: "{constructor}" }), "{constructor} and {constructor}");
  assert.equal(text("toString"), "toString");
});

test("a code's state: what could not be checked is never red", () => {
  for (const [code, state] of [[0, "confirmed"], [12, "look-closer"], [3, "could-not-check"], [1, "could-not-check"], [10, "no"], [11, "no"], [13, "no"], [20, "no"], [21, "look-closer"]]) {
    assert.equal(stateOf(code), state, `code ${code}`);
  }
});

test("a sentence to quote leads to no other record than the one that it is about", () => {
  const at = { brought: false, link: "https://a.example/", origin: "a.example/log" };
  const said = { origin: "a.example/log", index: 57, size: 60 };
  assert.equal(permalink(said, at), "https://a.example/entry/57");
  assert.equal(permalink({ ...said, origin: "b.example/log" }, at), "");
  assert.equal(permalink(said, { ...at, brought: true }), "");
  assert.equal(permalink(said, { ...at, link: "" }), "");
});

test("a receipt that was dropped with a text is known, whatever an editor has added to it", () => {
  const bytes = (s) => new TextEncoder().encode(s);
  const header = "c2sp.org/tlog-proof@v1\n";
  for (const [s, is] of [[header, true], [`\ufeff${header}extra`, true], [`\ufeff${header.replace("\n", "\r\n")}extra`, true], [`x${header}`, false], ["", false]]) {
    assert.equal(isReceipt(bytes(s)), is, JSON.stringify(s));
  }
});

test("the altered sample: one word less, one letter that looks alike, the rest as it was", () => {
  const statement = "We are members of the technical community. This collaboration enables stakeholders to come together on an equal footing to discuss decisions.\n";
  const changed = alter(statement);
  const words = (s) => s.split(/\s+/);
  assert.equal(words(changed).length, words(statement).length - 1);
  const strange = [...changed].filter((c) => c > "\u00ff");
  assert.equal(strange.length, 1);
  assert.match(strange[0], /[\u0400-\u04ff]/);
  assert.ok(changed.endsWith("decisions.\n"));
  for (const short of ["", "a b c", "word", "ééé ééé\n", "日本語の文章です"]) {
    assert.equal(typeof alter(short), "string");
  }
});

const page = (more) => ({
  size: 3, count: 2, withdrawn: 1, whole: true,
  items: [{ domain: "a.example", index: 1, name: "A", gone: false }, { domain: "b.example", index: 2, name: "B", gone: false }, { domain: "c.example", index: 3, name: "C", gone: true }],
  ...more,
});
const roll = {
  count: 2, withdrawn: 1,
  items: [{ domain: "a.example", index: 1, name: "A" }, { domain: "b.example", index: 2, name: "B" }],
  gone: [{ domain: "c.example", index: 3, name: "C" }],
};

test("a page's list against the record's: the same", () => {
  assert.deepEqual(compare(page(), roll), { extra: [], another: [], missing: [], count: true });
});

test("a page's list against the record's: every lie is found", () => {
  const items = page().items;
  const lies = {
    "a name too many": [{ items: [...items, { domain: "d.example", index: 9, name: "D", gone: false }] }, "extra"],
    "a name twice": [{ items: [...items, items[0]] }, "extra"],
    "another entry": [{ items: [{ ...items[0], index: 7 }, items[1], items[2]] }, "another"],
    "another name": [{ items: [{ ...items[0], name: "Big A" }, items[1], items[2]] }, "another"],
    "a name left out": [{ items: items.slice(1) }, "missing"],
    "a withdrawal left out": [{ items: items.slice(0, 2) }, "missing"],
    "one who withdrew shown as standing": [{ items: [items[0], items[1], { ...items[2], gone: false }] }, "extra"],
  };
  for (const [name, [more, where]] of Object.entries(lies)) {
    assert.ok(compare(page(more), roll)[where].length > 0, name);
  }
  assert.equal(compare(page({ count: 3 }), roll).count, false);
  assert.equal(compare(page({ withdrawn: 0 }), roll).count, false);
});

test("a page with a part of a list leaves nothing out", () => {
  assert.deepEqual(compare(page({ whole: false, items: page().items.slice(0, 1) }), roll).missing, []);
});

test("what an address asks for", () => {
  const hex = "a".repeat(64);
  assert.deepEqual(asked({ pathname: `/statement/${hex}`, search: "?as-of=2024-06-11&size=20" }), { kind: "statement", id: hex, asOf: "2024-06-11", size: "20" });
  assert.deepEqual(asked({ pathname: "/entry/57", search: "" }), { kind: "entry", id: "57", asOf: "", size: "" });
  assert.deepEqual(asked({ pathname: "/", search: "" }), { kind: "", id: "", asOf: "", size: "" });
  assert.equal(asked({ pathname: "/entry/57/page.html", search: "" }).kind, "");
  assert.ok(sameMoment("2024-06-11T12:00:00Z", "2024-06-11T12:00:00.000Z"));
  assert.ok(!sameMoment("2024-06-11", "2024-06-12") && !sameMoment("2024-06-11", "2024-06-11T00:00:00Z") && !sameMoment("", "2024-06-11"));
});

test("a text that a page shows: the words of the file, with or without its title", () => {
  const file = "A title\n\nWe are  here:\n\n- one,\n- two-fold.\n";
  assert.ok(shows("A title We are here: one, two-fold.", file, "Other", false));
  assert.ok(shows("A name A title We are here:\n one, two-fold.", file, "A name", false));
  assert.ok(shows("are here: one,", file, "A name", true));
  for (const other of ["A title We are here: one, twofold.", "A title We are here: one,", "A title We are h\u0435re: one, two-fold.", "", "more A title We are here: one, two-fold."]) {
    assert.ok(!shows(other, file, "A name", false), other);
  }
  assert.ok(!shows("re here: one", file, "A name", true));
});

test("the day that a page has for an item is the record's", () => {
  const of = (shown) => compare(page({ items: [{ ...page().items[0], day: shown }, ...page().items.slice(1)] }), { ...roll, items: [{ ...roll.items[0], admitted: "2024-06-11T23:59:59.999Z" }, roll.items[1]] }).another.length;
  assert.deepEqual([undefined, "11 June 2024", "11 June 2023", ""].map(of), [0, 0, 1, 1]);
  assert.equal(momentOf("2024-06-11T09:30:59.9Z"), "11 June 2024, 09:30 UTC");
});

test("an item of a page that was asked for again: that of the same organization and entry", () => {
  const li = (domain, index, more = "") => `<li data-domain="${domain}" data-index="${index}" data-id="x">${more}</li>\n`;
  const html = li("a-b.example", 8, "of another") + li("a.b.example", 80, "a later one") + li("a.b.example", 8, "it");
  assert.equal(itemOf(html, { domain: "a.b.example", index: 8 }), li("a.b.example", 8, "it").slice(0, -6));
  for (const none of [{ domain: "a.b.example", index: 9 }, { domain: "b.example", index: 8 }]) {
    assert.equal(itemOf(html, none), undefined);
  }
  assert.equal(itemOf("", { domain: "a.b.example", index: 8 }), undefined);
});

test("the number that a page has for its list", () => {
  for (const [words, n] of [["16 signatories on 11 June 2024", 16], ["12,005", 12005], ["1 organization stands behind this text", 1], ["0 signatories", 0], ["nobody", NaN]]) {
    assert.equal(numberIn(words), n, words);
  }
});

test("what an organization did: one word of two, and nothing beside it", () => {
  for (const [words, gone] of [[["endorsed"], false], [["withdrew"], true], [["withdrew", "endorsed"], undefined], [["endorsed", "endorsed"], undefined], [["backs"], undefined], [[], undefined]]) {
    assert.equal(withdrew(words, "endorsed", "withdrew"), gone, words.join());
  }
});

test("of an organization that said very much a page leaves out the oldest, and no other", () => {
  const said = (n) => Array.from({ length: n }, (_, i) => ({ index: 500 - i }));
  assert.equal(wordsFrom(said(99)), 0);
  assert.equal(wordsFrom(said(100)), 401);
  assert.equal(wordsFrom([]), 0);
});

test("a receipt that a server sent: what is wrong with it", () => {
  const receipt = (index) => new TextEncoder().encode(`c2sp.org/tlog-proof@v1\nextra AAAA\nindex ${index}\n\nlog.example/1\n`);
  const sent = (more) => ({ kind: "receipt", code: 0, sentence: "No. It is false.", verdict: { origin: "log.example/1" }, answers: ["confirmed", "confirmed", "confirmed", "confirmed"].map((state) => ({ state })), ...more });
  const states = (...all) => all.map((state) => ({ state }));
  const sound = { code: 0, origin: "log.example/1" };
  for (const [name, answered, index, record, wrong] of [
    ["nothing", sent(), 57, sound, ""],
    ["nothing, and there is no record", sent(), 57, null, ""],
    ["of another entry", sent(), 5, sound, "js.receipt.other"],
    ["of another entry, which is no endorsement", sent({ code: 11 }), 0, sound, "js.receipt.other"],
    ["of another entry, and too few witnesses signed it", sent({ code: 21 }), 5, sound, "js.receipt.other"],
    ["of an entry that is no endorsement", sent({ code: 11 }), 57, sound, ""],
    ["of another record", sent({ verdict: { origin: "log.example/2" } }), 57, sound, "js.receipt.elsewhere"],
    ["too few witnesses signed it", sent({ code: 21 }), 57, sound, ""],
    ["no receipt", sent({ kind: "text" }), 57, sound, "It is false."],
    ["false", sent({ code: 20, answers: states("no", "could-not-check", "could-not-check", "could-not-check") }), 57, sound, "It is false."],
    ["signed by another key", sent({ code: 13 }), 57, sound, "It is false."],
    ["of a fork", sent({ code: 20, answers: states("look-closer", "confirmed", "confirmed", "no") }), 57, sound, ""],
    ["of a fork that has a bad signature", sent({ code: 20, answers: states("no", "confirmed", "confirmed", "no") }), 57, sound, ""],
    ["right beside an altered record", sent({ code: 20, answers: states("look-closer", "confirmed", "confirmed", "no") }), 57, { ...sound, code: 20 }, ""],
    ["false beside an altered record", sent({ code: 20, answers: states("no", "could-not-check", "could-not-check", "no") }), 57, { ...sound, code: 20 }, "It is false."],
  ]) {
    assert.equal(fault(answered, receipt(index), "57", record), wrong, name);
  }
});

test("characters that nobody sees and those that look alike stand out, and nothing else", () => {
  globalThis.document = { createElement: (tag) => ({ tag, attributes: {}, text: "", setAttribute(n, v) { this.attributes[n] = v; }, append(s) { this.text += s; } }) };
  const parts = visible("the[U+200B] multist\u0430ke [U+zzzz]", [{ code: "U+0430", missing: false }, { code: "U+0020", missing: false }, { code: "U+0438", missing: true }]);
  assert.deepEqual(parts.map((p) => (typeof p === "string" ? p : [p.attributes.class, p.text])), ["the", ["unseen", "U+200B"], " multist", ["alike", "\u0430"], "ke [U+zzzz]"]);
});

// A worker that answers when it is told to.
class Fake {
  sent = [];
  ended = false;
  postMessage(m) { this.sent.push(m); }
  terminate() { this.ended = true; }
  reply(rest, m = this.sent[this.sent.length - 1]) { this.onmessage({ data: { id: m.id, ...rest } }); }
}

function engine() {
  const workers = [];
  return { workers, engine: new Engine({ spawn: () => { workers.push(new Fake()); return workers.at(-1); }, wasm: "w", lost: "lost" }) };
}

test("engine: one at a time, the load first, progress to all who wait", async () => {
  const { workers, engine: e } = engine();
  const heard = [];
  const a = e.ask({ do: "a" }, (p) => heard.push(["a", p]));
  const b = e.ask({ do: "b" }, (p) => heard.push(["b", p]));
  const [w] = workers;
  assert.deepEqual(w.sent.map((m) => m.do), ["load"]);
  w.reply({ progress: 1 });
  w.reply({ result: { version: "v1" } });
  assert.equal(e.version, "v1");
  assert.deepEqual(w.sent.map((m) => m.do), ["load", "a"]);
  w.reply({ result: 5 }, { id: -1 }); // an answer to nothing
  w.reply({ result: "ra" });
  assert.equal(await a, "ra");
  w.reply({ error: "a sentence" });
  await assert.rejects(b, (error) => error instanceof EngineError && error.message === "a sentence");
  assert.deepEqual(heard, [["a", 1], ["b", 1]]);
});

test("engine: when the worker is gone everybody is told, and the next question starts another", async () => {
  const { workers, engine: e } = engine();
  const a = e.ask({ do: "a" });
  const b = e.ask({ do: "b" });
  workers[0].onerror();
  await assert.rejects(a, /lost/);
  await assert.rejects(b, /lost/);
  assert.ok(workers[0].ended);
  const c = e.ask({ do: "c" });
  assert.equal(workers.length, 2);
  workers[0].reply({ result: "late" });
  workers[1].reply({ error: "no network" });
  await assert.rejects(c, /no network/);
});

test("verifier: policy, texts, record, then the question; a failure is tried again", async () => {
  const asked = [];
  let broken = true;
  const fake = { version: "", ask: async (q) => {
    asked.push(q.do);
    if (q.do === "record" && broken) {
      throw new EngineError("no network");
    }
    return { sentence: q.do };
  } };
  const v = new Verifier(fake, { policy: async () => ({ text: "p", whose: "w" }), record: { base: "b", limit: 1 }, texts: [1], receipt: null, link: "", code: "", judge: "" });
  await assert.rejects(v.ask({ do: "check" }), /no network/);
  broken = false;
  assert.deepEqual(await v.ask({ do: "check" }), { sentence: "check" });
  await v.ask({ do: "check" });
  assert.deepEqual(asked, ["policy", "text", "record", "policy", "text", "record", "check", "check"]);
  await v.use({ text: "other", whose: "mine" });
  assert.equal(v.policy.whose, "mine");
});

test("verifier: another worker is told the policy and the record before it is asked", async () => {
  const { workers, engine: e } = engine();
  const v = new Verifier(e, { policy: async () => ({ text: "p", whose: "w" }), record: { base: "b", limit: 1 }, texts: [], receipt: null, link: "", code: "", judge: "" });
  const answered = async (asked) => {
    let done = false;
    const answer = asked.finally(() => { done = true; });
    for (const told = new Set(); !done;) {
      await new Promise(setImmediate);
      const m = workers.at(-1)?.sent.at(-1);
      if (m && !told.has(m)) {
        told.add(m);
        workers.at(-1).reply({ result: { version: "v" } }, m);
      }
    }
    return answer;
  };
  await answered(v.ask({ do: "check" }));
  v.took({ sentence: "of an archive" });
  workers[0].onerror(); // when nothing waits for it
  assert.equal(v.brought, false);
  await answered(v.ask({ do: "check" }));
  assert.deepEqual(workers.map((w) => w.sent.map((m) => m.do)), [["load", "policy", "record", "check"], ["load", "policy", "record", "check"]]);
});

test("all of a large record is re-checked from when that is asked for, until it is stopped", async () => {
  const limits = [];
  let stopped = null;
  const fake = {
    version: "1",
    stop: (sentence) => stopped?.(new EngineError(sentence)),
    ask: async (q) => {
      if (q.do !== "record") {
        return {};
      }
      limits.push(q.limit);
      if (stopped === null && q.limit > 10) {
        return new Promise((_, reject) => { stopped = reject; });
      }
      return { code: 0, size: 100, replayed: q.limit >= 100 };
    },
  };
  const v = new Verifier(fake, { policy: async () => ({ text: "p", whose: "w" }), record: { base: "b", limit: 10 }, texts: [], receipt: null, link: "", code: "", judge: "" });
  await v.ask({ do: "check" });
  assert.equal(v.left, 100);
  v.wider();
  const asked = v.ask({ do: "check" });
  while (stopped === null) {
    await Promise.resolve();
  }
  v.stop();
  await assert.rejects(asked, EngineError);
  await v.ask({ do: "check" });
  assert.equal(v.left, 100);
  v.wider();
  await v.ask({ do: "check" });
  assert.equal(v.left, 0);
  v.stop(); // something else, when all had been re-checked
  await v.ask({ do: "check" });
  assert.deepEqual(limits, [10, 200_000, 10, 200_000, 200_000]);
});
