import { fill, make } from "./dom.js";
import { number, text } from "./messages.js";

// What the engine is doing, for people.
const steps = {
  download: "js.step.download",
  start: "js.step.start",
  record: "js.step.record",
  text: "js.step.text",
  check: "js.step.check",
};

/** A Progress shows how far the engine is: a sentence that is read out when it changes, numbers that are not, and a bar. */
export class Progress {
  #sentence = make("span", { role: "status" });
  #numbers = make("span", { class: "numbers", "aria-hidden": "true" });
  #bar = make("progress", { max: "1" });
  #shown = "";
  node;

  constructor(stop = null) {
    this.#bar.setAttribute("aria-label", text("js.progress"));
    this.node = make("div", { class: "progress", hidden: true }, make("p", {}, this.#sentence, this.#numbers), this.#bar);
    if (stop) {
      this.node.append(make("button", { type: "button", onclick: stop }, text("js.stop")));
    }
  }

  /** Shows one report of the engine. */
  tell({ step, done, total }) {
    const sentence = text(Object.hasOwn(steps, step) ? steps[step] : steps.check);
    this.node.hidden = false;
    if (sentence !== this.#shown) {
      this.#shown = sentence;
      fill(this.#sentence, sentence);
    }
    if (total > 0) {
      this.#bar.max = total;
      this.#bar.value = Math.min(done, total);
      fill(this.#numbers, step === "record" ? text("js.done-of", { done: number(done), total: number(total) }) : `${Math.floor((100 * Math.min(done, total)) / total)} %`);
    } else {
      this.#bar.removeAttribute("value");
      fill(this.#numbers);
    }
  }

  /** Shows that it has begun. */
  begin() {
    this.tell({ step: "check", done: 0, total: 0 });
  }

  end() {
    this.node.hidden = true;
    this.#shown = "";
    fill(this.#sentence);
    fill(this.#numbers);
  }
}
