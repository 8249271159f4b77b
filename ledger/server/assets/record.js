import { mark, stateOf } from "./answer.js";
import { busy, fill, make, settle } from "./dom.js";
import { EngineError } from "./engine.js";
import { count, number, text } from "./messages.js";
import { Progress } from "./progress.js";

/**
 * Has the record re-checked by this browser, and holds what the page says against what comes out. What the page says falsely
 * is contradicted on it, in red; what could not be checked, for whatever reason, is grey.
 *   note   #browser-check, the sentence that says that the browser checked nothing
 *   page   {lists, organization}: the elements with data-roll, and #organization or null
 */
export async function recheck(verifier, note, page) {
  const progress = new Progress();
  const result = make("div", { role: "status" });
  const box = make("div", { id: note.id, class: "browser-check" }, result, progress.node);
  note.replaceWith(box);
  const say = (state, code, ...children) => {
    progress.end();
    box.classList.add(`is-${state}`);
    fill(result, mark(state), " ", ...children);
    settle(box, state, code);
    if (page.organization) {
      settle(page.organization, state, code);
    }
  };
  busy(box);
  progress.begin();
  try {
    const tell = (p) => progress.tell(p);
    const record = await verifier.prepare(tell);
    if (!record.replayed || record.code !== 0) {
      say(record.code === 0 ? "could-not-check" : stateOf(record.code), record.code, record.sentence);
      return;
    }
    const found = { lies: [], domains: new Set(), older: false };
    for (const list of page.lists) {
      await hold(verifier, record, list, found, tell);
    }
    if (page.organization) {
      await holdOrganization(verifier, record, page.organization, found, tell);
    }
    if (found.lies.length > 0) {
      box.dataset.difference = [...found.domains].join(" ");
      say("no", 20, text("js.record.lie"), make("ul", {}, found.lies.map((l) => make("li", {}, l))), text("js.record.believe"));
    } else if (found.older) {
      say("could-not-check", 3, record.sentence, " ", text("js.record.older"));
    } else {
      say("confirmed", 0, record.sentence, " ", page.lists.length > 0 || page.organization ? text("js.record.same") : "");
    }
  } catch (error) {
    if (!(error instanceof EngineError)) {
      throw error;
    }
    say("could-not-check", 3, error.message);
  }
}

// Holds a list of the page against the record.
async function hold(verifier, record, list, found, tell) {
  const page = read(list);
  if (page.size > record.size) {
    found.older = true;
    return;
  }
  const roll = await verifier.ask({ do: "roll", statement: `sha256:${list.dataset.roll}`, as_of: list.dataset.asOf || undefined, size: page.size }, tell);
  if (roll.root !== record.root) {
    found.older = true; // another record was brought meanwhile
    return;
  }
  contradict(compare(page, roll), roll, found);
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

// Contradicts a list where it stands, and collects what is to be said of it.
function contradict(differences, roll, found) {
  for (const e of differences.extra) {
    tellOn(e.li, e.domain, text(e.gone ? "js.lie.extra-gone" : "js.lie.extra", { domain: e.domain }), found);
  }
  for (const { shown, right } of differences.another) {
    tellOn(shown.li, right.domain, text("js.lie.another", { domain: right.domain, name: right.name, index: number(right.index) }), found);
  }
  for (const e of differences.missing) {
    tellOn(null, e.domain, text(e.gone ? "js.lie.missing-gone" : "js.lie.missing", { domain: e.domain, name: e.name, index: number(e.index) }), found);
  }
  if (!differences.count) {
    found.lies.push(text("js.lie.count", { standing: count("js.standing", roll.count), withdrawn: count("js.gone", roll.withdrawn) }));
  }
}

function tellOn(li, domain, sentence, found) {
  found.lies.push(sentence);
  found.domains.add(domain);
  if (li) {
    li.dataset.contradicted = "";
    li.append(make("p", { class: "contradiction" }, mark("no"), ` ${sentence}`));
  }
}

// Holds what the page says of an organization against the record: its last word on each statement.
async function holdOrganization(verifier, record, node, found, tell) {
  const domain = node.dataset.domain;
  if (Number(node.dataset.size) > record.size) {
    found.older = true;
    return;
  }
  const { organization } = await verifier.ask({ do: "organization", domain }, tell);
  const right = new Map((organization?.endorsements ?? []).map((e) => [e.statement.replace("sha256:", ""), e]));
  const shown = [...node.querySelectorAll("li[data-statement]")];
  for (const li of shown) {
    const r = right.get(li.dataset.statement);
    if (!r || r.index !== Number(li.dataset.index) || r.stands === "gone" in li.dataset) {
      tellOn(li, domain, text(r ? "js.lie.organization.another" : "js.lie.organization", { domain, index: r ? number(r.index) : "" }), found);
    }
  }
  const said = new Set(shown.map((li) => li.dataset.statement));
  for (const [statement, r] of right) {
    if (!said.has(statement)) {
      tellOn(null, domain, text("js.lie.organization.missing", { title: r.title, index: number(r.index) }), found);
    }
  }
}
