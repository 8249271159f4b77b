import { alarm, mark, stateOf } from "./answer.js";
import { asked, compare, differs, itemOf, momentOf, numberIn, sameMoment, shows, withdrew, wordsFrom } from "./claims.js";
import { busy, fill, focusOn, make, settle } from "./dom.js";
import { EngineError } from "./engine.js";
import { count, day, number, text } from "./messages.js";
import { Progress } from "./progress.js";
import { get } from "./verifier.js";

// The exit code of a copy of the record that too few witnesses signed.
const unwitnessed = 21;

// The states in few words, where it stands what a page claims.
const brief = { confirmed: "js.brief.confirmed", "look-closer": "js.brief.look-closer", "could-not-check": "js.brief.could-not-check" };

/**
 * Has the record re-checked by this browser, and holds what the page says against what comes out. What the page says falsely
 * is contradicted on it, in red; what could not be checked, for whatever reason, is grey.
 *   note   #browser-check, the sentence that says that the browser checked nothing
 *   page   the document if it is a server's; null: it claims nothing
 */
export async function recheck(verifier, note, page) {
  const progress = new Progress();
  const result = make("div", { role: "status" });
  const box = make("div", { id: note.id, class: "browser-check" }, result, progress.node);
  const held = note.contains(document.activeElement); // the button that asked for all of it
  note.replaceWith(box);
  if (held) {
    focusOn(box);
  }
  const about = page?.getElementById("organization");
  const say = (state, code, word, ...children) => {
    progress.end();
    box.classList.add(`is-${state}`);
    fill(result, mark(state, word), " ", ...children, " ", verifier.given);
    briefly(page, box, () => mark(state, Object.hasOwn(brief, state) ? brief[state] : word));
    settle(box, state, code);
    if (about) {
      settle(about, state, code);
    }
  };
  busy(box);
  briefly(page, box, () => text("js.step.record"));
  progress.begin();
  verifier.onagain = () => recheck(verifier, box, page);
  forget(box, page);
  try {
    const tell = (p) => progress.tell(p);
    const record = await verifier.prepare(tell);
    if (!box.isConnected) {
      return; // it is re-checked again, and that is told in another box
    }
    const found = new Found();
    if (page && record.code === unwitnessed && record.replayed) { // that nobody saw the copy makes the page no truer
      try {
        await hold(verifier, record, page, found, tell);
      } catch (error) {
        if (!(error instanceof EngineError)) {
          throw error;
        }
      }
      if (!box.isConnected) {
        return;
      }
    }
    const said = () => {
      box.dataset.difference = [...found.domains].join(" ");
      alarm(box, "no", found.lies.length === 1 ? text("js.alarm.one", { what: found.lies[0] }) : text("js.alarm"));
      return [text("js.record.lie"), make("ul", {}, found.lies.map((l) => make("li", {}, l)))];
    };
    if (record.code === unwitnessed && found.lies.length > 0) {
      say("no", 20, "js.state.contradicted", said(), record.sentence, " ", text("js.alarm.unwitnessed"));
      return;
    }
    const worse = record.code === unwitnessed ? (record.report?.findings ?? []).find((f) => stateOf(f.code) === "no") : undefined; // which counts as less grave
    if (record.code === unwitnessed && !worse) {
      say("look-closer", record.code, undefined, record.sentence, " ", text("js.record.unwitnessed"));
      alarm(box, "look-closer", text("js.alarm.unwitnessed"));
      return;
    }
    if (record.code !== 0) {
      const { code, sentence } = worse ?? record;
      const state = stateOf(code);
      say(state, code, state === "no" ? "js.state.contradicted" : undefined, sentence);
      if (state === "no") {
        alarm(box, state, text("js.alarm"));
      }
      return;
    }
    if (!record.replayed) {
      say("could-not-check", 0, "js.state.not-re-checked", record.sentence, " ", all(verifier));
      return;
    }
    if (page) {
      await hold(verifier, record, page, found, tell);
    }
    if (!box.isConnected) {
      return;
    }
    if (found.lies.length > 0) {
      say("no", 20, "js.state.contradicted", said(), text("js.record.believe"));
    } else if (found.unchecked) {
      say("could-not-check", 3, undefined, record.sentence, " ", text("js.record.older"));
    } else if (found.early.length > 0) {
      say("look-closer", 0, undefined, record.sentence, " ", [...new Set(found.early)].join(" "));
    } else if (found.grown) {
      say("look-closer", 0, undefined, record.sentence, " ", text("js.record.grown"));
    } else if (page && location.pathname === "/search") { // the record was re-checked, and what was looked up was not
      say("could-not-check", 0, "js.state.not-held", text("js.record.search"), " ", record.sentence);
    } else if (page && !found.held && claims(record)) {
      say("could-not-check", 3, undefined, record.sentence, " ", text("js.record.nothing"));
    } else {
      say("confirmed", 0, undefined, record.sentence, " ", same(page, found), " ", found.unread ? text("js.record.no-text") : "");
    }
  } catch (error) {
    if (!(error instanceof EngineError)) {
      throw error;
    }
    if (box.isConnected) {
      say("could-not-check", 3, undefined, error.message);
    }
  }
}

