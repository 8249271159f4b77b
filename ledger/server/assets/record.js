import { mark, stateOf } from "./answer.js";
import { fill, make } from "./dom.js";
import { EngineError } from "./engine.js";
import { count, number, text } from "./messages.js";
import { Progress } from "./progress.js";

/**
 * Has the record re-checked by this browser, and holds the lists of the page against what comes out. What the page says
 * falsely is contradicted on it, in red; what could not be checked, for whatever reason, is grey.
 *   note      #browser-check, the sentence that says that the browser checked nothing
 *   lists     the elements with data-roll
 */
export async function recheck(verifier, note, lists) {
  const progress = new Progress();
  const result = make("div", { role: "status" });
  const box = make("div", { id: note.id, class: "browser-check" }, result, progress.node);
  note.replaceWith(box);
  const say = (state, ...children) => {
    box.className = `browser-check ${state}`;
    fill(result, mark(state), " ", ...children);
  };
  progress.begin();
  try {
    const record = await verifier.prepare((p) => progress.tell(p));
    if (!record.replayed || record.code !== 0) {
      say(record.code === 0 ? "could-not-check" : stateOf(record.code), record.sentence);
      return;
    }
    const lies = [];
    let older = false;
    for (const list of lists) {
      const page = read(list);
      if (page.size > record.size) {
        older = true;
        continue;
      }
      const roll = await verifier.ask({ do: "roll", statement: `sha256:${list.dataset.roll}`, as_of: list.dataset.asOf || undefined, size: page.size }, (p) => progress.tell(p));
      lies.push(...contradict(list, page, roll));
    }
    if (lies.length > 0) {
      say("no", text("js.record.lie"), make("ul", {}, lies.map((l) => make("li", {}, l))), text("js.record.believe"));
    } else if (older) {
      say("could-not-check", record.sentence, " ", text("js.record.older"));
    } else {
      say("confirmed", record.sentence, " ", lists.length > 0 ? text("js.record.same") : "");
    }
  } catch (error) {
    if (!(error instanceof EngineError)) {
      throw error;
    }
    say("could-not-check", error.message);
  } finally {
    progress.end();
  }
}

// What the page shows of a list.
function read(list) {
  const items = [...list.querySelectorAll("li[data-domain]")].map((li) => ({
    domain: li.dataset.domain, index: Number(li.dataset.index), name: li.querySelector(".name")?.textContent ?? "", gone: "gone" in li.dataset, li,
  }));
  return {
    size: Number(list.dataset.size), count: Number(list.dataset.count), withdrawn: Number(list.dataset.withdrawn), whole: "whole" in list.dataset, items,
  };
}

/**
 * What a page says of a list that the record does not bear out: {extra, another, missing, count}.
 *   extra    items of the page that are not on the list
 *   another  items that are on it by another entry, or under another name: {shown, right}
 *   missing  items of the list that a page with all of it leaves out
 *   count    whether the numbers on the page are those of the list
 */
export function compare(page, roll) {
  const found = { extra: [], another: [], missing: [], count: page.count === roll.count && page.withdrawn === roll.withdrawn };
  for (const [gone, list] of [[false, roll.items], [true, roll.gone]]) {
    const right = new Map(list.map((e) => [e.domain, e]));
    const shown = page.items.filter((e) => e.gone === gone);
    const domains = new Set();
    for (const e of shown) {
      const r = right.get(e.domain);
      if (!r || domains.has(e.domain)) {
        found.extra.push(e);
      } else if (r.index !== e.index || r.name !== e.name) {
        found.another.push({ shown: e, right: r });
      }
      domains.add(e.domain);
    }
    if (page.whole) {
      found.missing.push(...list.filter((e) => !domains.has(e.domain)).map((e) => ({ ...e, gone })));
    }
  }
  return found;
}

// Contradicts a list where it stands, and returns what is to be said of it.
function contradict(list, page, roll) {
  const found = compare(page, roll);
  const lies = [];
  const tell = (li, sentence) => {
    lies.push(sentence);
    if (li) {
      li.classList.add("contradicted");
      li.append(make("p", { class: "contradiction" }, mark("no"), ` ${sentence}`));
    }
  };
  for (const e of found.extra) {
    tell(e.li, text(e.gone ? "js.lie.extra-gone" : "js.lie.extra", { domain: e.domain }));
  }
  for (const { shown, right } of found.another) {
    tell(shown.li, text("js.lie.another", { domain: right.domain, name: right.name, index: number(right.index) }));
  }
  for (const e of found.missing) {
    tell(null, text(e.gone ? "js.lie.missing-gone" : "js.lie.missing", { domain: e.domain, name: e.name, index: number(e.index) }));
  }
  if (!found.count) {
    tell(null, text("js.lie.count", { standing: count("js.standing", roll.count), withdrawn: count("js.gone", roll.withdrawn) }));
  }
  return lies;
}
