import { EngineError } from "./engine.js";
import { text } from "./messages.js";

const mostEntries = 200_000; // a minute or two, and half of the memory that a page may have

/**
 * A Verifier is an engine that was told what to judge by: a policy, and the record if there is one to be had.
 * world is where it is:
 *   policy()  promises {text, whose}: whose is a sentence that says where the policy is from
 *   record    what the engine is told of the record: {base, limit} or {archive, limit}; null: there is none
 *   texts     texts that the engine is given, Uint8Arrays
 *   receipt   the receipt that texts are asked about, if there is no record; or null
 *   link      the record's address for people, with a slash at the end; "" if it is not known
 *   origin    of the record that is there
 *   code      a sentence that says where this code is from
 *   judge     a sentence that says by whose policy it will be judged
 */
export class Verifier {
  #engine;
  #world;
  #limit; // of entries that are re-checked unasked
  brought = false; // the record is of an archive that somebody brought
  #given = null; // the policy that was given instead of the world's
  #ready = null;
  onagain = null; // called when the record is re-checked again: all of it, or by another policy
  policy = null; // what the engine says of it, with whose
  record = null; // what the engine says of the record; null: not yet, or there is none

  constructor(engine, world) {
    this.#engine = engine;
    this.#world = world;
    this.#limit = world.record?.limit;
    engine.onstop = () => this.again();
  }

  get link() {
    return this.#world.link;
  }

  get origin() {
    return this.#world.origin;
  }

  get receipt() {
    return this.#world.receipt;
  }

  get judge() {
    return this.#world.judge;
  }

  /** The sentence that says where the policy is from, if it was given. */
  get given() {
    return this.#given?.whose ?? "";
  }

  get code() {
    return this.#world.code;
  }

  get version() {
    return this.#engine.version;
  }

  /** Starts the engine, tells it the policy and has it check the record, once. Fails with an EngineError, and may be tried again. */
  prepare(progress) {
    if (!this.#ready) {
      const ready = this.#prepare(progress);
      this.#ready = ready;
      ready.catch(() => {
        if (this.#ready === ready) {
          this.#ready = null;
        }
      });
    }
    return this.#ready;
  }

  async #prepare(progress) {
    const policy = this.#given ?? (await this.#world.policy());
    const told = await this.#engine.ask({ do: "policy", text: policy.text }, progress);
    this.policy = { ...told, whose: policy.whose };
    for (const bytes of this.#world.texts) {
      await this.#engine.ask({ do: "text", bytes }, progress);
    }
    this.record = this.#world.record ? await this.#engine.ask({ do: "record", ...this.#world.record }, progress) : null;
    return this.record;
  }

  /** Judges by another policy from now on. */
  async use(policy, progress) {
    const before = this.#given;
    this.#given = policy;
    this.again();
    const ready = this.prepare(progress);
    this.onagain?.();
    try {
      return await ready;
    } catch (error) {
      this.#given = before;
      throw error;
    }
  }

  /** Says that an archive that was brought is the record from now on, as the engine has it. */
  took(record) {
    this.record = record;
    this.brought = true;
    this.#ready = Promise.resolve(record);
  }

  /** Goes back to the record of before at the next question. */
  again() {
    this.#ready = null;
    this.brought = false;
    this.record = null;
  }

  /** How many entries the record has that were not re-checked, only because they are many; 0: none, or too many for a browser. */
  get left() {
    const r = this.record;
    return r && !r.replayed && r.code === 0 && r.size <= mostEntries ? r.size : 0;
  }

  /** Has all of the record re-checked from now on, however many entries it has, unless it is stopped before it was. */
  wider() {
    this.#world.record.limit = mostEntries;
    this.again();
    this.onagain?.();
  }

  /** Asks about something when all is ready. */
  async ask(request, progress) {
    await this.prepare(progress);
    return this.#engine.ask(request, progress);
  }

  /** Makes a failed or stopped engine anew at the next question. */
  stop() {
    if (this.#world.record && !this.record?.replayed) {
      this.#world.record.limit = this.#limit;
    }
    this.again();
    this.#engine.stop(text("js.stopped"));
  }
}

/** Reads what an address of this server gives, what being its name for people and cache as in fetch; fails with an EngineError that says what could not be had. */
export async function get(path, what, cache = "default") {
  let response;
  try {
    response = await fetch(path, { credentials: "omit", redirect: "error", cache });
  } catch {
    throw new EngineError(text("js.offline", { what }));
  }
  if (!response.ok) {
    throw new EngineError(text("js.not-sent", { what }));
  }
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch {
    throw new EngineError(text("js.offline", { what }));
  }
}
