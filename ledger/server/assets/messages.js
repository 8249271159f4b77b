// What people read comes from the catalogue, messages.en.json: {"key": "English with {placeholders}"}.

let catalogue = {};
let plural = new Intl.PluralRules("en");
let languages = new Intl.DisplayNames("en", { type: "language" });

/** Takes a catalogue and its language. */
export function speak(messages, language) {
  catalogue = messages;
  plural = new Intl.PluralRules(language);
  languages = new Intl.DisplayNames(language, { type: "language" });
}

/** The sentence of a key, with values in its placeholders. A key that is missing shows itself. */
export function text(key, values = {}) {
  const sentence = Object.hasOwn(catalogue, key) ? catalogue[key] : key;
  return sentence.replace(/\{([a-z_]+)\}/g, (whole, name) => (Object.hasOwn(values, name) ? String(values[name]) : whole));
}

/** The sentence about a number: that of key.one or of key.other, with {n}. */
export function count(key, n, values = {}) {
  const form = plural.select(n) === "one" ? "one" : "other";
  return text(`${key}.${form}`, { ...values, n: number(n) });
}

const thin = new Intl.NumberFormat("en-GB");
const days = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });

/** A number for people: 10,000. */
export function number(n) {
  return thin.format(n);
}

/** A day for people, in UTC: 11 June 2024. What is no time stays as it is. */
export function day(time) {
  const t = new Date(time);
  return Number.isNaN(t.getTime()) ? String(time) : days.format(t);
}

/** The name of a language: German, of de. A tag that is none stays as it is. */
export function language(tag) {
  try {
    return languages.of(tag);
  } catch {
    return tag;
  }
}
