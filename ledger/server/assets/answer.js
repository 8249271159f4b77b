import { differences, passage } from "./differences.js";
import { fill, fold, make, sentences } from "./dom.js";
import { count, day, number, text } from "./messages.js";

// The four states of an answer: never by colour alone.
const states = {
  confirmed: { shape: "✔", word: "js.state.confirmed" },
  "look-closer": { shape: "▲", word: "js.state.look-closer" },
  no: { shape: "✖", word: "js.state.no" },
  "could-not-check": { shape: "?", word: "js.state.could-not-check" },
};

// What the engine took the thing for.
const kinds = {
  receipt: "js.kind.receipt",
  "roll-receipt": "js.kind.roll-receipt",
  contradiction: "js.kind.contradiction",
  archive: "js.kind.archive",
  text: "js.kind.text",
  html: "js.kind.html",
  quote: "js.kind.quote",
  organization: "js.kind.organization",
  policy: "js.kind.policy",
  pdf: "js.kind.pdf",
};

// How a version of a text relates to the one at hand.
const relations = {
  identical: "js.relation.identical",
  "same-words": "js.relation.same-words",
  quote: "js.relation.quote",
  punctuation: "js.relation.punctuation",
  "look-alike": "js.relation.look-alike",
  moved: "js.relation.moved",
  words: "js.relation.words",
  absent: "js.relation.absent",
  "too-long": "js.relation.too-long",
};

/** A state as shape and word. */
export function mark(state) {
  const s = Object.hasOwn(states, state) ? states[state] : states["could-not-check"];
  return make("span", { class: `mark ${Object.hasOwn(states, state) ? state : "could-not-check"}` }, make("span", { class: "shape", "aria-hidden": "true" }, s.shape), " ", text(s.word));
}

/** The gravest thing that an exit code means, as a state. */
export function stateOf(code) {
  if (code === 0) {
    return "confirmed";
  }
  if (code === 12) {
    return "look-closer";
  }
  return code === 3 || code === 1 || code === 2 ? "could-not-check" : "no";
}

/** The worst of what was answered; what could not be checked counts if nothing could. */
function overall(result) {
  const all = (result.answers ?? []).map((a) => a.state);
  return ["no", "look-closer", "confirmed"].find((s) => all.includes(s)) ?? stateOf(result.code);
}

/**
 * The answer about something that was checked: {node, heading, state, code}. The heading can take the focus.
 *   result    what the engine said
 *   verifier  by whose policy and record
 *   about     {name, sample}: what it is called, and a sentence if it is a sample
 */
export function answer(result, verifier, about = {}) {
  const heading = make("h2", { class: "said" }, result.sentence);
  const parts = [];
  const kind = kinds[result.kind];
  const taken = [about.name, kind ? text(kind) : ""].filter((s) => s).join(" · ");
  parts.push(make("p", { class: "taken" }, about.sample ?? taken), heading);
  parts.push(result.notice ? make("p", { class: "notice", role: "note" }, result.notice) : null);
  const answers = result.answers ?? [];
  if (answers.length > 0) {
    parts.push(make("ol", { class: "answers" }, answers.map(one)));
  }
  parts.push(quote(result, verifier));
  if (result.comparison) {
    parts.push(passage(result.comparison), differences(result.comparison), versions(result.comparison, verifier));
  }
  if (result.organization) {
    parts.push(organization(result.organization, verifier));
  }
  parts.push(list(result.roll, verifier));
  parts.push(fold(text("js.how"), sentences(result.how, { class: "how" }), basis(result, verifier), raw(result)));
  if (result.not_told && result.not_told.length > 0) {
    parts.push(fold(text("js.not-told"), sentences(result.not_told)));
  }
  return { node: make("article", { class: "answer" }, parts), heading, state: overall(result), code: result.code };
}

/** The answer when something could not be checked at all. Grey, never red. */
export function trouble(sentence) {
  const heading = make("h2", { class: "said" }, sentence);
  return { node: make("article", { class: "answer" }, make("p", { class: "taken" }, mark("could-not-check")), heading), heading, state: "could-not-check", code: 3 };
}

function one(a) {
  const state = Object.hasOwn(states, a.state) ? a.state : "could-not-check";
  return make("li", { class: `question ${state}`, "data-question": a.question.toLowerCase().replace(/[^a-z]+/g, "-").replace(/-$/, ""), "data-state": state },
    make("h3", {}, a.question),
    make("p", { class: "word" }, mark(state)),
    make("p", { class: "sentence" }, a.text),
    sentences(a.reasons, { class: "reasons" }));
}

// The sentence to quote, with a button that copies it.
function quote(result, verifier) {
  if (!result.origin) {
    return null;
  }
  const link = permalink(result, verifier.link);
  const said = text(link ? "js.quote.link" : "js.quote", {
    sentence: result.sentence, origin: result.origin, day: day(new Date()), entries: count("js.entries", result.size ?? 0), link,
  });
  const words = make("blockquote", { "data-quote": true }, make("p", {}, said));
  const done = make("span", { role: "status" });
  const copy = make("button", { type: "button", "data-copy": true, onclick: async () => {
    fill(done);
    try {
      await navigator.clipboard.writeText(said);
      fill(done, text("js.copied"));
    } catch {
      getSelection().selectAllChildren(words);
      fill(done, text("js.selected"));
    }
  } }, text("js.copy"));
  return make("div", { class: "part quotable" }, make("h3", {}, text("js.to-quote")), words, make("p", { class: "actions" }, copy, done));
}