// Takes back what was found before.
function forget(box, page) {
  document.querySelector(`.alarm > a[href="#${box.id}"]`)?.parentElement.remove();
  for (const note of page?.querySelectorAll(".contradiction") ?? []) {
    delete note.parentElement.dataset.contradicted;
    note.remove();
  }
}

// Says beside what a page claims, in a few words that lead to the box, whether this browser has checked it.
function briefly(page, box, words) {
  for (const place of page?.querySelectorAll("[data-checked]") ?? []) {
    fill(place, make("a", { href: `#${box.id}` }, words()));
  }
}

// Whether a page at this address has a list, or what an organization said, and so something to hold against the record.
function claims(record) {
  return ["statement", "organization"].includes(asked(location).kind) || (location.pathname === "/" && record.statements.length > 0);
}

// What was held against the record, and was the same.
function same(page, found) {
  if (found.held) {
    const organization = page.getElementById("organization");
    return text(!organization ? "js.record.same" : organization.querySelector("li[data-statement]") ? "js.record.same.organization" : "js.record.same.nothing");
  }
  return page?.getElementById("verdict") ? text("js.record.entry") : "";
}

// A button that has all of a record re-checked which was too large to be; null if that is no use.
function all(verifier) {
  return verifier.left > 0 ? make("button", { type: "button", "data-all": true, onclick: () => verifier.wider() }, text("js.record.all", { n: number(verifier.left) })) : null;
}

// What was found about a page.
class Found {
  lies = []; // sentences
  domains = new Set(); // that they are about
  held = false; // something on the page was held against the record
  early = []; // sentences on what the page says and the published record does not, or not yet
  grown = false; // the record has grown since the page was made, and the server does not hide it
  unchecked = false; // the page is of another copy of the record than this browser got
  unread = false; // the text could not be read

  // Contradicts the page, where it says it if that is at one place.
  contradict(sentence, domain, place) {
    this.lies.push(sentence);
    if (domain) {
      this.domains.add(domain);
    }
    if (place) {
      const note = make("p", { class: "contradiction" }, mark("no", "js.state.contradicted"), ` ${sentence}`);
      place.dataset.contradicted = "";
      if (place.matches("article, blockquote")) {
        place.prepend(note); // whoever reads it to its end has believed it
      } else {
        place.append(note);
      }
    }
  }
}

// Where it stands for whoever reads a page how many are on its list.
const numbers = "#signatories-title, .jump > a, .figure strong, .standing > a";

// Holds all that a page claims against the record.
async function hold(verifier, record, page, found, tell) {
  const address = asked(location);
  for (const list of page.querySelectorAll("[data-roll]")) {
    await holdList(verifier, record, list, address, found, tell);
  }
  const organization = page.getElementById("organization");
  if (organization) {
    await holdOrganization(verifier, record, organization, address, found, tell);
  }
  const statement = page.getElementById("statement");
  if (statement?.dataset.statement) {
    const article = statement.querySelector("article");
    await holdText(verifier, record, statement.dataset.statement, { title: article?.querySelector("h1"), body: article, part: false }, address, found, tell);
  }
  const brief = page.getElementById("checker");
  if (brief?.dataset.statement) {
    const quoted = page.querySelector("#current blockquote");
    await holdText(verifier, record, brief.dataset.statement, { title: page.getElementById("current-title"), body: quoted, part: true }, address, found, tell);
  }
}

