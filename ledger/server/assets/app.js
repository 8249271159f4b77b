// The module of every page: it finds what the page has, and has this browser check it. Without it the pages work, and say that
// nothing was checked.

import { samplesOf, wire } from "./check.js";
import { asked } from "./claims.js";
import { fill } from "./dom.js";
import { Engine, EngineError } from "./engine.js";
import { judge } from "./judge.js";
import { speak, text } from "./messages.js";
import { recheck } from "./record.js";
import { Verifier, get } from "./verifier.js";

const smallRecord = 10_000; // entries that a browser replays in a few seconds

async function start() {
  let messages;
  try {
    messages = await get("/assets/messages.en.json", "");
  } catch (error) {
    if (error instanceof EngineError) {
      return; // the page goes on saying that nothing was checked
    }
    throw error;
  }
  speak(JSON.parse(new TextDecoder().decode(messages)), "en");
  const { verifier: wasm, worker } = document.body.dataset;
  const note = document.getElementById("browser-check");
  const form = document.getElementById("check-form");
  if (!wasm || !worker) {
    if (note) {
      fill(note, text("js.no-verifier"));
    }
    if (form) {
      form.hidden = true;
    }
    return;
  }
  const base = new URL("/", location.href).href;
  // The page's policy lets nothing but this start a script from an address.
  const maker = globalThis.trustedTypes?.createPolicy("undersigned", { createScriptURL: () => worker });
  const engine = new Engine({ spawn: () => new Worker(maker ? maker.createScriptURL("") : worker), wasm: new URL(wasm, base).href, lost: text("js.lost") });
  const verifier = new Verifier(engine, {
    policy: async () => ({ text: new TextDecoder().decode(await get("/policy", text("js.what.policy"))), whose: text("js.policy.own") }),
    record: { base, limit: smallRecord },
    texts: [],
    receipt: null,
    link: base,
    origin: document.body.dataset.origin,
    code: text("js.code.server", { host: location.host }),
    judge: text("js.policy.before"),
  });
  if (form) {
    const section = document.getElementById("checker");
    wire(form, document.getElementById("answer"), verifier, samplesOf(section));
  }
  const verdict = document.getElementById("verdict");
  if (verdict && note) {
    verdict.after(note); // which the verdict takes the place of
  }
  const look = () => {
    if (note) {
      recheck(verifier, note, document);
    }
    if (verdict) {
      judge(verifier, verdict, asked(location).id, () => receiptOf(verdict.dataset));
    }
  };
  document.documentElement.dataset.modules = "ready";
  // The page comes first.
  if ("requestIdleCallback" in window) {
    requestIdleCallback(look, { timeout: 2000 });
  } else {
    setTimeout(look, 200);
  }
}

// The receipt of a page that is about one entry, or why there is none, and the text that it endorses.
async function receiptOf({ receipt, text: address }) {
  const statement = address ? await textOf(address) : undefined;
  try {
    return { bytes: await get(receipt, text("js.what.receipt")), statement };
  } catch (error) {
    if (error instanceof EngineError) {
      return { lost: error.message, statement };
    }
    throw error;
  }
}

// A text that cannot be had leaves one of the four questions open, and no more.
async function textOf(address) {
  try {
    return await get(address, "");
  } catch (error) {
    if (error instanceof EngineError) {
      return undefined;
    }
    throw error;
  }
}

start();
