// The verifier's worker: it loads the WebAssembly of cmd/undersigned-wasm and passes on what the page asks.
//
//   {id, do: "load", wasm}   wasm: an address, or an ArrayBuffer with the file packed by gzip  -> {version}
//   {id, do, …}              a request of package verify/check; bytes, about and archive are Uint8Arrays, or ArrayBuffers
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
  let verifier = null; // what cmd/undersigned-wasm gives the page
  let failed = false;
  let last = Promise.resolve(); // questions are answered one by one

  self.onmessage = (event) => {
    const request = event.data;
    last = last.then(() => handle(request)).then(
      (reply) => self.postMessage({ id: request.id, ...reply }),
      (error) => self.postMessage({ id: request.id, error: sentence(error) }),
    );
  };

  function sentence(error) {
    return error && error.message ? error.message : gone;
  }

  async function handle(request) {
    const tell = (step, done, total) => self.postMessage({ id: request.id, progress: { step, done, total } });
    if (request.do === "load") {
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
    const answer = await Promise.race([
      verifier.ask(request, read, (done, total) => tell(request.do, done, total)),
      verifier.ended,
    ]);
    const result = JSON.parse(answer.result);
    if (answer.bytes) {
      result.bytes = answer.bytes;
    }
    return { result };
  }

  /** Loads the verifier, compiling it as it comes. */
  async function load(wasm, tell) {
    const response = await (typeof wasm === "string" ? download(wasm, tell) : unpack(wasm));
    const go = new Go();
    let instance;
    try {
      ({ instance } = WebAssembly.instantiateStreaming
        ? await WebAssembly.instantiateStreaming(response, go.importObject)
        : await WebAssembly.instantiate(await response.arrayBuffer(), go.importObject));
    } catch {
      throw new Error("This browser could not start the verifier. A newer browser can, and so can the program undersigned.");
    }
    tell("start", 0, 0);
    const ended = go.run(instance).then(() => {
      failed = true;
      throw new Error(gone);
    });
    ended.catch(() => {});
    if (!self.undersigned) {
      throw new Error(gone);
    }
    verifier = { ask: self.undersigned.ask, version: self.undersigned.version, ended };
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
