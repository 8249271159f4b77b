import { answer, trouble } from "./answer.js";
import { busy, fill, settle } from "./dom.js";
import { EngineError } from "./engine.js";
import { Progress } from "./progress.js";

/**
 * Shows the four answers about a receipt.
 *   place  the element that they go to
 *   read   promises {bytes, statement}: the receipt, and the text that is asked about if there is one
 */
export async function judge(verifier, place, read) {
  const progress = new Progress();
  fill(place, progress.node);
  progress.begin();
  busy(place);
  let shown;
  try {
    const { bytes, statement } = await read();
    shown = answer(await verifier.ask({ do: "check", name: "", type: "", bytes, about: statement }, (p) => progress.tell(p)), verifier);
  } catch (error) {
    if (!(error instanceof EngineError)) {
      throw error;
    }
    shown = trouble(error.message);
  }
  fill(place, shown.node);
  settle(place, shown.state, shown.code);
}
