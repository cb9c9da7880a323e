/**
 * Coordinate networks in the browser or Node: an ES module around rwf.wasm, same bits as on the workstation.
 *
 *     import { Model } from "./rwf.js";
 *     const model = await Model.open(await (await fetch("photo.safetensors")).arrayBuffer());
 *     model.eval([12.5, 40]);                     // Float32Array of one point's values
 *     model.grid([{ start: 0, step: 1, count: 64 }, { start: 0, step: 1, count: 64 }]);
 */

const REASONS = {
  [-1]: "no model is loaded",
  [-2]: "not an rwf-model this version reads (`rwf info FILE` says why)",
  [-3]: "an address outside of the module's memory",
  [-4]: "lengths that do not match the model, or an empty grid",
  [-5]: "the module's memory cannot grow",
  [-6]: "the file has no self-test",
  [-7]: "self-test: the bits differ from those in the file",
};

const compiled = new Map();

/** A WebAssembly module of one function that uses simd128: whether it validates says whether the engine has it. */
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

/** The module's file for this engine, with simd128 where there is any; models in integers have their own. @returns {URL} */
export function moduleUrl(simd = WebAssembly.validate(SIMD), integers = false) {
  return new URL(integers ? "rwf-integers.wasm" : simd ? "rwf-simd.wasm" : "rwf.wasm", import.meta.url);
}

async function compile(source) {
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return WebAssembly.compile(source);
  const key = String(source);
  if (!compiled.has(key)) {
    const load = async () => {
      const answer = await fetch(source);
      if (!answer.ok) throw new Error(`${key}: ${answer.status} ${answer.statusText}`);
      return WebAssembly.compile(await answer.arrayBuffer());
    };
    compiled.set(key, load().catch((error) => (compiled.delete(key), Promise.reject(error))));
  }
  return compiled.get(key);
}

/** `name[unit] lo hi` lists of the file. */
function quantities(list, count) {
  const parts = list ? list.split(";") : [];
  return Array.from({ length: count }, (_, i) => {
    const match = /^(.*?)(?:\[(.*)\])? (\S+) (\S+)$/.exec(parts[i] ?? "");
    if (!match) return { name: `#${i}`, unit: "", lo: -1, hi: 1 };
    return { name: match[1], unit: match[2] ?? "", lo: Number(match[3]), hi: Number(match[4]) };
  });
}

/** The header of a safetensors file; nothing when it is none, which the module says better. */
function header(bytes) {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const length = Number(view.getBigUint64(0, true));
    return JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  } catch {
    return {};
  }
}

/** Version of the format from which on weights are integers. */
const INTEGERS = "2";

/** The points of a grid, `[n, inputs]`, computed as the runtime does, for a module without a decoder. */
function points(axes, lastFastest) {
  const count = axes.reduce((n, axis) => n * axis.count, 1);
  const out = new Float32Array(count * axes.length);
  const order = axes.map((_, k) => (lastFastest ? axes.length - 1 - k : k));
  const [start, step] = ["start", "step"].map((key) => Float32Array.from(axes, (axis) => axis[key]));
  for (let i = 0; i < count; i++) {
    let left = i;
    for (const k of order) {
      out[i * axes.length + k] = start[k] + Math.fround((left % axes[k].count) * step[k]);
      left = Math.floor(left / axes[k].count);
    }
  }
  return out;
}

/** A loaded model; memory is given back when it is garbage. */
export class Model {
  #wasm;
  #x = { at: 0, length: 0 };
  #y = { at: 0, length: 0 };

