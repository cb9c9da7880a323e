import { Model } from "../rwf.js";
import { Curve, Plane, Surface, label, views } from "./views.js";

const $ = (id) => document.getElementById(id);
const canvas = $("canvas");
const titles = { colour: "Image", plane: "Values", curve: "Curve", surface: "Surface" };
const state = { model: null, view: null, drawing: 0, held: [], name: "" };

/** Everything a test wants to know. */
const status = (key, value) => (document.body.dataset[key] = value);

function say(text, bad = false) {
  $("message").textContent = text;
  $("message").classList.toggle("bad", bad);
  status("message", text);
}

async function open(bytes, name, example = "") {
  try {
    const model = await Model.open(bytes);
    Object.assign(state, { model, name });
  } catch (error) {
    say(`${name}: ${error.message}`, true);
    return;
  }
  const { model } = state;
  // What is shown is what the boxes say: a file of one's own is none of the examples, and no pointer is on it yet.
  $("example").value = [...$("example").options].some((o) => o.value === example) ? example : "";
  $("pointer").textContent = "";
  $("view").replaceChildren(...views(model).flatMap(options));
  $("play").hidden = model.metadata.signal !== "audio";
  say("");
  facts();
  choose($("view").value);
}

/** One entry for a view, or one for each output of a plane. */
function options(view) {
  const { model } = state;
  if (view !== "plane" || model.outputs === 1) return [new Option(titles[view], view)];
  return model.outputQuantities.map((q, k) => new Option(label(q), `plane:${k}`));
}

function choose(word) {
  const [kind, output] = word.split(":");
  const { model } = state;
  if (kind === "curve") state.view = new Curve(model);
  else if (kind === "surface") state.view = new Surface(model);
  else state.view = new Plane(model, kind === "colour");
  if (kind === "plane") state.view.output = Number(output ?? 0);
  const shown = kind === "curve" ? 1 : kind === "surface" ? 3 : 2;
  const rest = model.inputQuantities.slice(shown);
  state.held = rest.map((q) => (q.lo + q.hi) / 2);
  $("sliders").replaceChildren(...rest.map((q, k) => {
    const box = document.createElement("label");
    const range = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 1000, value: 500 });
    range.addEventListener("input", () => {
      state.held[k] = q.lo + ((q.hi - q.lo) * range.value) / 1000;
      draw();
    });
    box.append(label(q), range);
    return box;
  }));
  status("view", word);
  draw();
}

/** How weights are stored, as the file says. */
function weights({ integerBits, weightType }) {
  if (integerBits) return `integers of ${integerBits.join(", ")} bits by layer`;
  return weightType?.toLowerCase() ?? "";
}

function facts(speed) {
  const { model, name } = state;
  const passed = model.selfTest();
  const grid = model.nativeGrid?.counts.join(" x ");
  const error = (model.metadata.error ?? "").replaceAll(";", "\n").replaceAll("=", " ");
  const rows = {
    file: name,
    bytes: `${model.bytes.toLocaleString("en")}`,
    weights: weights(model),
    signal: [model.metadata.signal, grid].filter(Boolean).join(", "),
    inputs: model.inputQuantities.map(label).join(", "),
    outputs: model.outputQuantities.map(label).join(", "),
    "multiply-adds": `${model.multiplyAdds.toLocaleString("en")} a point`,
    error,
    "self-test": passed === null ? "none in the file" : passed ? "passed: same bits" : "FAILED: other bits",
    "points a second": speed ? Math.round(speed).toLocaleString("en") : "...",
  };
  $("facts").replaceChildren(...Object.entries(rows).flatMap(([key, value]) => {
    const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
    dt.textContent = key;
    dd.textContent = value;
    dd.style.whiteSpace = "pre-line";
    return [dt, dd];
  }));
}

