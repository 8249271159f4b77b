import { answer, trouble } from "./answer.js";
import { busy, fill, focusOn, make, settle } from "./dom.js";
import { EngineError } from "./engine.js";
import { number, text } from "./messages.js";
import { Progress } from "./progress.js";
import { alter } from "./samples.js";
import { get } from "./verifier.js";

const maxFile = 64 << 20; // bytes; the engine has bounds of its own, most of them smaller
const receiptMagic = "c2sp.org/tlog-proof@v1";

const texts = new Set(["text", "html", "quote", "unknown"]);
const maxKept = 100_000; // characters of what was typed that the browser's history keeps

/**
 * Wires the box: what is typed, pasted, dropped or chosen is checked here, and nothing of it is sent anywhere.
 *   form      #check-form, with a text area, a field for files and, if there are samples, their buttons
 *   place     where the answer goes
 *   verifier  who answers
 *   samples   {statement(), receipt(), absent}: promises of the current statement's text and of a receipt, and a name; null: none
 */
export function wire(form, place, verifier, samples) {
  const input = form.querySelector("textarea");
  const files = form.querySelector("input[type=file]");
  const progress = new Progress(() => verifier.stop());
  const judged = make("p", { class: "judged" });
  form.after(progress.node);
  place.before(judged);
  const past = new Asked((kept) => restore(kept));
  let asked = 0;
  let answered = ""; // what stands in the box and was asked: where something else is judged it does not stay
  let quiet = false; // what begins now was not asked for just now: its answer takes no focus

  const judge = () => {
    const p = verifier.policy;
    fill(judged, p ? `${p.whose} ${p.sentence}` : verifier.judge);
  };
  judge();

  const show = ({ node, heading, state, code }, silent = false) => {
    fill(place, node);
    if (!silent) {
      focusOn(heading);
    }
    settle(place, state, code);
  };

  // Shows what work() promises, unless something else was asked meanwhile.
  const run = async (work) => {
    const mine = ++asked;
    const silent = quiet;
    const current = () => mine === asked;
    progress.begin();
    busy(place);
    let shown;
    try {
      shown = await work((p) => current() && progress.tell(p), current);
    } catch (error) {
      if (!(error instanceof EngineError)) {
        throw error;
      }
      shown = trouble(error.message);
    }
    judge(); // which another policy does whether or not it is told here
    if (current()) {
      progress.end();
      show(shown, silent);
    }
  };

  // Takes back what was answered, and what would be.
  const forget = () => {
    asked++;
    answered = "";
    progress.end();
    fill(place);
    delete place.dataset.state;
  };

  // Empties the box before something else is judged, unless nobody has asked about what is in it.
  const empty = () => {
    if (input.value === answered) {
      input.value = "";
    }
    answered = "";
  };

  const check = (request, about) => run((tell) => checked(request, about, tell));

  const checked = async (request, about, tell) => {
    let result = await verifier.ask({ do: "check", ...request }, tell);
    if (verifier.receipt && texts.has(result.kind)) { // the page is about one receipt: is this its text?
      result = await verifier.ask({ do: "check", name: "", type: "", bytes: verifier.receipt, about: bytesOf(request) }, tell);
    }
    if (result.kind === "archive" && result.record) {
      verifier.took(result.record);
    }
    const shown = answer(result, verifier, { ...about, choose });
    if (result.code === 3 && result.answers && result.kind !== "pdf" && verifier.left > 0) { // more of the record could answer it
      shown.node.append(make("p", { class: "actions" }, make("button", { type: "button", "data-all": true, onclick: () => {
        verifier.wider();
        check(request, about);
      } }, text("js.record.all", { n: number(verifier.left) }))));
    }
    if (verifier.brought) {
      const back = make("p", { class: "actions", role: "note" }, text(result.kind === "archive" ? "js.archive.now" : "js.archive.still"), " ", make("button", { type: "button", onclick: () => {
        verifier.again();
        fill(back, text("js.archive.before"));
      } }, text("js.archive.back")));
      shown.node.append(back);
    }
    if (result.kind === "policy" && result.policy) {
      const policy = () => ({ text: new TextDecoder().decode(bytesOf(request)), whose: text("js.policy.dropped", { name: about.name }) });
      const use = (key, given, name) => make("button", { type: "button", onclick: () => run(async (told) => {
        const record = await verifier.use(given, told);
        const used = answer(record ?? { sentence: verifier.policy.sentence, code: 0 }, verifier, { name });
        used.node.append(make("p", { class: "actions", role: "note" }, verifier.policy.whose, " ", given ? use("js.policy.back", null, "") : null));
        return used;
      }) }, text(key));
      shown.node.append(make("p", { class: "actions" }, use("js.policy.use", policy(), about.name)));
    }
    return shown;
  };

  const choose = (domain) => {
    input.value = domain;
    typed();
  };

  const take = async (list) => {
    const all = [...list];
    if (all.length === 0) {
      return;
    }
    past.keep({}); // files are not kept
    empty();
    await run(async (tell) => { // from here on, so that no earlier answer comes after this one
      if (all.length > 2) {
        return trouble(text("js.too-many"));
      }
      if (all.some((f) => f.size > maxFile)) {
        return trouble(text("js.too-large"));
      }
      let read;
      try {
        read = await Promise.all(all.map(async (f) => ({ name: f.name, type: f.type, bytes: new Uint8Array(await f.arrayBuffer()) })));
      } catch {
        return trouble(text("js.unreadable")); // a directory, or a file that went away
      }
      const about = { name: read.map((f) => f.name).join(" + ") };
      const receipt = read.find((f) => isReceipt(f.bytes));
      const other = read.find((f) => f !== receipt);
      if (read.length === 1) {
        return checked(read[0], about, tell);
      }
      return receipt ? checked({ ...receipt, about: other.bytes }, about, tell) : trouble(text("js.too-many"));
    });
  };

  const typed = () => {
    if (input.value.trim() === "") {
      input.focus();
      return;
    }
    past.keep({ typed: input.value });
    answered = input.value;
    check({ text: input.value }, { name: text("js.typed"), typed: input.value.trim() });
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    typed();
  });
  input.addEventListener("input", () => {
    if (answered !== "" && input.value !== answered) { // what was answered is not about what stands there now
      forget();
    }
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      typed();
    }
  });
  input.addEventListener("paste", (event) => {
    const pasted = event.clipboardData;
    if (pasted && pasted.files.length > 0 && !pasted.types.includes("text/plain")) {
      event.preventDefault();
      take(pasted.files);
    } else if (input.value === "") {
      setTimeout(typed); // when the field has it
    }
  });
  files.addEventListener("change", async () => {
    await take(files.files);
    files.value = ""; // so that the same file can be chosen again when it has changed
  });

  // What is dropped beside the box is meant for it too.
  let over = 0;
  const holds = (event) => event.dataTransfer && (event.dataTransfer.types.includes("Files") || event.dataTransfer.types.includes("text/plain"));
  document.addEventListener("dragenter", (event) => {
    if (holds(event)) {
      over++;
      form.classList.add("over");
    }
  });
  document.addEventListener("dragleave", () => {
    over = Math.max(0, over - 1);
    form.classList.toggle("over", over > 0);
  });
  document.addEventListener("dragover", (event) => {
    if (holds(event)) {
      event.preventDefault();
    }
  });
  document.addEventListener("drop", (event) => {
    over = 0;
    form.classList.remove("over");
    if (!holds(event)) {
      return;
    }
    event.preventDefault();
    if (event.dataTransfer.files.length > 0) {
      take(event.dataTransfer.files);
    } else {
      input.value = event.dataTransfer.getData("text/plain");
      typed();
    }
  });

  const tries = {
    genuine: () => run(async (tell) => {
      empty();
      const [statement, bytes] = await Promise.all([samples.statement(), samples.receipt()]);
      const result = await verifier.ask({ do: "check", name: "", type: "", bytes, about: statement }, tell);
      return answer(result, verifier, { sample: text("js.sample.genuine") });
    }),
    altered: () => run(async (tell, current) => {
      const changed = alter(new TextDecoder().decode(await samples.statement()));
      if (!current()) {
        return null;
      }
      input.value = answered = changed;
      const result = await verifier.ask({ do: "check", text: changed }, tell);
      return answer(result, verifier, { sample: text("js.sample.altered") });
    }),
    unsigned: () => run(async (tell) => {
      input.value = answered = samples.absent;
      const result = await verifier.ask({ do: "check", text: samples.absent }, tell);
      return answer(result, verifier, { sample: text("js.sample.unsigned") });
    }),
  };
  for (const button of form.querySelectorAll("[data-sample]")) {
    const sample = samples && Object.hasOwn(tries, button.dataset.sample) ? tries[button.dataset.sample] : null;
    if (sample) {
      button.addEventListener("click", () => {
        past.keep({ sample: button.dataset.sample });
        sample();
      });
    } else {
      button.hidden = true;
    }
  }

  // Shows again what was asked when the page was here before: by Back, by Forward, or by loading it again.
  const restore = ({ typed: words, sample }) => {
    quiet = true;
    input.value = words ?? "";
    if (words) {
      typed();
    } else if (samples && Object.hasOwn(tries, sample ?? "")) {
      tries[sample]();
    } else {
      forget();
    }
    quiet = false;
  };
  if (past.now.typed || past.now.sample) {
    restore(past.now);
  }
}