  /** Use {@link Model.open}. */
  constructor(instance, bytes) {
    this.#wasm = instance.exports;
    const at = this.#wasm.rwf_alloc(bytes.length);
    if (at === 0) throw new Error(REASONS[-5]);
    new Uint8Array(this.#wasm.memory.buffer, at, bytes.length).set(bytes);
    this.#check(this.#wasm.rwf_load(at, bytes.length));
    this.bytes = bytes.length;
    this.inputs = this.#wasm.rwf_inputs();
    this.outputs = this.#wasm.rwf_outputs();
    this.multiplyAdds = this.#wasm.rwf_multiply_adds();
    const { __metadata__, ...tensors } = header(bytes);
    this.metadata = __metadata__ ?? {};
    /** Type of the weights of the last layer, as safetensors names it. */
    this.weightType = Object.entries(tensors).findLast(([name]) => /^layers\.\d+\.(kernel|weight)$/.test(name))?.[1].dtype;
    /** Bits of every layer's weights where they are integers, else `null`. */
    this.integerBits = this.metadata.bits ? this.metadata.bits.split(",").map(Number) : null;
    this.inputQuantities = quantities(this.metadata.inputs, this.inputs);
    this.outputQuantities = quantities(this.metadata.outputs, this.outputs);
    const [sampling, order, ...counts] = (this.metadata.grid ?? "").split(" ");
    this.nativeGrid = counts.length === this.inputs ? { sampling, order, counts: counts.map(Number) } : null;
  }

  /** Loads a model file; `module` is the WebAssembly module, its bytes or its address. */
  static async open(file, { module } = {}) {
    const bytes = file instanceof Uint8Array ? file : new Uint8Array(file);
    if (!module) {
      const { __metadata__, ...tensors } = header(bytes);
      // Outputs that vanish on walls are in the module without vectors alone.
      module = moduleUrl("output.mask" in tensors ? false : undefined, __metadata__?.format_version === INTEGERS);
    }
    return new Model(await WebAssembly.instantiate(await compile(module)), bytes);
  }

  #check(code) {
    if (code < 0) throw new Error(`rwf: ${REASONS[code] ?? code}`);
  }

  /** Grows a buffer; the arena gives nothing back, so it at least doubles. */
  #room(buffer, length) {
    if (length > buffer.length) {
      const size = Math.max(length, 2 * buffer.length);
      const at = this.#wasm.rwf_alloc(4 * size);
      if (at === 0) throw new Error(REASONS[-5]);
      buffer.at = at;
      buffer.length = size;
    }
    return buffer.at;
  }

  /** Whether this engine gives the bits in the file; `null` when the file has no self-test. */
  selfTest() {
    const code = this.#wasm.rwf_self_test();
    if (code === -6) return null;
    if (code === -7) return false;
    this.#check(code);
    return true;
  }

  /** Values at n points, `[n, inputs] -> [n, outputs]`, in physical units. */
  eval(points) {
    const count = points.length / this.inputs;
    if (!Number.isInteger(count)) throw new RangeError(`rwf: ${points.length} numbers are not [n, ${this.inputs}]`);
    const x = this.#room(this.#x, points.length);
    const y = this.#room(this.#y, count * this.outputs);
    new Float32Array(this.#wasm.memory.buffer, x, points.length).set(points);
    this.#check(this.#wasm.rwf_eval(x, count, y));
    return new Float32Array(this.#wasm.memory.buffer, y, count * this.outputs).slice();
  }

  /** Values over a regular grid, `[samples, outputs]`; the first input runs fastest unless `lastFastest`. */
  grid(axes, { lastFastest = false } = {}) {
    if (axes.length !== this.inputs) throw new RangeError(`rwf: ${axes.length} axes for ${this.inputs} inputs`);
    if (!this.#wasm.rwf_grid) return this.eval(points(axes, lastFastest));
    const values = axes.reduce((n, axis) => n * axis.count, this.outputs);
    const x = this.#room(this.#x, 3 * axes.length);
    const y = this.#room(this.#y, values);
    const words = axes.flatMap((axis) => [axis.start, axis.step, axis.count]);
    new Float32Array(this.#wasm.memory.buffer, x, words.length).set(words);
    this.#check(this.#wasm.rwf_grid(x, lastFastest ? 1 : 0, y, values));
    return new Float32Array(this.#wasm.memory.buffer, y, values).slice();
  }
}
