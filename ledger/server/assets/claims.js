// What a page claims, apart from how it is shown: nothing here touches the page.

import { day } from "./messages.js";

const mostWords = 100; // maxSaid in organizationpage.go

/** What an address asks for: {kind, id, asOf, size}, each "" if it does not say. */
export function asked({ pathname, search }) {
  const query = new URLSearchParams(search);
  const [, kind, id] = /^\/(statement|organization|entry)\/([^/]+)$/.exec(pathname) ?? ["", "", ""];
  return { kind, id, asOf: query.get("as-of") ?? "", size: query.get("size") ?? "" };
}

/** Whether two moments are the same: a day is one, and so is a time. */
export function sameMoment(a, b) {
  return a === b || (a.length > 10 && b.length > 10 && Date.parse(a) === Date.parse(b));
}

/**
 * What a page says of a list that the record does not bear out: {extra, another, missing, count}.
 *   extra    items of the page that are not on the list
 *   another  items that are on it by another entry, under another name, or of another day: {shown, right}
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
      } else if (r.index !== e.index || r.name !== e.name || (e.day !== undefined && e.day !== day(r.admitted))) {
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

/** The markup of an item of a list on a page, by its domain and entry; undefined if that page has no such item: who endorses again has another. */
export function itemOf(html, { domain, index }) {
  const start = html.indexOf(`<li data-domain="${domain}" data-index="${index}"`);
  return start < 0 ? undefined : html.slice(start, html.indexOf("</li>", start));
}

/** A time as the pages have it: 11 June 2024, 09:30 UTC. */
export function momentOf(admitted) {
  return `${day(admitted)}, ${new Date(admitted).toISOString().slice(11, 16)} UTC`;
}

/** The first number in words, as people read it; NaN if there is none. */
export function numberIn(words) {
  return Number(/\d[\d,]*/.exec(words)?.[0].replaceAll(",", "") ?? NaN);
}

/** Whether a page's list is not the record's, by what compare found. */
export function differs(found) {
  return found.extra.length + found.another.length + found.missing.length > 0 || !found.count;
}

/** The words of a text as a page shows them: white space parts them, and the hyphens of lists are none of them. */
export function words(text) {
  return text.replace(/^- /gm, "").split(/\s+/u).filter((w) => w);
}

/** Whether what is shown is a text, or its title and the text; a part of it if part. */
export function shows(shown, text, title, part) {
  const is = words(shown).join(" ");
  const whole = words(text).join(" ");
  return part ? ` ${whole} `.includes(` ${is} `) : is === whole || is === `${words(title).join(" ")} ${whole}`;
}

/** Whether the words that an item of an organization's page has for what it did say that it withdrew; undefined if they are not one word of the two. */
export function withdrew(words, endorsed, withdrawn) {
  return words.length === 1 && [endorsed, withdrawn].includes(words[0]) ? words[0] === withdrawn : undefined;
}

/** From which entry on an organization's page has to have all of its words, {index}s; the server leaves out the older ones of very many. */
export function wordsFrom(shown) {
  return shown.length < mostWords ? 0 : Math.min(...shown.map((e) => e.index));
}
