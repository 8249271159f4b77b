import { differences, passage } from "./differences.js";
import { fill, fold, make, sentences, soft } from "./dom.js";
import { count, day, language, number, text } from "./messages.js";

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
  fingerprint: "js.kind.fingerprint",
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

// Those of them that are the text at hand, or hold it.
const same = new Set(["identical", "same-words", "quote"]);

/** A state as shape and word: its own, or another for it where nobody has asked a question. */
export function mark(state, word) {
  const known = Object.hasOwn(states, state) ? state : "could-not-check";
  const s = states[known];
  return make("span", { class: `state is-${known}` }, make("span", { class: "shape", "aria-hidden": "true" }, s.shape), " ", text(word ?? s.word));
}

/** Says on top of the page, once, what was found at a place on it: whoever reads the top may never come there. */
export function alarm(place, state, sentence) {
  const before = document.querySelector(".alarm");
  if (before?.classList.contains("is-no")) {
    return;
  }
  before?.remove();
  document.getElementById("main").prepend(make("p", { class: `alarm is-${state}`, role: "alert" }, mark(state, state === "no" ? "js.state.contradicted" : undefined), ` ${sentence} `,
    make("a", { href: `#${place.id}` }, text("js.alarm.where"))));
}

/** The gravest thing that an exit code means, as a state. */
export function stateOf(code) {
  if (code === 0) {
    return "confirmed";
  }
  if (code === 12 || code === 21) {
    return "look-closer";
  }
  return code === 3 || code === 1 || code === 2 ? "could-not-check" : "no";
}

/** The worst of what was answered; what could not be checked counts if nothing could. */
function overall(answers, code) {
  const all = answers.map((a) => a.state);
  return ["no", "look-closer", "confirmed"].find((s) => all.includes(s)) ?? stateOf(code);
}

// What an answer of the engine (verify/check.Answer) says, wherever in it that is.
function gather(result) {
  const { verdict, comparison, organization: member, record } = result;
  const nearest = (comparison?.versions ?? []).find((v) => v.nearest);
  const data = verdict ?? comparison ?? member ?? record ?? result;
  return {
    data,
    entry: result.raw,
    answers: result.answers ?? verdict?.answers ?? [],
    how: [...(result.how ?? verdict?.how ?? []), ...(record?.problems ?? []), ...(record?.remarks ?? [])],
    notTold: result.not_told ?? verdict?.not_told ?? comparison?.not_told ?? [],
    origin: data.origin,
    size: data.size,
    index: verdict?.index,
    domain: member?.domain,
    statement: verdict?.statement ?? (nearest && like(nearest) ? nearest.statement : undefined),
  };
}

/**
 * The answer about something that was checked: {node, heading, state, code}. The heading can take the focus.
 *   result    what the engine said
 *   verifier  by whose policy and record
 *   about     {name, sample, choose, typed}: what it is called; or a sentence if it is a sample; choose(domain) where there is a choice; what was typed
 */
export function answer(result, verifier, about = {}) {
  const said = gather(result);
  const heading = make("h2", { class: "said" }, soft(result.sentence));
  const kind = Object.hasOwn(kinds, result.kind) ? text(kinds[result.kind]) : "";
  const node = make("article", { class: "answer" },
    about.sample || about.name ? make("p", { class: "taken" }, about.sample ?? [about.name, kind].filter((s) => s).join(" · ")) : null,
    heading,
    result.notice ? make("p", { class: "notice", role: "note" }, result.notice) : null,
    said.answers.length > 0 ? make("ol", { class: "answers" }, said.answers.map(one)) : result.kind === "policy" ? null : make("p", { class: "word" }, mark(stateOf(result.code))), // anybody can write a policy
    candidates(result.candidates, about.choose),
    nameless(result, about.typed) ? make("p", { class: "note" }, text("js.nameless")) : null,
    quote(result.quote, said, verifier),
    result.comparison ? [passage(result.comparison), differences(result.comparison), versions(result, verifier)] : null,
    result.organization ? organization(result.organization) : null,
    list(result.verdict?.roll, verifier),
    fold(text("js.how"), sentences(said.how, { class: "how" }), basis(verifier),
      said.entry ? fold(text("js.entry.text"), data(said.entry, text("js.entry.text"), false)) : null,
      fold(text("js.raw"), data(JSON.stringify(said.data, null, 2), text("js.raw"), true))),
    said.notTold.length > 0 ? fold(text("js.not-told"), sentences(said.notTold)) : null);
  return { node, heading, state: overall(said.answers, result.code), code: result.code };
}