async function holdList(verifier, record, list, address, found, tell) {
  const page = read(list, address.kind === "statement");
  const statement = list.dataset.roll;
  if (address.kind === "statement" && statement !== address.id) {
    found.contradict(text("js.lie.statement"), "", null);
    return;
  }
  if (!sameMoment(list.dataset.asOf, address.asOf) || (address.size !== "" && Number(address.size) !== page.size)) {
    found.contradict(text("js.lie.moment", { asked: moment(address.asOf, address.size), shown: moment(list.dataset.asOf, list.dataset.asOf === "" && page.size !== record.size ? page.size : "") }), "", null);
    return;
  }
  if (page.size > record.size) {
    found.unchecked = true;
    return;
  }
  const ask = (size) => roll(verifier, { statement, as_of: address.asOf || undefined, size }, tell);
  const right = await ask(page.size);
  if (right.record_root !== record.root) {
    found.unchecked = true; // another record was brought meanwhile
    return;
  }
  found.held = true;
  const differences = compare(page, right);
  contradict(differences, page, right, found);
  await holdDisputes(page, right, found);
  const wrong = [...document.querySelectorAll(numbers)].map((node) => numberIn(node.textContent)).find((n) => n !== page.count);
  if (wrong !== undefined && differences.count) {
    contradict({ extra: [], another: [], missing: [], count: false }, { ...page, count: wrong }, right, found);
  }
  if (differs(differences) || address.size !== "" || page.size === record.size) {
    return;
  }
  // It is the list of some size: is it the newest that the server shows?
  const newest = await ask(record.size);
  const since = compare(page, newest);
  if (!differs(since)) {
    return;
  }
  if (await fresher(page.size)) {
    found.grown = true;
    return;
  }
  found.contradict(text("js.lie.stale", { size: number(page.size), newest: number(record.size) }), "", null);
  contradict(since, page, newest, found);
}

// Holds against the record, as it is today, who stands on a list by a key that was later said to be stolen.
async function holdDisputes(page, right, found) {
  for (const e of page.items.filter((item) => !item.gone)) {
    const r = right.items.find((item) => item.domain === e.domain && item.index === e.index);
    const lie = r && dispute(e, r, r.domain, found);
    if (!lie) {
      continue;
    }
    const item = itemOf(await again(), r);
    if (!item || item.includes(`> ${text("list.disputed")}<`)) {
      found.grown = true;
    } else {
      found.contradict(lie, r.domain, e.li);
    }
  }
}

// What a page hides if it does not say that a word is disputed, "" if it hides nothing. What it says and the record does not may be recorded and
// not published yet, which accuses nobody and is not confirmed.
function dispute(shown, word, domain, found) {
  const about = { domain, index: number(word.index) };
  if (shown.disputed && !word.disputed) {
    found.early.push(text("js.record.disputed", about));
  }
  return word.disputed && !shown.disputed ? text("js.lie.disputed", about) : "";
}

// Which list of a statement is meant, in words.
function moment(asOf, size) {
  if (size !== "") {
    return count("js.moment.size", Number(size));
  }
  return asOf === "" ? text("js.moment.now") : text("js.moment.day", { day: asOf.length > 10 ? asOf : day(asOf) });
}

// The page as the server shows it when it is asked again; "" if it does not: nothing is known then, and so nothing is held against it.
async function again() {
  try {
    return new TextDecoder().decode(await get(location.pathname + location.search, "", "reload"));
  } catch (error) {
    if (error instanceof EngineError) {
      return "";
    }
    throw error;
  }
}

// Whether the server shows a newer page when it is asked again: the record grew while this one was read.
async function fresher(size) {
  const html = await again();
  return html === "" || [...html.matchAll(/ data-size="(\d+)"/g)].some((m) => Number(m[1]) > size);
}

// What the page shows of a list, to whoever reads it: a domain where there is one in words, and who withdrew where those are; a day on a dated list.
function read(list, dated) {
  const items = [...list.querySelectorAll("li[data-domain]")].map((li) => ({
    domain: li.querySelector(".meta > a")?.textContent ?? li.dataset.domain, index: Number(li.dataset.index), name: li.querySelector(".name")?.textContent ?? "",
    gone: li.closest(".gone") !== null, day: times(li) || (dated ? "" : undefined), disputed: disputed(li), li,
  }));
  return {
    size: Number(list.dataset.size), count: Number(list.dataset.count), withdrawn: Number(list.dataset.withdrawn), whole: "whole" in list.dataset, items,
  };
}

// The times that an item shows; "": none.
function times(li) {
  return [...li.querySelectorAll("time")].map((t) => t.textContent).join(" ");
}

// Whether an item says that it is disputed.
function disputed(li) {
  return [...li.querySelectorAll(".mark")].some((mark) => mark.textContent.includes(text("list.disputed")));
}

