/** Name, unit and fitted range of an input or output. */
export interface Quantity {
  name: string;
  unit: string;
  lo: number;
  hi: number;
}

/** Samples along one input: the i-th lies at start + i·step. */
export interface Axis {
  start: number;
  step: number;
  count: number;
}

/** The WebAssembly module, its bytes or its address. */
export type ModuleSource = WebAssembly.Module | BufferSource | URL | string;

/** The module's file for this engine; models in integers have their own. */
export function moduleUrl(simd?: boolean, integers?: boolean): URL;

export class Model {
  private constructor(instance: WebAssembly.Instance, bytes: Uint8Array);
  /** Loads a model file; rejects what is not one. */
  static open(file: ArrayBuffer | Uint8Array, options?: { module?: ModuleSource }): Promise<Model>;
  readonly bytes: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly multiplyAdds: number;
  /** Bits of every layer's weights where they are integers; `null` for a model in floats. */
  readonly integerBits: number[] | null;
  /** Type of the weights, as safetensors names it: F32, F16, I8, ... */
  readonly weightType: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly inputQuantities: Quantity[];
  readonly outputQuantities: Quantity[];
  /** The grid the model was fitted on; `null` for scattered samples. */
  readonly nativeGrid: { sampling: "cell" | "node"; order: "first" | "last"; counts: number[] } | null;
  /** Whether this engine gives the bits in the file; `null` when the file has no self-test. */
  selfTest(): boolean | null;
  /** `[n, inputs] -> [n, outputs]` in physical units. */
  eval(points: ArrayLike<number>): Float32Array;
  /** `[samples, outputs]` over a regular grid. */
  grid(axes: Axis[], options?: { lastFastest?: boolean }): Float32Array;
}