// Organizations that a name may mean, to choose from.
function candidates(all, choose) {
  if (!all || all.length === 0 || !choose) {
    return null;
  }
  return make("ul", { class: "candidates" }, all.map((c) => make("li", {}, make("button", { type: "button", onclick: () => choose(c.domain) }, `${c.name} (${c.domain})`))));
}

// Whether what was typed may have been meant for a name, and is neither one nor like any text.
function nameless({ comparison }, typed) {
  return comparison && typed && typed.length <= 80 && !typed.includes("\n") && !(comparison.versions ?? []).some(like);
}

/** The answer when something could not be checked at all. Grey, never red. */
export function trouble(sentence) {
  return alone(sentence, "could-not-check", 3);
}

/** The answer when there is but one thing to say, and it holds. */
export function plain(sentence) {
  return alone(sentence, "confirmed", 0);
}

/** An answer of one sentence. */
export function alone(sentence, state, code) {
  const heading = make("h2", { class: "said" }, soft(sentence));
  return { node: make("article", { class: "answer" }, heading, make("p", { class: "word" }, mark(state, state === "no" ? "js.state.contradicted" : undefined))), heading, state, code };
}

function one(a) {
  const state = Object.hasOwn(states, a.state) ? a.state : "could-not-check";
  return make("li", { class: `question is-${state}`, "data-question": a.question.toLowerCase().replace(/[^a-z]+/g, "-").replace(/-$/, ""), "data-state": state },
    make("h3", {}, a.question),
    make("p", { class: "word" }, mark(state)),
    make("p", { class: "sentence" }, soft(a.text)),
    sentences((a.reasons ?? []).map(soft), { class: "reasons" }));
}

// The sentence to quote, if there is one, with a button that copies it.
function quote(sentence, said, verifier) {
  if (!sentence) {
    return null;
  }
  const link = permalink(said, verifier);
  const quoted = text(verifier.brought ? "js.quote.archive" : link ? "js.quote.link" : "js.quote", { sentence, origin: said.origin, day: day(new Date()), entries: count("js.entries", said.size ?? 0), link });
  const words = make("blockquote", { "data-quote": true }, make("p", {}, soft(quoted)));
  const done = make("span", { role: "status" });
  const copy = make("button", { type: "button", "data-copy": true, onclick: async () => {
    fill(done);
    try {
      await navigator.clipboard.writeText(quoted);
      fill(done, text("js.copied"));
    } catch {
      getSelection().selectAllChildren(words);
      fill(done, text("js.selected"));
    }
  } }, text("js.copy"));
  return make("div", { class: "part quotable" }, make("h3", {}, text("js.to-quote")), words, make("p", { class: "actions" }, copy, done));
}

/** Where whoever reads the quote finds what it is about; "" if that is not at the record's address, where another record is. */
export function permalink({ origin, index, domain, statement, size }, { brought, link: base, origin: there }) {
  if (!base || brought || origin !== there) {
    return "";
  }
  if (Number.isSafeInteger(index)) {
    return `${base}entry/${index}`;
  }
  if (domain) {
    return `${base}organization/${encodeURIComponent(domain)}`;
  }
  const hash = /^sha256:([0-9a-f]{64})$/.exec(statement ?? "");
  return hash ? `${base}statement/${hash[1]}${size ? `?size=${size}` : ""}` : base;
}

// What all of it rests on: whose policy, how much of the record, whose code.
function basis(verifier) {
  const p = verifier.policy;
  return [make("h4", {}, text("js.rests-on")), sentences([
    ...(p ? [`${p.whose} ${p.sentence} ${text("js.policy.fingerprint", { fingerprint: p.fingerprint })}`] : []),
    verifier.record ? verifier.record.sentence : text("js.no-record"),
    verifier.code,
    text("js.verifier", { version: verifier.version }),
  ])];
}

function data(words, label, raw) {
  return make("pre", { "data-raw": raw, tabindex: "0", role: "region", "aria-label": label }, words);
}