// Contradicts a list where it stands.
function contradict(differences, page, roll, found) {
  const gone = new Map(roll.gone.map((e) => [e.domain, e]));
  const told = new Set(); // who is shown, and has withdrawn
  for (const e of differences.extra) {
    const w = e.gone ? undefined : gone.get(e.domain);
    if (w) {
      told.add(e.domain);
      found.contradict(text("js.lie.withdrew", { ...about(w), domain: e.domain }), e.domain, e.li);
    } else {
      found.contradict(text(e.gone ? "js.lie.extra-gone" : "js.lie.extra", { domain: e.domain }), e.domain, e.li);
    }
  }
  for (const { shown, right } of differences.another) {
    found.contradict(text(shown.gone ? "js.lie.another-gone" : "js.lie.another", about(right)), right.domain, shown.li);
  }
  for (const e of differences.missing.filter((m) => !(m.gone && told.has(m.domain)))) {
    found.contradict(text(e.gone ? "js.lie.missing-gone" : "js.lie.missing", about(e)), e.domain, null);
  }
  if (!differences.count) {
    found.contradict(text("js.lie.count", { standing: count("js.standing", roll.count), withdrawn: count("js.gone", roll.withdrawn), count: number(page.count), gone: number(page.withdrawn) }), "", null);
  }
}

// What a sentence says of an item of a list.
function about(e) {
  return { name: e.name, domain: e.domain, index: number(e.index), day: day(e.admitted) };
}

// Holds what the page says of an organization against the record: its last word on each statement, and each word before it.
async function holdOrganization(verifier, record, node, address, found, tell) {
  const domain = node.dataset.domain;
  const size = Number(node.dataset.size);
  if (address.kind === "organization" && domain !== address.id) {
    found.contradict(text("js.lie.domain", { asked: address.id, domain }), domain, null);
    return;
  }
  if (size > record.size) {
    found.unchecked = true;
    return;
  }
  found.held = true;
  let lies = await untrue(verifier, node, domain, await wordsOf(verifier, record, domain, record.size, tell), true, found, tell);
  if (lies.length > 0 && size < record.size) {
    const then = await untrue(verifier, node, domain, await wordsOf(verifier, record, domain, size, tell), false, found, tell);
    if (then.length > 0) { // the record's growing is no excuse for these
      lies = then;
    } else if (await fresher(size)) {
      found.grown = true;
      return;
    }
  }
  for (const { sentence, place } of lies) {
    found.contradict(sentence, domain, place);
  }
}

// What the page of an organization says otherwise than the record, of which right has the last words: {sentence, place}s. What is
// disputed is so as of today.
async function untrue(verifier, node, domain, right, today, found, tell) {
  const lies = [];
  const hidden = (e, word) => {
    const sentence = dispute(e, word, domain, found);
    if (sentence) {
      lies.push({ sentence, place: e.li });
    }
  };
  const shown = [...node.querySelectorAll("li[data-statement]")].map((li) => ({
    li, statement: li.dataset.statement, index: Number(li.dataset.index), gone: did(li), at: times(li), disputed: disputed(li), title: li.querySelector(".what > a")?.textContent ?? "",
  }));
  const newest = new Map();
  for (const e of shown) {
    newest.set(e.statement, Math.max(e.index, newest.get(e.statement) ?? 0));
  }
  for (const e of shown) {
    const r = right.get(e.statement);
    if (!r) {
      lies.push({ sentence: text("js.lie.organization", { domain }), place: e.li });
    } else if (!shows(e.title, r.title, "", false)) {
      lies.push({ sentence: text("js.lie.title", { title: r.title }), place: e.li });
    } else if (e.index === newest.get(e.statement)) {
      if (r.index !== e.index || e.gone !== !r.stands || e.at !== momentOf(r.admitted)) {
        lies.push({ sentence: text(r.stands ? "js.lie.organization.endorsed" : "js.lie.organization.withdrew", { domain, index: number(r.index), day: day(r.admitted) }), place: e.li });
      } else if (today) {
        hidden(e, r);
      }
    } else {
      const there = e.index < r.index ? await wordBefore(verifier, domain, e.statement, e.index + 1, tell) : undefined;
      const truly = (word) => text(word.gone ? "js.lie.organization.right-gone" : "js.lie.organization.right", { index: number(word.index), day: day(word.admitted) });
      if (!says(there, e)) {
        const before = await wordBefore(verifier, domain, e.statement, r.index, tell);
        const said = text(e.gone ? "js.lie.organization.earlier-gone" : "js.lie.organization.earlier", { domain, index: number(e.index) });
        const told = before && !shown.some((other) => other.statement === e.statement && other.index === before.index);
        lies.push({ sentence: told ? `${said} ${truly(before)}` : said, place: e.li });
      } else if (e.at !== momentOf(there.admitted)) {
        lies.push({ sentence: truly(there), place: e.li });
      } else if (today) {
        hidden(e, there);
      }
    }
  }
  const said = new Set(shown.map((e) => e.statement));
  const oldest = wordsFrom(shown);
  for (const [statement, r] of right) {
    if (!said.has(statement) && r.index >= oldest) {
      lies.push({ sentence: text(r.stands ? "js.lie.organization.missing" : "js.lie.organization.missing-gone", { title: r.title, index: number(r.index), day: day(r.admitted) }), place: null });
    }
  }
  return lies;
}