// Where whoever reads the quote finds what it is about.
function permalink(result, base) {
  if (!base) {
    return "";
  }
  if (Number.isSafeInteger(result.index)) {
    return `${base}entry/${result.index}`;
  }
  if (result.organization) {
    return `${base}organization/${encodeURIComponent(result.organization.domain)}`;
  }
  const hash = /^sha256:([0-9a-f]{64})$/.exec(result.statement ?? "");
  return hash ? `${base}statement/${hash[1]}${result.size ? `?size=${result.size}` : ""}` : base;
}

// What all of it rests on: whose policy, whose code, how much of the record.
function basis(result, verifier) {
  const p = verifier.policy;
  const lines = [];
  if (p) {
    lines.push(`${p.whose} ${p.sentence} ${text("js.policy.fingerprint", { fingerprint: p.fingerprint })}`);
  }
  if (verifier.record) {
    lines.push(verifier.record.sentence);
  } else if (!verifier.hasRecord) {
    lines.push(text("js.no-record"));
  }
  lines.push(verifier.code, text("js.verifier", { version: verifier.version }));
  return [make("h4", {}, text("js.rests-on")), sentences(lines)];
}

function raw(result) {
  const data = result.raw ?? result;
  return fold(text("js.raw"), make("pre", { "data-raw": true, tabindex: "0", role: "region", "aria-label": text("js.raw") }, typeof data === "string" ? data : JSON.stringify(data, null, 2)));
}

// Every version of the text that it was held against, and who stands behind which.
function versions(comparison, verifier) {
  const list = comparison.versions ?? [];
  if (list.length === 0) {
    return null;
  }
  return make("div", { class: "part versions" }, make("h3", {}, text("js.versions")), make("ul", {}, list.map((v) => {
    const name = v.rendition ? text("js.version.rendition", { title: v.title, language: v.language, type: v.media_type }) : text("js.version", { title: v.title, language: v.language });
    const relation = v.problem || text(relations[v.verdict] ?? "js.relation.unread");
    return make("li", { class: v.nearest ? "nearest" : "" },
      make("p", { class: "name" }, name),
      make("p", {}, v.nearest ? text("js.version.nearest", { relation }) : relation, " ", v.superseded_by && v.superseded_by.length > 0 ? text("js.version.replaced") : ""),
      people(v.endorsers, "js.endorsers", verifier),
      people(v.withdrawn, "js.withdrew", verifier),
      make("p", { class: "fingerprint" }, make("code", {}, v.hash)));
  })));
}

// Organizations, folded if they are many.
function people(all, key, verifier) {
  if (!all || all.length === 0) {
    return key === "js.endorsers" ? make("p", {}, text("js.endorsers.none")) : null;
  }
  const names = make("ul", { class: "people" }, all.map((e) => make("li", {}, who(e, verifier), ` · ${day(e.admitted)} · ${text("js.entry", { index: number(e.index) })}`)));
  return make("details", { open: all.length <= 3 }, make("summary", {}, count(key, all.length)), names);
}

function who(e, verifier) {
  const name = e.name ? `${e.name} (${e.domain})` : e.domain;
  return verifier.link ? make("a", { href: `${verifier.link}organization/${encodeURIComponent(e.domain)}` }, name) : name;
}

// The whole of a sealed list, if the file holds it.
function list(roll, verifier) {
  const all = roll?.signatories ?? [];
  if (all.length === 0) {
    return null;
  }
  return make("div", { class: "part" }, make("h3", {}, text("js.roll.title", { day: day(roll.as_of) })),
    make("ol", { class: "people" }, all.map((e) => make("li", {}, who(e, verifier), ` · ${text("js.entry", { index: number(e.index) })}`))));
}

// What the record says about an organization.
function organization(o, verifier) {
  const said = (o.endorsements ?? []).map((e) => make("li", {},
    make("span", { class: `mark ${e.stands ? "confirmed" : "look-closer"}` }, make("span", { class: "shape", "aria-hidden": "true" }, e.stands ? "✔" : "▲"), " ", text(e.stands ? "js.organization.endorsed" : "js.organization.withdrew")),
    ` ${e.title} · ${day(e.admitted)} · ${text("js.entry", { index: number(e.index) })}`, e.disputed ? make("strong", {}, ` ${text("js.organization.disputed")}`) : null));
  const not = (o.not_endorsed ?? []).filter((s) => !(o.endorsements ?? []).some((e) => e.statement === s.statement));
  return make("div", { class: "part organization" },
    make("h3", {}, o.name ? `${o.name} (${o.domain})` : o.domain),
    o.domain_unicode && o.domain_unicode !== o.domain ? make("p", {}, text("js.organization.written", { domain: o.domain_unicode })) : null,
    said.length > 0 ? make("ul", {}, said) : null,
    not.length > 0 ? [make("p", {}, text("js.organization.not")), make("ul", {}, not.map((s) => make("li", {}, s.title)))] : null,
    make("p", {}, text("js.organization.nothing-else")));
}