/**
 * What was asked, in the browser's own history, which nothing is sent of: {typed} or {sample}, or neither where nothing is kept. back is told what was
 * asked where the reader has gone back or forward to.
 */
class Asked {
  now = Asked.#in(window.history.state) ?? {};

  constructor(back) {
    this.#put("replaceState");
    addEventListener("popstate", (event) => {
      const kept = Asked.#in(event.state);
      if (kept) {
        this.now = kept;
        back(this.now);
      } else {
        this.#put("replaceState"); // a link to a place on this page was followed
      }
    });
  }

  keep(asked) {
    const kept = (asked.typed ?? "").length > maxKept ? {} : asked;
    if (kept.typed !== this.now.typed || kept.sample !== this.now.sample) {
      this.now = kept;
      this.#put("pushState");
    }
  }

  // What a state has of it; null if it has nothing. Another version of this page may have kept something else.
  static #in(state) {
    const words = (s) => (typeof s === "string" ? s : undefined);
    return state?.asked ? { typed: words(state.asked.typed), sample: words(state.asked.sample) } : null;
  }

  #put(how) {
    try {
      window.history[how]({ asked: this.now }, "");
    } catch {
      // The browser keeps no more: Back leads to what it has kept.
    }
  }
}

function bytesOf(request) {
  return request.bytes ?? new TextEncoder().encode(request.text);
}

/** Whether a file begins as a receipt does, or as one that an editor or a mail program has changed. */
export function isReceipt(bytes) {
  return new TextDecoder().decode(bytes.subarray(0, receiptMagic.length + 3)).startsWith(receiptMagic); // the decoder leaves a byte order mark out
}

/** Where the samples of this server are, by what the page says of them; null if it has no statement. */
export function samplesOf(section) {
  const { text: statement, receipt, absent } = section.dataset;
  if (!statement || !receipt || !absent) {
    return null;
  }
  return { statement: () => get(statement, text("js.what.text")), receipt: () => get(receipt, text("js.what.receipt")), absent };
}
