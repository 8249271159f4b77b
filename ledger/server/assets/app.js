// The module of every page: it finds what the page has, and has this browser check it. Without it the pages work, and say that
// nothing was checked.

import { answer, trouble } from "./answer.js";
import { samplesOf, wire } from "./check.js";
import { fill } from "./dom.js";
import { Engine, EngineError } from "./engine.js";
import { speak, text } from "./messages.js";
import { Progress } from "./progress.js";
import { recheck } from "./record.js";
import { Verifier, get } from "./verifier.js";

const smallRecord = 10_000; // entries that a browser replays in a few seconds

async function start() {
  const messages = await get("/assets/messages.en.json", "messages.en.json");
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
  const engine = new Engine({ spawn: () => new Worker(worker), wasm: new URL(wasm, base).href, lost: text("js.lost") });
  const verifier = new Verifier(engine, {
    policy: async () => ({ text: new TextDecoder().decode(await get("/policy", text("js.what.policy"))), whose: text("js.policy.own") }),
    record: { base, limit: smallRecord },
    texts: [],
    link: base,
    code: text("js.code.server", { host: location.host }),
  });
  if (form) {
    const section = document.getElementById("checker");
    wire(form, document.getElementById("answer"), verifier, samplesOf(section));
  }
  const verdict = document.getElementById("verdict");
  const look = () => {
    if (note) {
      recheck(verifier, note, document.querySelectorAll("[data-roll]"));
    }
    if (verdict) {
      judge(verifier, verdict);
    }
  };
  // The page comes first.
  if ("requestIdleCallback" in window) {
    requestIdleCallback(look, { timeout: 2000 });
  } else {
    setTimeout(look, 200);
  }
}

// The four answers about the receipt of a page that is about one entry.
async function judge(verifier, place) {
  const progress = new Progress();
  fill(place, progress.node);
  progress.begin();
  let shown;
  try {
    const { receipt, text: statement } = place.dataset;
    const bytes = await get(receipt, text("js.what.receipt"));
    const asked = statement ? await get(statement, text("js.what.text")) : undefined;
    shown = answer(await verifier.ask({ do: "check", name: "", type: "", bytes, statement: asked }, (p) => progress.tell(p)), verifier);
  } catch (error) {
    if (!(error instanceof EngineError)) {
      throw error;
    }
    shown = trouble(error.message);
  }
  fill(place, shown.node);
}

start();