// The last words of an organization in the record of a size, by statement: {index, admitted, stands, title}.
async function wordsOf(verifier, record, domain, size, tell) {
  const right = new Map();
  if (record.code === 0 && size === record.size) {
    const { organization } = await verifier.ask({ do: "organization", domain }, tell);
    for (const e of organization?.endorsements ?? []) {
      right.set(e.statement.replace("sha256:", ""), e);
    }
    return right;
  }
  // Nothing is told of an organization by a record that too few witnesses signed, nor by a part of one.
  for (const { statement, title } of record.statements.filter((s) => s.index < size)) {
    const bare = statement.replace("sha256:", "");
    const word = await wordBefore(verifier, domain, bare, size, tell);
    if (word) {
      right.set(bare, { ...word, stands: !word.gone, title });
    }
  }
  return right;
}

// Who stands behind a statement, by its fingerprint, in the record of a size.
function roll(verifier, { statement, ...of }, tell) {
  return verifier.ask({ do: verifier.record?.code === unwitnessed ? "unwitnessed-roll" : "roll", statement: `sha256:${statement}`, ...of }, tell);
}

// Whether an item of an organization's page says that it withdrew: to whoever reads it, by its word, whatever its attributes say; undefined if it has
// another word, or more than one.
function did(li) {
  const words = [...li.querySelectorAll(".what > span")].map((span) => span.textContent.replace("▲", "").trim());
  return withdrew(words, text("org.endorsed"), text("org.withdrew"));
}

// Whether a word is the one that a page shows.
function says(word, { index, gone }) {
  return word !== undefined && word.index === index && word.gone === gone;
}

// The last word of an organization on a statement in the record of a size: an item of a list, with gone; undefined if there is none.
async function wordBefore(verifier, domain, statement, size, tell) {
  if (size === 0) {
    return undefined;
  }
  const { items, gone } = await roll(verifier, { statement, size }, tell);
  const said = (list, gone) => list.filter((e) => e.domain === domain).map((e) => ({ ...e, gone }))[0];
  return said(items, false) ?? said(gone, true);
}

// Holds what the page shows of a statement against the record and the text with its fingerprint: {title, body, part}, of which title and body may be missing.
async function holdText(verifier, record, statement, { title, body, part }, address, found, tell) {
  const known = record.statements.find((s) => s.statement === `sha256:${statement}`);
  if (!known || (address.kind === "statement" && statement !== address.id)) {
    found.contradict(text("js.lie.statement"), "", null);
    return;
  }
  if (title && !shows(title.textContent, known.title, "", false)) {
    found.contradict(text("js.lie.title", { title: known.title }), "", title);
    return;
  }
  if (!body || known.media_type !== "text/plain") {
    return;
  }
  let bytes;
  try {
    bytes = await get(`/blobs/sha256/${statement}`, "");
  } catch (error) {
    if (error instanceof EngineError) {
      found.unread = true;
      return;
    }
    throw error;
  }
  const { hash } = await verifier.ask({ do: "text", bytes }, tell);
  const said = shown(body);
  if (hash !== `sha256:${statement}` || (said !== "" && !shows(said, new TextDecoder().decode(bytes), known.title, part))) {
    found.contradict(text("js.lie.text"), "", body);
  }
}

// The text that an element shows, with its paragraphs and lines apart. A note that stands in place of the text is no text; what stands beside a note is.
function shown(node) {
  const parts = [];
  const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    if (!walker.currentNode.parentElement.closest(".note")) {
      parts.push(walker.currentNode.data);
    }
  }
  const all = parts.join(" ").trim();
  return node.querySelector(".note") && all === (node.querySelector("h1")?.textContent ?? "").trim() ? "" : all;
}
