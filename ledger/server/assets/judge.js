import { alarm, alone, answer, mark, plain, trouble } from "./answer.js";
import { busy, fill, make, settle } from "./dom.js";
import { EngineError } from "./engine.js";
import { text } from "./messages.js";
import { Progress } from "./progress.js";

// A receipt of a sealed list is that of the entry which seals it.
const receipts = new Set(["receipt", "roll-receipt"]);

// Exit codes of a receipt that is none, or false; of one that too few witnesses signed; of one that is not of an endorsement.
const falsehoods = new Set([1, 13, 20]);
const unwitnessed = 21;
const noEndorsement = 11;

/**
 * Shows the four answers about a receipt. If a server's receipt is not what it should be, they are about one that is made here, of the record, if
 * that was re-checked: what a server sends says nothing about who signed.
 *   place  the element that they go to
 *   index  the entry that it must be of, as the address has it; "": any, and it is from no server
 *   read   promises {bytes, statement}: the receipt, and the text that is asked about if there is one; or {lost, statement}, the sentence that says why
 *          there is no receipt
 */
export async function judge(verifier, place, index, read) {
  const progress = new Progress();
  fill(place, progress.node);
  progress.begin();
  busy(place);
  let shown;
  try {
    shown = await judged(verifier, index, await read(), (p) => progress.tell(p));
  } catch (error) {
    if (!(error instanceof EngineError)) {
      throw error;
    }
    shown = trouble(error.message);
  }
  fill(place, shown.node);
  if (shown.alarm) {
    alarm(place, "no", shown.alarm);
  }
  settle(place, shown.state, shown.code);
}

async function judged(verifier, index, { bytes, lost, statement }, tell) {
  const check = (receipt) => verifier.ask({ do: "check", name: "", type: "", bytes: receipt, about: statement }, tell);
  const sent = bytes ? await check(bytes) : null;
  const wrong = sent ? fault(sent, bytes, index, verifier.record) : lost;
  const short = sent?.code === unwitnessed;
  const plainly = () => {
    const shown = about(sent, index, verifier);
    return index !== "" && sent.code === 20 ? { ...shown, alarm: text("js.alarm") } : shown;
  };
  if (sent && (index === "" || (!wrong && sent.verdict?.replayed && sent.code !== noEndorsement && !short))) {
    return plainly();
  }
  const made = await own(verifier, index, check, tell);
  if (sent && !wrong) { // it was not held against the record: it is of no endorsement, or of a later copy, or one that too few witnesses signed
    if (made && made.raw !== sent.raw) {
      return { ...alone(text("js.receipt.fork", { index }), "no", 20), alarm: text("js.alarm.fork") }; // what one of the two says is no answer
    }
    return made && short ? beside("look-closer", made.code, [text("js.receipt.unwitnessed"), text("js.receipt.made")], about(made, index, verifier)) : plainly();
  }
  if (sent) {
    const said = [text("js.receipt.false"), wrong];
    const shown = made ? beside("no", 20, [...said, text("js.receipt.made")], about(made, index, verifier)) : alone(said.join(" "), "no", 20);
    return { ...shown, alarm: text("js.alarm.receipt") };
  }
  return made ? beside("could-not-check", made.code, [lost, text("js.receipt.made")], about(made, index, verifier)) : trouble(lost);
}

/**
 * What is wrong with the receipt that a server sent of an entry; "" if nothing is. That the ledger has signed two records is proven by a receipt, and is
 * told by the last of its answers; so is that the copy of the record is altered, beside which a receipt may be false, too.
 *   sent    what is answered about it
 *   bytes   the receipt: what is answered has the entry's index only if that is an endorsement
 *   index   the entry that it must be of, as the address has it
 *   record  what the engine says of the record; null: there is none
 */
export function fault(sent, bytes, index, record) {
  if (!receipts.has(sent.kind) || sent.code === 1) {
    return sentence(sent);
  }
  const of = /^index (\d+)$/m.exec(new TextDecoder().decode(bytes))?.[1];
  if (of !== index) {
    return text("js.receipt.other", { of, index });
  }
  const origin = sent.verdict?.origin; // missing if it could not be told
  if (origin && record?.origin && origin !== record.origin) {
    return text("js.receipt.elsewhere", { of: origin, record: record.origin });
  }
  const [signed, , , stands] = sent.answers ?? [];
  const forked = sent.code === 20 && stands?.state === "no" && (signed.state !== "no" || record?.code === 0);
  return falsehoods.has(sent.code) && !forked ? sentence(sent) : "";
}

function sentence(sent) {
  return sent.sentence.replace(/^No\. /, "");
}

// What is answered about a receipt that is made here; null if the record was not re-checked, or does not hold.
async function own(verifier, index, check, tell) {
  const record = await verifier.prepare(tell);
  if (!record?.replayed || record.code !== 0 || Number(index) >= record.size) {
    return null;
  }
  const { bytes } = await verifier.ask({ do: "receipt", index: Number(index) }, tell);
  return check(bytes);
}

// An answer below what is to be said of the server's receipt.
function beside(state, code, said, shown) {
  const word = state === "no" ? "js.state.contradicted" : undefined;
  const note = make("p", { class: `browser-check is-${state}`, role: "note" }, mark(state, word), " ", said.join(" "));
  return { ...shown, node: make("div", {}, note, shown.node), state: state === "could-not-check" ? shown.state : state, code };
}

function about(result, index, verifier) {
  const kind = /\n\nundersigned\/([a-z]+)\/v1\n/.exec(result.raw ?? "")?.[1];
  if (result.code === noEndorsement && kind && kind !== "endorsement") {
    return plain(text("js.entry.other", { index, record: result.verdict.origin }));
  }
  return answer(result, verifier);
}
