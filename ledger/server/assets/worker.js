// The verifier's worker: it loads the WebAssembly of cmd/undersigned-wasm and passes on what the page asks.
//
//   {id, do: "load", wasm, script}  wasm: an address, an ArrayBuffer with the file packed by gzip, or a WebAssembly.Module; script: a Uint8Array, this
//                                   script, in a page from a file  -> {version}
//   {id, do: "answer", question}    a Uint8Array, of another such worker that is helped to check signatures  -> {answer}
//   {id, do, …}                     a request of package verify/check; bytes, about and archive are Uint8Arrays, or ArrayBuffers
//
// It answers {id, progress: {step, done, total}} any number of times (total 0: not known), and then {id, result} or {id, error}: a sentence.
// A classic script, so that a page from a file can start it too. There, wasm_exec.js stands before it.
"use strict";

(() => {
  if (typeof Go === "undefined") {
    importScripts("wasm_exec.js");
  }

  const parts = ["bytes", "about", "archive"];
  const pauses = [300, 1500]; // milliseconds before a failed read is tried again
  const gone = "The verifier has stopped. Load the page again.";
  const mostHelpers = 4;
  let verifier = null; // what cmd/undersigned-wasm gives the page
  let compiled = null; // its WebAssembly.Module
  let script = null; // this script, where it cannot be had by its address
  let address = null;
  let trusted = null;
  let failed = false;
  let last = Promise.resolve(); // questions are answered one by one

  self.onmessage = (event) => {
    const request = event.data;
    last = last.then(() => handle(request)).then(
      (reply) => self.postMessage({ id: request.id, ...reply }),
      (error) => self.postMessage({ id: request.id, error: sentence(error) }),
    );
  };

  // What cannot be read here is a question whose answer nobody would wait for otherwise.
  self.onmessageerror = () => self.postMessage({ id: 0, error: gone });

  function sentence(error) {
    return error && error.message ? error.message : gone;
  }

  async function handle(request) {
    const tell = (step, done, total) => self.postMessage({ id: request.id, progress: { step, done, total } });
    if (request.do === "load") {
      script = request.script ?? null;
      if (!verifier) {
        await load(request.wasm, tell);
      }
      return { result: { version: verifier.version } };
    }
    if (!verifier) {
      throw new Error("The verifier is not loaded yet.");
    }
    if (failed) {
      throw new Error(gone);
    }
    for (const name of parts) {
      if (request[name] instanceof ArrayBuffer) {
        request[name] = new Uint8Array(request[name]);
      }
    }
    if (request.do === "answer") {
      return { result: { answer: verifier.answer(request.question) } };
    }
    const helpers = new Helpers(compiled);
    try {
      const answer = await Promise.race([
        verifier.ask(request, read, (done, total) => tell(request.do, done, total), helpers.count > 0 ? helpers : null),
        verifier.ended,
      ]);
      const result = JSON.parse(answer.result);
      if (answer.bytes) {
        result.bytes = answer.bytes;
      }
      return { result };
    } finally {
      helpers.end();
    }
  }

  /**
   * Helpers are workers like this one, with the same compiled code, that check signatures. They are started when they are asked first. Whatever goes
   * wrong with one is no error: what it does not answer is checked here.
   */
  class Helpers {
    #module;
    #all = null; // {worker, waiting: Map of id to {resolve, reject}}

    constructor(module) {
      this.#module = module;
      const cores = self.navigator?.hardwareConcurrency ?? 1;
      this.count = cores > 1 && typeof Worker === "function" ? Math.min(cores, mostHelpers) : 0;
    }

    /** Has the one that has least to do answer a question; a promise of a Uint8Array. */
    answer(question) {
      this.#all ??= this.#start();
      const free = this.#all.reduce((a, b) => (a && a.waiting.size <= b.waiting.size ? a : b), null);
      if (!free) {
        return Promise.reject(new Error(gone));
      }
      return new Promise((resolve, reject) => {
        const id = ++free.last;
        free.waiting.set(id, { resolve, reject });
        free.worker.postMessage({ id, do: "answer", question }, [question.buffer]);
      });
    }

    end() {
      for (const helper of this.#all ?? []) {
        this.#lose(helper);
      }
    }

    #start() {
      const all = [];
      try {
        while (all.length < this.count) {
          const helper = { worker: new Worker(here()), waiting: new Map(), last: 0 };
          helper.worker.onmessage = ({ data }) => this.#hear(helper, data);
          helper.worker.onerror = () => this.#lose(helper);
          all.push(helper);
          helper.worker.postMessage({ id: 0, do: "load", wasm: this.#module });
        }
      } catch {
        // Those that there are will do.
      }
      return all;
    }

    #hear(helper, { id, result, error }) {
      if (error !== undefined) {
        this.#lose(helper);
      } else if (result?.answer) {
        helper.waiting.get(id)?.resolve(result.answer);
        helper.waiting.delete(id);
      } else if (id !== 0 && result) {
        this.#lose(helper);
      }
    }

    #lose(helper) {
      helper.worker.terminate();
      this.#all = this.#all.filter((other) => other !== helper);
      for (const { reject } of helper.waiting.values()) {
        reject(new Error(gone));
      }
      helper.waiting.clear();
    }
  }

  // The address of this script, for a worker like this one. A page from a file lets a worker run what that worker has made itself alone.
  function here() {
    address ??= script ? URL.createObjectURL(new Blob([script], { type: "text/javascript" })) : self.location.href;
    if (!("trustedTypes" in self)) {
      return address;
    }
    trusted ??= trustedTypes.createPolicy("undersigned", { createScriptURL: () => address });
    return trusted.createScriptURL(address);
  }

  /** Loads the verifier, compiling it as it comes. */
  async function load(wasm, tell) {
    const go = new Go();
    const instance = await (wasm instanceof WebAssembly.Module ? begin(wasm, go) : typeof wasm === "string" ? compile(await download(wasm, tell), go) : compile(unpack(wasm), go));
    tell("start", 0, 0);
    const ended = go.run(instance).then(() => {
      failed = true;
      throw new Error(gone);
    });
    ended.catch(() => {});
    if (!self.undersigned) {
      throw new Error(gone);
    }
    verifier = { ...self.undersigned, ended };
  }

  async function compile(response, go) {
    try {
      const { module, instance } = WebAssembly.instantiateStreaming
        ? await WebAssembly.instantiateStreaming(response, go.importObject)
        : await WebAssembly.instantiate(await response.arrayBuffer(), go.importObject);
      compiled = module;
      return instance;
    } catch {
      throw new Error("This browser could not start the verifier. A newer browser can, and so can the program undersigned.");
    }
  }

  async function begin(module, go) {
    compiled = module;
    return WebAssembly.instantiate(module, go.importObject);
  }

  const asWasm = { headers: { "Content-Type": "application/wasm" } };

  async function download(address, tell) {
    let response;
    try {
      response = await fetch(address, { credentials: "omit", redirect: "error" });
    } catch {
      throw new Error("The verifier could not be loaded: the server cannot be reached.");
    }
    if (response.status === 404) {
      throw new Error("This build has no verifier for browsers. The program undersigned checks what you have.");
    }
    if (!response.ok || !response.body) {
      throw new Error("The verifier could not be loaded: the server does not send it.");
    }
    const total = Number(response.headers.get("X-Uncompressed-Length")) || 0;
    let done = 0;
    const counted = response.body.pipeThrough(new TransformStream({
      transform(chunk, controller) {
        done += chunk.byteLength;
        tell("download", done, total);
        controller.enqueue(chunk);
      },
    }));
    return new Response(counted, asWasm);
  }

  function unpack(packed) {
    return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip")), asWasm);
  }

  /** Reads an address: a Uint8Array of at most limit bytes, or null where there is nothing. */
  async function read(address, limit) {
    for (let attempt = 0; ; attempt++) {
      try {
        const response = await fetch(address, { credentials: "omit", redirect: "error", cache: address.endsWith("/checkpoint") ? "no-cache" : "default" });
        if (response.status === 404) {
          return null;
        }
        if (response.ok) {
          return await whole(response, limit);
        }
        if (attempt === pauses.length || ![429, 502, 503, 504].includes(response.status)) {
          throw new Error("refused");
        }
      } catch (error) {
        if (attempt === pauses.length || error.message === "refused" || error.message === "too large") {
          throw error;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, pauses[attempt]));
    }
  }

  /** Reads a body, and no more of it than it can have. */
  async function whole(response, limit) {
    const chunks = [];
    let length = 0;
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) {
        break;
      }
      length += value.byteLength;
      if (length > limit) {
        await reader.cancel();
        throw new Error("too large");
      }
      chunks.push(value);
    }
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const chunk of chunks) {
      bytes.set(chunk, at);
      at += chunk.byteLength;
    }
    return bytes;
  }
})();