// Every version of the text that it was held against, and who stands behind which.
function versions({ comparison, kind }, verifier) {
  const list = (comparison.versions ?? []).filter((v) => v.statement); // those of a record
  if (list.length === 0) {
    return null;
  }
  const version = (v) => {
    const about = { title: v.title, language: language(v.language), type: v.media_type };
    const relation = v.problem ? text("js.relation.problem", { problem: v.problem }) : text(kind === "fingerprint" ? "js.relation.fingerprint" : relations[v.verdict] ?? "js.relation.unread");
    return make("li", { class: v.nearest ? "nearest" : "" },
      make("p", { class: "name" }, text(v.rendition ? "js.version.rendition" : "js.version", about)),
      make("p", {}, v.nearest && like(v) && !same.has(v.verdict) ? text("js.version.nearest", { relation }) : relation, " ", v.superseded_by && v.superseded_by.length > 0 ? text("js.version.replaced") : ""),
      people(v.endorsers, "js.endorsers", verifier),
      people(v.withdrawn, "js.withdrew", verifier),
      make("p", { class: "fingerprint" }, make("code", {}, v.hash)));
  };
  const [near, unread, far] = [list.filter(like), list.filter((v) => v.problem), list.filter((v) => !v.problem && !like(v))];
  return make("div", { class: "part versions" }, make("h3", {}, text("js.versions")),
    near.length > 0 ? make("ul", {}, near.map(version)) : null,
    far.length > 0 ? fold(count(near.length > 0 ? "js.versions.far-too" : "js.versions.far", far.length), make("ul", {}, far.map(version))) : null,
    unread.length > 0 ? fold(count("js.versions.unread", unread.length), make("ul", {}, unread.map(version))) : null);
}

// Whether a version has anything to do with what was brought.
function like(v) {
  return !v.problem && v.verdict !== "absent" && v.verdict !== "too-long";
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

const byName = new Intl.Collator("en");

// The whole of a sealed list, if the file holds it, in alphabetical order; in the file it is in that of the domains.
function list(roll, verifier) {
  const all = [...(roll?.signatories ?? [])].sort((a, b) => byName.compare(a.name || a.domain, b.name || b.domain));
  if (all.length === 0) {
    return null;
  }
  return make("div", { class: "part" }, make("h3", {}, text("js.roll.title", { day: day(roll.as_of) })),
    make("ol", { class: "people" }, all.map((e) => make("li", {}, who(e, verifier), ` · ${text("js.entry", { index: number(e.index) })}`, e.closer ? make("strong", {}, ` ${e.closer.join(" ")}`) : null))));
}

// What the record says about an organization.
function organization(o) {
  const when = (e) => [`${day(e.admitted)} · ${text("js.entry", { index: number(e.index) })}`, e.disputed ? make("strong", {}, ` ${text("js.organization.disputed")}`) : null];
  const said = (o.endorsements ?? []).map((e) => make("li", {},
    e.stands && !e.disputed
      ? make("span", { class: "state" }, text("js.organization.endorsed")) // no tick: of this one the four questions were not asked
      : make("span", { class: "state is-look-closer" }, make("span", { class: "shape", "aria-hidden": "true" }, "▲"), " ", text(e.stands ? "js.organization.endorsed" : "js.organization.withdrew")),
    ` ${e.title} · `, when(e),
    e.earlier?.length > 0 ? make("ul", {}, e.earlier.map((w) => make("li", {}, `${text(w.action === "endorse" ? "js.organization.endorsed.before" : "js.organization.withdrew.before")} · `, when(w)))) : null));
  const not = (o.not_endorsed ?? []).filter((s) => !(o.endorsements ?? []).some((e) => e.statement === s.statement));
  return make("div", { class: "part organization" },
    make("h3", {}, o.name ? `${o.name} (${o.domain})` : o.domain),
    o.domain_unicode && o.domain_unicode !== o.domain ? make("p", {}, text("js.organization.written", { domain: o.domain_unicode })) : null,
    said.length > 0 ? make("ul", {}, said) : null,
    not.length > 0 ? [make("p", {}, text("js.organization.not")), make("ul", {}, not.map((s) => make("li", {}, s.title)))] : null,
    make("p", {}, text(said.length > 0 ? "js.organization.nothing-else" : "js.organization.nothing")));
}
