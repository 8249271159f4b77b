import { fill, make, sentences } from "./dom.js";
import { count, number, text } from "./messages.js";

const classes = {
  words: "js.class.words",
  moved: "js.class.moved",
  "look-alike": "js.class.look-alike",
  punctuation: "js.class.punctuation",
  spacing: "js.class.spacing",
};

// What a hunk of each class is called in the summary.
const counts = {
  words: "js.count.words",
  moved: "js.count.moved",
  "look-alike": "js.count.look-alike",
  punctuation: "js.count.punctuation",
  spacing: "js.count.spacing",
};

/** Where a quoted sentence is in the endorsed text, or the passage that is most like it; null if the text is no passage. */
export function passage(comparison) {
  const p = comparison.part;
  if (!p) {
    return null;
  }
  const nearest = (comparison.versions ?? []).find((v) => v.nearest);
  return make("div", { class: "part passage" },
    make("h3", {}, text(nearest?.verdict === "quote" ? "js.passage" : "js.passage.nearest")),
    make("blockquote", { lang: nearest?.language, dir: "auto" }, make("p", {}, p.before ? `${p.before} ` : "", make("mark", {}, visible(p.passage, [])), p.after ? ` ${p.after}` : "")),
    make("p", { class: "where" }, text("js.passage.where", { title: nearest?.title ?? "", line: number(p.from.line), column: number(p.from.column) }), p.times > 1 ? ` ${count("js.passage.times", p.times)}` : ""));
}

/** What differs, place by place: inline where there is little room, side by side where there is more, and in words for who listens. Null if nothing does. */
export function differences(comparison) {
  const all = comparison.differences ?? [];
  const steps = (comparison.steps ?? []).map((s) => `${s.sentence.slice(0, 1).toUpperCase()}${s.sentence.slice(1)}.`);
  if (all.length === 0) {
    return steps.length > 0 ? make("div", { class: "part" }, make("h3", {}, text("js.steps")), sentences(steps)) : null;
  }
  const summary = Object.keys(counts).filter((c) => comparison.counts?.[c] > 0).map((c) => count(counts[c], comparison.counts[c]));
  const nearest = (comparison.versions ?? []).find((v) => v.nearest);
  const hunks = all.map((d) => hunk(d, nearest?.language));
  const position = make("span", { role: "status", class: "position" });
  let at = -1;
  const go = (step) => {
    at = (at + step + all.length) % all.length;
    fill(position, text("js.difference.position", { n: number(at + 1), total: number(all.length) }), make("span", { class: "away" }, ` ${told(all[at])}`));
    hunks.forEach((h, i) => h.classList.toggle("current", i === at));
    hunks[at].scrollIntoView({ block: "center" });
  };
  const walk = all.length < 2 ? null : make("p", { class: "actions walk" },
    make("button", { type: "button", "data-previous": true, onclick: () => go(at < 0 ? 0 : -1) }, text("js.previous")),
    make("button", { type: "button", "data-next": true, onclick: () => go(1) }, text("js.next")),
    position);
  return make("div", { class: "part differences" },
    make("h3", {}, text("js.differences")),
    make("p", {}, summary.join(" · ")),
    comparison.coarse ? make("p", { class: "note" }, text("js.coarse")) : null,
    sentences(steps),
    walk,
    make("ol", { class: "hunks" }, hunks),
    comparison.unlisted_differences > 0 ? make("p", {}, count("js.unlisted", comparison.unlisted_differences)) : null);
}

function hunk(d, language) {
  const words = { lang: language, dir: "auto" };
  const was = () => (d.deleted ? make("del", {}, visible(d.deleted, d.characters)) : null);
  const is = () => (d.inserted ? make("ins", {}, visible(d.inserted, d.characters)) : null);
  const around = (before, middle, after) => [before ? ["… ", visible(before, []), " "] : "", middle, after ? [" ", visible(after, []), " …"] : ""];
  const gap = () => make("span", { class: "gap" }, text("js.nothing"));
  const kind = Object.hasOwn(classes, d.class) ? d.class : "words";
  return make("li", { class: `hunk in-${kind}`, "data-hunk": kind },
    make("p", { class: "class" }, make("strong", {}, text(classes[kind])), ` · ${text("js.place", { line: number(d.at.line), column: number(d.at.column) })}`),
    make("p", { class: "away", ...words }, told(d)),
    make("p", { class: "inline", "aria-hidden": "true", ...words }, around(d.before, [was(), d.deleted && d.inserted ? " " : "", is()], d.after)),
    make("div", { class: "sides", "aria-hidden": "true" },
      make("div", {}, make("p", { class: "side" }, text("js.side.endorsed")), make("p", words, around(d.of_before, was() ?? gap(), d.of_after))),
      make("div", {}, make("p", { class: "side" }, text("js.side.yours")), make("p", words, around(d.before, is() ?? gap(), d.after)))),
    (d.characters ?? []).length > 0 ? make("ul", { class: "characters" }, d.characters.map(character)) : null);
}

// The hunk for who listens to it.
function told(d) {
  const place = { before: d.before, after: d.after, deleted: d.deleted, inserted: d.inserted };
  if (d.deleted && d.inserted) {
    return text("js.told.both", place);
  }
  return text(d.deleted ? "js.told.deleted" : "js.told.inserted", place);
}

function character(c) {
  const values = { code: c.code, name: c.name, instead: c.instead ?? "", word: c.word, line: number(c.at.line), column: number(c.at.column) };
  if (c.missing) {
    return make("li", {}, text("js.character.missing", values));
  }
  return make("li", {}, text(c.instead ? "js.character.instead" : "js.character", values));
}

/**
 * A text in which characters that nobody sees, which the engine writes as [U+200B], and those that look like others stand out.
 * What stands out keeps its text.
 */
export function visible(words, characters) {
  const alike = new Set((characters ?? []).filter((c) => !c.missing).map((c) => letter(c.code)).filter((s) => s));
  const parts = [];
  let plain = "";
  const flush = () => {
    if (plain) {
      parts.push(plain);
      plain = "";
    }
  };
  for (const piece of words.split(/(\[U\+[0-9A-F]{4,6}\])/)) {
    if (/^\[U\+[0-9A-F]{4,6}\]$/.test(piece)) {
      flush();
      parts.push(make("span", { class: "unseen" }, piece.slice(1, -1)));
      continue;
    }
    for (const c of piece) {
      if (alike.has(c)) {
        flush();
        parts.push(make("span", { class: "alike" }, c));
      } else {
        plain += c;
      }
    }
  }
  flush();
  return parts;
}

function letter(code) {
  const hex = /^U\+([0-9A-F]{4,6})$/.exec(code);
  const n = hex ? parseInt(hex[1], 16) : 0;
  return n > 0x7f && n <= 0x10ffff && (n < 0xd800 || n > 0xdfff) ? String.fromCodePoint(n) : "";
}
