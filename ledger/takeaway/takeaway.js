// The script of a page that was taken away: it finds in the page what the modules otherwise have from a server. Nothing is fetched.

import { speak, count, day, number, text } from "./messages.js";
import { fill, fold, make } from "./dom.js";
import { Engine, EngineError } from "./engine.js";
import { Verifier } from "./verifier.js";
import { wire } from "./check.js";
import { judge } from "./judge.js";
import { recheck } from "./record.js";

const everything = Number.MAX_SAFE_INTEGER; // entries are replayed: whoever made the page wanted them to be

function held(name) {
  const block = document.getElementById(`held-${name}`);
  return block ? Uint8Array.from(atob(block.textContent), (c) => c.charCodeAt(0)) : null;
}

function written(name) {
  return new TextDecoder().decode(held(name));
}

// The worker is a script of this page, under its policy: it can fetch no more than the page can.
function spawn() {
  const url = URL.createObjectURL(new Blob([held("worker")], { type: "text/javascript" }));
  const trusted = "trustedTypes" in window ? maker().createScriptURL(url) : url;
  return new Worker(trusted);
}

let made = null;

function maker() {
  made ??= trustedTypes.createPolicy("undersigned", { createScriptURL: (url) => url });
  return made;
}

function start() {
  speak(JSON.parse(written("messages")), "en");
  const { link, origin, name, given, texts, about } = document.body.dataset;
  const receipt = held("receipt");
  const archive = held("archive");
  const all = Array.from({ length: Number(texts) }, (_, i) => held(`text-${i}`));
  const engine = new Engine({ spawn, wasm: held("wasm").buffer, script: held("worker"), lost: text("js.lost") });
  const verifier = new Verifier(engine, {
    policy: async () => ({ text: written("policy"), whose: text(given === "server" ? "js.policy.held.server" : "js.policy.held") }),
    record: archive ? { archive, base: link, limit: everything } : null,
    texts: all,
    receipt: archive ? null : receipt,
    link,
    origin,
    code: text("js.code.held"),
    judge: text("js.policy.before.held"),
  });
  wire(document.getElementById("check-form"), document.getElementById("answer"), verifier, null);
  inside({ receipt, archive, all, name });
  document.documentElement.dataset.modules = "ready";
  const verdict = document.getElementById("verdict");
  if (verdict) {
    judge(verifier, verdict, "", async () => ({ bytes: receipt, statement: all[0] }));
  }
  const note = document.getElementById("browser-check");
  if (note) {
    recheck(verifier, note, null).then(() => lists(verifier, document.getElementById("lists"), about));
  }
}

// The lists of a record that was re-checked: of each statement, as of a day that can be chosen.
function lists(verifier, place, about) {
  const record = verifier.record;
  if (!record?.replayed) {
    return;
  }
  const all = record.statements ?? [];
  const first = all.filter((s) => s.statement === `sha256:${about}`);
  for (const s of [...first, ...all.filter((other) => !first.includes(other))]) {
    place.append(list(verifier, s, record.root));
  }
}

function list(verifier, statement, root) {
  const rows = make("div", {});
  const id = `as-of-${statement.statement.slice(-16)}`;
  const field = make("input", { type: "date", id });
  const show = async () => {
    const asOf = field.value;
    const tell = (sentence) => fill(rows, make("p", { role: "status" }, sentence));
    try {
      const roll = await verifier.ask({ do: "roll", statement: statement.statement, as_of: asOf || undefined }, () => {});
      if (asOf !== field.value) {
        return; // another day was asked for meanwhile
      }
      if (roll.record_root !== root) {
        tell(text("js.list.other"));
        return;
      }
      const order = new Intl.Collator(statement.language);
      const row = (e) => make("li", { "data-domain": e.domain, "data-index": e.index }, make("span", { class: "name", dir: "auto" }, e.name),
        make("span", { class: "meta" }, `${e.domain} · ${day(e.admitted)} · ${text("js.entry", { index: number(e.index) })}`));
      const sorted = (names) => [...names].sort((a, b) => order.compare(a.name, b.name));
      const who = roll.count === 0 ? text(asOf ? "js.stood.none" : "js.standing.none") : count(asOf ? "js.stood" : "js.standing", roll.count);
      fill(rows, make("p", { role: "status" }, asOf ? text("js.list.then", { day: day(asOf), who }) : text("js.list", { who }), roll.withdrawn > 0 ? ` ${count("js.list.withdrew", roll.withdrawn)}` : ""),
        make("ol", { class: "names" }, sorted(roll.items).map(row)),
        roll.gone.length > 0 ? [make("h4", {}, text("js.list.gone")), make("ul", { class: "names gone" }, sorted(roll.gone).map(row))] : null);
    } catch (error) {
      if (!(error instanceof EngineError)) {
        throw error;
      }
      tell(verifier.brought ? text("js.list.other") : error.message); // which is about the other record
    }
  };
  field.addEventListener("change", show);
  show();
  return make("div", { class: "part" }, make("h3", { lang: statement.language, dir: "auto" }, statement.title),
    make("p", { class: "asof" }, make("label", { for: id }, text("js.list.as-of")), " ", field), rows);
}

// What the page holds, to be saved as files again.
function inside({ receipt, archive, all, name }) {
  const files = [[receipt, `${name}.tlog-proof`, "js.held.receipt"], [archive, `${name}.zip`, "js.held.archive"], [held("policy"), "policy.txt", "js.held.policy"]];
  all.forEach((t, i) => files.push([t, i === 0 ? "statement.txt" : `text-${i}.txt`, "js.held.text"]));
  const place = document.getElementById("inside");
  for (const [bytes, file, key] of files) {
    if (bytes) {
      place.append(make("li", {}, text(key, { size: number(bytes.length) }), " ", make("button", { type: "button", onclick: () => save(bytes, file) }, text("js.save", { file })), key === "js.held.text" ? readable(bytes) : null));
    }
  }
}

// A text to be read on the page, if it is one.
function readable(bytes) {
  try {
    return fold(text("js.held.read"), make("pre", { tabindex: "0", role: "region", "aria-label": text("js.held.read"), dir: "auto" }, new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch {
    return null;
  }
}

function save(bytes, file) {
  const url = URL.createObjectURL(new Blob([bytes]));
  make("a", { href: url, download: file }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

start();
