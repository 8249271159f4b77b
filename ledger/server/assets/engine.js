// The verifier runs in a worker: the Go code of the ledger and of the command line, compiled to WebAssembly. It is started
// when it is needed first, and does one thing at a time.

/** What the engine throws: its message is a sentence for people. */
export class EngineError extends Error {}

/**
 * An Engine is the worker and what waits for it.
 *   spawn()  makes the worker
 *   wasm     where it gets the verifier: a URL, or its bytes packed with gzip
 *   script   the worker's script, if the worker cannot start others like it by its own address
 *   lost     the sentence for when the worker is gone
 */
export class Engine {
  #source;
  #worker = null;
  #next = 0;
  #waiting = []; // {id, request, progress, resolve, reject}, the first is under way
  version = "";
  onstop = null; // called when what the worker was told is forgotten

  constructor(source) {
    this.#source = source;
  }

  /** Asks the worker something, after what was asked before. progress({step, done, total}) is told of what is under way meanwhile. */
  ask(request, progress = () => {}) {
    const asked = this.#queue(request, progress);
    this.#start();
    return asked;
  }

  /** Ends what is under way and forgets the rest; the next question starts a worker anew. */
  stop(sentence) {
    if (this.#worker) {
      this.#worker.terminate();
    }
    this.#worker = null;
    this.version = "";
    this.onstop?.();
    const left = this.#waiting;
    this.#waiting = [];
    for (const w of left) {
      w.reject(new EngineError(sentence));
    }
  }

  /** Whether a worker is running. */
  get running() {
    return this.#worker !== null;
  }

  #queue(request, progress) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ id: ++this.#next, request, progress, resolve, reject });
      if (this.#worker && this.#waiting.length === 1) {
        this.#send();
      }
    });
  }

  #start() {
    if (this.#worker) {
      return;
    }
    let worker;
    try {
      worker = this.#source.spawn();
    } catch {
      this.stop(this.#source.lost);
      return;
    }
    this.#worker = worker;
    worker.onmessage = (event) => {
      if (worker === this.#worker) {
        this.#hear(event.data);
      }
    };
    worker.onerror = () => {
      if (worker === this.#worker) {
        this.stop(this.#source.lost);
      }
    };
    this.#waiting.unshift({
      id: ++this.#next,
      request: { do: "load", wasm: this.#source.wasm, script: this.#source.script },
      progress: () => {},
      resolve: (result) => { this.version = result.version; },
      reject: (error) => this.stop(error.message),
    });
    this.#send();
  }

  #send() {
    const first = this.#waiting[0];
    if (first && this.#worker) {
      this.#worker.postMessage({ id: first.id, ...first.request });
    }
  }

  #hear(reply) {
    const first = this.#waiting[0];
    if (!first || reply.id !== first.id) {
      return;
    }
    if (reply.progress) {
      for (const w of this.#waiting) {
        w.progress(reply.progress);
      }
      return;
    }
    this.#waiting.shift();
    if (reply.error !== undefined) {
      first.reject(new EngineError(reply.error));
    } else {
      first.resolve(reply.result);
    }
    this.#send();
  }
}
