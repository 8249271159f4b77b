import { answer, contradiction, plain, trouble } from "./answer.js";
import { busy, fill, settle } from "./dom.js";
import { EngineError } from "./engine.js";
import { text } from "./messages.js";
import { Progress } from "./progress.js";

// A receipt of a sealed list is that of the entry which seals it.
const receipts = new Set(["receipt", "roll-receipt"]);

/**
 * Shows the four answers about a receipt.
 *   place  the element that they go to
 *   index  the entry that it must be of, as the address has it; "": any
 *   read   promises {bytes, statement}: the receipt, and the text that is asked about if there is one
 */
export async function judge(verifier, place, index, read) {
  const progress = new Progress();
  fill(place, progress.node);
  progress.begin();
  busy(place);
  let shown;
  try {
    const { bytes, statement } = await read();
    const result = await verifier.ask({ do: "check", name: "", type: "", bytes, about: statement }, (p) => progress.tell(p));
    shown = judged(result, index, verifier);
  } catch (error) {
    if (!(error instanceof EngineError)) {
      throw error;
    }
    shown = trouble(error.message);
  }
  fill(place, shown.node);
  settle(place, shown.state, shown.code);
}

function judged(result, index, verifier) {
  const of = result.verdict?.index ?? result.verdict?.roll?.index; // missing if it could not be told
  if (index !== "" && (!receipts.has(result.kind) || (of !== undefined && String(of) !== index))) {
    return contradiction(text("js.lie.receipt", { index }));
  }
  const kind = /\n\nundersigned\/([a-z]+)\/v1\n/.exec(result.raw ?? "")?.[1];
  if (result.code === 11 && kind && kind !== "endorsement") {
    return plain(text("js.entry.other", { index, record: result.verdict.origin }));
  }
  return answer(result, verifier);
}
