// Elements are made here, and nowhere out of markup: text stays text, whoever wrote it.

/**
 * Makes an element. An attribute that is a function is an event's listener (onclick), true is an attribute without a
 * value, and false, null and undefined are none. Children are nodes, strings, or lists of them; null is nothing.
 */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      node.addEventListener(name.slice(2), value);
    } else if (value === true) {
      node.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      node.setAttribute(name, value);
    }
  }
  put(node, ...children);
  return node;
}

/** Appends what make takes as children. */
export function put(node, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== "") {
      node.append(child);
    }
  }
}

/** Puts children in the place of all that is in a node. */
export function fill(node, ...children) {
  node.replaceChildren();
  put(node, ...children);
}

/**
 * Words in which a line may end after a dot of a long word, as it must in the middle of a long domain; but not within a label of the form xn--80ak6aa92e,
 * whose half would be another.
 */
export function soft(words) {
  return words.split(/(\s+)/).flatMap((word) => (word.length > 16 ? word.split(/(?<=[^.]{3}\.)(?=[^.]{2})/) : [word]).flatMap((part, i) => [i === 0 ? null : make("wbr"), whole(part)]));
}

// A part of a word, of which an internationalized label stays together.
function whole(part) {
  return part.split(/(xn--[a-z0-9-]+\.?)/).map((p, i) => (i % 2 === 1 ? make("span", { class: "whole" }, p) : p));
}

/** A fold-out. */
export function fold(title, ...children) {
  return make("details", {}, make("summary", {}, title), ...children);
}

/** A list of sentences; null if there are none. */
export function sentences(list, attributes = {}) {
  return list && list.length > 0 ? make("ul", attributes, list.map((s) => make("li", {}, s))) : null;
}

/** Moves the focus to what is not a control, such as the heading of an answer. */
export function focusOn(node) {
  node.setAttribute("tabindex", "-1");
  node.focus();
}

/** Says on an element, for whoever waits for it, that it is being worked on. */
export function busy(node) {
  node.dataset.state = "busy";
  delete node.dataset.code;
}

/** Says on an element what came out: a state of an answer, and an exit code. It is said last. */
export function settle(node, state, code) {
  node.dataset.code = String(code);
  node.dataset.state = state;
}
