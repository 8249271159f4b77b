// Runs worker.js in node as a browser would, with the verifier that ships:
//
//   node ask.mjs WORKER WASM_EXEC PACKED < questions > replies
//
// PACKED is the WebAssembly packed by gzip. Questions and replies are lines of JSON: {id, do, …} with files in base64 under "files", and what
// worker.js posts, in the order of the questions, progress left out. What a question takes in milliseconds is in "ms".
import fs from "node:fs";
import readline from "node:readline";
import vm from "node:vm";

const [worker, exec, packed] = process.argv.slice(2);
globalThis.self = globalThis;
globalThis.require = undefined; // as in a browser
globalThis.importScripts = () => vm.runInThisContext(fs.readFileSync(exec, "utf8"), { filename: exec });

const waiting = new Map();
globalThis.postMessage = (reply) => {
  if (reply.progress) {
    return;
  }
  if (reply.result && reply.result.bytes) {
    reply.result.bytes = Buffer.from(reply.result.bytes).toString("base64");
  }
  waiting.get(reply.id)(reply);
};
vm.runInThisContext(fs.readFileSync(worker, "utf8"), { filename: worker });

async function ask(question) {
  const begin = performance.now();
  const reply = await new Promise((resolve) => {
    waiting.set(question.id, resolve);
    globalThis.onmessage({ data: question });
  });
  waiting.delete(question.id);
  process.stdout.write(JSON.stringify({ ...reply, ms: performance.now() - begin }) + "\n");
}

const bytes = fs.readFileSync(packed);
await ask({ id: 0, do: "load", wasm: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) });
for await (const line of readline.createInterface({ input: process.stdin })) {
  const question = JSON.parse(line);
  for (const [name, base64] of Object.entries(question.files ?? {})) {
    question[name] = new Uint8Array(Buffer.from(base64, "base64"));
  }
  delete question.files;
  await ask(question);
}
process.exit(0);
