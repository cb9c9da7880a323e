// What rwf.d.ts promises compiles, and what it does not promise does not: `npx tsc -p .`
import { Model, moduleUrl, type Axis, type Quantity } from "../rwf.js";

export async function use(file: ArrayBuffer): Promise<number> {
  const model: Model = await Model.open(file, { module: moduleUrl(false) });
  const [first]: Quantity[] = model.inputQuantities;
  const axes: Axis[] = model.inputQuantities.map((q) => ({ start: q.lo, step: (q.hi - q.lo) / 8, count: 8 }));
  const values: Float32Array = model.grid(axes, { lastFastest: true });
  const passed: boolean | null = model.selfTest();
  const bits: number[] | null = model.integerBits;
  // @ts-expect-error a loaded model does not change
  model.inputs = 3;
  // @ts-expect-error points are numbers
  model.eval(["1"]);
  return values.length + (passed ? 1 : 0) + (bits?.length ?? 0) + (first?.lo ?? 0) + model.eval([0, 0])[0]!;
}