async function draw() {
  if (!state.view) return;
  const turn = ++state.drawing;
  status("drawn", "");
  const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((n) => Math.round(n * devicePixelRatio));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  let [points, seconds] = [0, 0];
  for await (const done of state.view.draw(canvas, state.held, () => turn !== state.drawing)) {
    points += done.points;
    seconds += done.seconds;
    // Lets the browser show what is there and take the next gesture.
    await new Promise((resolve) => setTimeout(resolve));
    if (turn !== state.drawing) return;
  }
  if (turn !== state.drawing) return;
  facts(points / seconds);
  status("drawn", String(points));
  status("speed", String(points / seconds));
}

const pixel = (event) => [event.offsetX * devicePixelRatio, event.offsetY * devicePixelRatio, canvas.width, canvas.height];

canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  state.view?.zoom(Math.exp(event.deltaY / 400), ...pixel(event));
  draw();
}, { passive: false });
let last = null;
canvas.addEventListener("pointerdown", (event) => {
  last = event;
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointerup", () => (last = null));
canvas.addEventListener("pointerleave", () => ($("pointer").textContent = ""));
canvas.addEventListener("pointermove", (event) => {
  if (!state.view) return;
  if (last) {
    const [dx, dy] = [event.clientX - last.clientX, event.clientY - last.clientY].map((d) => d * devicePixelRatio);
    state.view.pan(dx, dy, canvas.width, canvas.height);
    last = event;
    draw();
  }
  const at = state.view.at(...pixel(event));
  if (!at) return;
  const x = [...at, ...state.held];
  const y = state.model.eval(x);
  const line = (q, v) => `${label(q)} ${v.toPrecision(6)}`;
  const outside = state.model.inputQuantities.some((q, k) => x[k] < q.lo || x[k] > q.hi);
  $("pointer").textContent = [
    ...state.model.inputQuantities.map((q, k) => line(q, x[k])),
    ...state.model.outputQuantities.map((q, k) => line(q, y[k])),
    ...(outside ? ["outside the fitted domain: extrapolated"] : []),
  ].join("\n");
});
canvas.addEventListener("keydown", (event) => {
  const factor = { "+": 0.8, "=": 0.8, "-": 1.25 }[event.key];
  const move = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
  const { width, height } = canvas;
  if (factor) state.view?.zoom(factor, width / 2, height / 2, width, height);
  if (move) state.view?.pan(...move, width, height);
  if (factor || move) draw();
});
new ResizeObserver(() => draw()).observe(canvas);

$("home").addEventListener("click", () => {
  state.view?.home();
  draw();
});
$("view").addEventListener("change", () => choose($("view").value));
$("play").addEventListener("click", () => {
  const [q] = state.model.inputQuantities;
  const count = state.model.nativeGrid?.counts[0] ?? 8000 * (q.hi - q.lo);
  const context = new AudioContext();
  const buffer = context.createBuffer(state.model.outputs, count, Math.min(Math.max(count / (q.hi - q.lo), 8000), 96000));
  const values = state.model.grid([{ start: q.lo, step: (q.hi - q.lo) / count, count }]);
  const peak = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-9);
  for (let k = 0; k < state.model.outputs; k++) {
    buffer.getChannelData(k).forEach((_, i, to) => (to[i] = values[state.model.outputs * i + k] / peak));
  }
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  source.start();
});

const take = async (file) => file && open(await file.arrayBuffer(), file.name);
$("file").addEventListener("change", () => take($("file").files[0]));
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("drop");
});
addEventListener("dragleave", () => document.body.classList.remove("drop"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("drop");
  take(event.dataTransfer.files[0]);
});

async function example(name) {
  const answer = await fetch(name).catch(() => null);
  if (!answer?.ok) return say(`${name}: not there`, true);
  await open(await answer.arrayBuffer(), name.split("/").pop(), name);
}
$("example").addEventListener("change", () => example($("example").value));
example(new URLSearchParams(location.search).get("model") ?? $("example").value);
