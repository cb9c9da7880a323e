// Tests the module and prints its values in the middle of the domain: `cargo run --release`, or `node run.mjs MODULE`.
import { readFile } from "node:fs/promises";

const module = await WebAssembly.instantiate(await readFile(process.argv[2]));
const { self_test, set, evaluate, get, inputs, outputs, centre } = module.instance.exports;
const fraction = (value) => Math.round(value * 1000);
const bits = (value) => new Uint32Array(Float32Array.of(value).buffer)[0].toString(16).padStart(8, "0");

if (self_test() !== 0) {
  console.log("self-test FAILED: other bits than on the workstation");
  process.exit(1);
}
console.log("self-test passed");
for (let axis = 0; axis < inputs(); axis++) set(axis, centre(axis));
evaluate();
for (let k = 0; k < outputs(); k++) {
  console.log(`value ${k} = ${fraction(get(k))} thousandths, bits ${bits(get(k))}`);
}
