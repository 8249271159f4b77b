// Latin letters, and Cyrillic ones that look the same.
const alike = { a: "\u0430", e: "\u0435", o: "\u043e", p: "\u0440", c: "\u0441" };

/**
 * A text as somebody might pass it on who wants it to say something else: one word, of those near its middle that are
 * long, is taken out, and in an earlier one a letter is another that looks the same. A text without such words comes back as
 * near to that as it can.
 */
export function alter(text) {
  const words = [...text.matchAll(/[\p{L}\p{M}]{4,}/gu)];
  if (words.length === 0) {
    return text;
  }
  const gone = words[Math.floor(words.length / 2)];
  const end = gone.index + gone[0].length;
  const space = text[end] === " " ? 1 : 0; // with the space after it
  const without = text.slice(0, gone.index) + text.slice(end + space);
  for (let i = Math.floor(words.length / 4); i < Math.floor(words.length / 2); i++) {
    const word = words[i];
    const at = word[0].split("").findIndex((c, n) => n > 0 && Object.hasOwn(alike, c));
    if (at > 0) {
      const where = word.index + at;
      return without.slice(0, where) + alike[without[where]] + without.slice(where + 1);
    }
  }
  return without;
}
