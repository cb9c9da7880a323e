/**
 * Points a second of the modules side by side, in one run of Node after warm-up:
 *
 *     node firmware-example/wasm/test/speed.mjs [MODEL.safetensors [MODULE.wasm...]]
 */
import { readFileSync } from "node:fs";

const beside = (name) => new URL(`../${name}`, import.meta.url);
const [file = beside("../models/siren64-f32.safetensors"), ...others] = process.argv.slice(2);
const modules = others.length ? others : [beside("rwf.wasm"), beside("rwf-simd.wasm")];
const SIDE = 256;
const ROUNDS = 15;

async function runs(module) {
  const { instance } = await WebAssembly.instantiate(readFileSync(module));
  const w = instance.exports;
  const must = (code) => {
    if (code !== 0) throw new Error(`${module}: ${code}`);
  };
  const put = (values) => {
    const at = w.rwf_alloc(4 * values.length);
    new Float32Array(w.memory.buffer, at, values.length).set(values);
    return at;
  };
  const bytes = readFileSync(file);
  const at = w.rwf_alloc(bytes.length);
  new Uint8Array(w.memory.buffer, at, bytes.length).set(bytes);
  must(w.rwf_load(at, bytes.length));
  const inputs = w.rwf_inputs();
  const axes = Array.from({ length: inputs }, (_, i) => [-1, 2 / SIDE, i < 2 ? SIDE : 1]);
  const count = axes.reduce((n, axis) => n * axis[2], 1);
  const values = count * w.rwf_outputs();
  const grid = put(axes.flat());
  const points = put(Float32Array.from({ length: count * inputs }, (_, i) => Math.sin(i)));
  const y = w.rwf_alloc(4 * values);
  return {
    grid: [count, () => must(w.rwf_grid(grid, 0, y, values))],
    points: [count, () => must(w.rwf_eval(points, count, y))],
    "one by one": [count / 8, () => { for (let i = 0; i < count / 8; i++) must(w.rwf_eval(points, 1, y)); }],
  };
}

const all = await Promise.all(modules.map(async (module) => ({ module, runs: await runs(module), best: {} })));
for (let round = 0; round < ROUNDS; round++) {
  for (const { runs, best } of all) {
    for (const [what, [count, run]] of Object.entries(runs)) {
      const start = performance.now();
      run();
      best[what] = Math.max(best[what] ?? 0, (count / (performance.now() - start)) * 1000);
    }
  }
}
for (const { module, best } of all) {
  const rates = Object.entries(best).map(([what, rate]) => `${what} ${Math.round(rate).toLocaleString("en")}`);
  console.log(`${String(module).split("/").at(-1)}: points a second: ${rates.join(", ")}`);
}
