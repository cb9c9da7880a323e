/** What can be seen of a model: each view draws into a canvas and says how many points it evaluated. */

/** Perceptually even colours (five stops of viridis), t in [0, 1]. */
function viridis(t) {
  const stops = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
  const at = Math.min(Math.max(t, 0), 1) * (stops.length - 1);
  const i = Math.min(Math.floor(at), stops.length - 2);
  return stops[i].map((c, k) => c + (stops[i + 1][k] - c) * (at - i));
}

const short = (x) => (x === 0 ? "0" : Math.abs(x) >= 1e5 || Math.abs(x) < 1e-3 ? x.toExponential(2) : String(+x.toPrecision(5)));
export const label = (q) => (q.unit ? `${q.name} [${q.unit}]` : q.name);

/** Whether a model is a signed distance: three inputs, one output of a telling name. */
export const isDistance = (model) =>
  model.inputs === 3 && model.outputs === 1 &&
  (model.metadata.signal === "shape" || /dist|sdf/i.test(model.outputQuantities[0].name));

/** Views that fit a model, the best first. */
export function views(model) {
  if (model.inputs === 1) return ["curve"];
  const plane = model.outputs === 3 ? ["colour", "plane"] : ["plane"];
  return isDistance(model) ? ["surface", "plane", "curve"] : [...plane, "curve"];
}

/** How much of a colour is left beyond the fitted domain, where values are extrapolated. */
const BEYOND = 0.25;

/** A plane through the domain: inputs 0 and 1 over the canvas, the others held. */
export class Plane {
  constructor(model, rgb) {
    Object.assign(this, { model, rgb });
    this.output = 0;
    this.home();
  }

  home() {
    const [x, y] = this.model.inputQuantities;
    this.box = { x: (x.lo + x.hi) / 2, y: (y.lo + y.hi) / 2, w: x.hi - x.lo, h: y.hi - y.lo };
    // Pixels are square; a table's axes are not comparable and fill the canvas.
    this.square = x.unit === y.unit;
  }

  /** Physical units a pixel, both ways. */
  scale(width, height) {
    const { w, h } = this.box;
    if (!this.square) return [w / width, h / height];
    const s = Math.max(w / width, h / height);
    return [s, s];
  }

  /** Rows downward for images, upward for everything else. */
  get down() {
    return this.model.metadata.signal === "image" ? 1 : -1;
  }

  at(px, py, width, height) {
    const [sx, sy] = this.scale(width, height);
    return [this.box.x + (px - width / 2) * sx, this.box.y + this.down * (py - height / 2) * sy];
  }

  zoom(factor, px, py, width, height) {
    const [x, y] = this.at(px, py, width, height);
    this.box.w *= factor;
    this.box.h *= factor;
    const [nx, ny] = this.at(px, py, width, height);
    this.box.x += x - nx;
    this.box.y += y - ny;
  }

  pan(dx, dy, width, height) {
    const [sx, sy] = this.scale(width, height);
    this.box.x -= dx * sx;
    this.box.y -= this.down * dy * sy;
  }

  /** Draws coarse to fine, giving up when `stopped()`; yields after every strip. */
  async *draw(canvas, held, stopped) {
    const { width, height } = canvas;
    const context = canvas.getContext("2d");
    const ranges = this.model.outputQuantities;
    const [qx, qy] = this.model.inputQuantities;
    for (const block of [8, 2, 1]) {
      const [w, h] = [Math.ceil(width / block), Math.ceil(height / block)];
      const strip = Math.max(1, Math.floor(40_000 / w));
      const [sx, sy] = this.scale(width, height);
      const [x0, y0] = this.at(block / 2, block / 2, width, height);
      for (let row = 0; row < h; row += strip) {
        const rows = Math.min(strip, h - row);
        const axes = [
          { start: x0, step: sx * block, count: w },
          { start: y0 + this.down * row * sy * block, step: this.down * sy * block, count: rows },
          ...held.map((v) => ({ start: v, step: 0, count: 1 })),
        ];
        const started = performance.now();
        const values = this.model.grid(axes);
        const seconds = (performance.now() - started) / 1000;
        const image = new ImageData(w, rows);
        const n = this.model.outputs;
        for (let i = 0; i < w * rows; i++) {
          const unit = (k) => (values[n * i + k] - ranges[k].lo) / (ranges[k].hi - ranges[k].lo);
          const colour = this.rgb ? [0, 1, 2].map((k) => 255 * unit(k)) : viridis(unit(this.output));
          const [x, y] = [x0 + (i % w) * sx * block, axes[1].start + Math.floor(i / w) * axes[1].step];
          const inside = x >= qx.lo && x <= qx.hi && y >= qy.lo && y <= qy.hi;
          image.data.set(inside ? [...colour, 255] : [...colour.map((c) => 128 + BEYOND * (Math.min(Math.max(c, 0), 255) - 128)), 255], 4 * i);
        }
        const bitmap = await createImageBitmap(image);
        context.imageSmoothingEnabled = false;
        context.drawImage(bitmap, 0, row * block, w * block, rows * block);
        bitmap.close();
        yield { points: w * rows, seconds };
        if (stopped()) return;
      }
      this.edge(context, width, height);
    }
  }

  /** The edge of the fitted domain. */
  edge(context, width, height) {
    const [qx, qy] = this.model.inputQuantities;
    const [sx, sy] = this.scale(width, height);
    const [left, top] = this.at(0, 0, width, height);
    const x = (v) => (v - left) / sx, y = (v) => (this.down * (v - top)) / sy;
    const [x0, x1, y0, y1] = [x(qx.lo), x(qx.hi), Math.min(y(qy.lo), y(qy.hi)), Math.max(y(qy.lo), y(qy.hi))];
    for (const [colour, dash] of [["#000", []], ["#fff", [6 * devicePixelRatio]]]) {
      context.strokeStyle = colour;
      context.lineWidth = devicePixelRatio;
      context.setLineDash(dash);
      context.strokeRect(x0, y0, x1 - x0, y1 - y0);
    }
    context.setLineDash([]);
  }
}

/** Outputs along one input, the others held. */
export class Curve {
  constructor(model) {
    this.model = model;
    this.home();
  }

  home() {
    const [x] = this.model.inputQuantities;
    const lo = Math.min(...this.model.outputQuantities.map((q) => q.lo));
    const hi = Math.max(...this.model.outputQuantities.map((q) => q.hi));
    const margin = 0.06 * (hi - lo || 1);
    this.box = { x: (x.lo + x.hi) / 2, w: x.hi - x.lo, lo: lo - margin, hi: hi + margin };
  }

  at(px, _, width) {
    return [this.box.x + (px / width - 0.5) * this.box.w];
  }

  zoom(factor, px, _, width) {
    const [x] = this.at(px, 0, width);
    this.box.w *= factor;
    this.box.x += x - this.at(px, 0, width)[0];
  }

  pan(dx, _, width) {
    this.box.x -= (dx / width) * this.box.w;
  }

  async *draw(canvas, held) {
    const { width, height } = canvas;
    const context = canvas.getContext("2d");
    const { x, w, lo, hi } = this.box;
    const y = (v) => height * (1 - (v - lo) / (hi - lo));
    const started = performance.now();
    const axes = [{ start: x - w / 2, step: w / width, count: width }, ...held.map((v) => ({ start: v, step: 0, count: 1 }))];
    const values = this.model.grid(axes);
    const seconds = (performance.now() - started) / 1000;
    context.clearRect(0, 0, width, height);
    const ink = getComputedStyle(canvas).color;
    context.font = `${12 * devicePixelRatio}px system-ui`;
    for (let k = 1; k < 8; k++) {
      context.globalAlpha = 0.25;
      context.strokeStyle = ink;
      context.beginPath();
      context.moveTo(0, (height * k) / 8);
      context.lineTo(width, (height * k) / 8);
      context.moveTo((width * k) / 8, 0);
      context.lineTo((width * k) / 8, height);
      context.stroke();
      context.globalAlpha = 0.8;
      context.fillStyle = ink;
      context.fillText(short(hi - ((hi - lo) * k) / 8), 4, (height * k) / 8 - 4);
      context.fillText(short(x - w / 2 + (w * k) / 8), (width * k) / 8 + 4, height - 6);
    }
    // Beyond the fitted domain the curve is extrapolated.
    const [q] = this.model.inputQuantities;
    const edge = (v) => Math.min(Math.max(((v - x) / w + 0.5) * width, 0), width);
    context.globalAlpha = 0.15;
    context.fillRect(0, 0, edge(q.lo), height);
    context.fillRect(edge(q.hi), 0, width - edge(q.hi), height);
    context.globalAlpha = 1;
    const n = this.model.outputs;
    for (let k = 0; k < n; k++) {
      context.strokeStyle = `hsl(${(210 + 137 * k) % 360} 75% 50%)`;
      context.lineWidth = 1.5 * devicePixelRatio;
      context.beginPath();
      for (let i = 0; i < width; i++) context.lineTo(i, y(values[n * i + k]));
      context.stroke();
    }
    yield { points: width, seconds };
  }
}

/** A signed distance seen from outside, by sphere tracing; normals from central differences. */
export class Surface {
  constructor(model) {
    this.model = model;
    const q = model.inputQuantities;
    this.centre = q.map((a) => (a.lo + a.hi) / 2);
    this.size = Math.max(...q.map((a) => a.hi - a.lo));
    this.home();
  }

  home() {
    Object.assign(this, { yaw: 0.7, pitch: 0.5, distance: 1.6 });
  }

  at() {
    return null;
  }

  zoom(factor) {
    this.distance = Math.min(Math.max(this.distance * factor, 0.6), 6);
  }

  pan(dx, dy, width) {
    this.yaw -= (4 * dx) / width;
    this.pitch = Math.min(Math.max(this.pitch + (4 * dy) / width, -1.5), 1.5);
  }

  async *draw(canvas, _, stopped) {
    const { width, height } = canvas;
    const context = canvas.getContext("2d");
    for (const block of [8, 4, 2]) {
      const [w, h] = [Math.ceil(width / block), Math.ceil(height / block)];
      const started = performance.now();
      const traced = this.trace(w, h);
      const bitmap = await createImageBitmap(traced.image);
      if (block === 8) context.clearRect(0, 0, width, height);
      context.imageSmoothingEnabled = true;
      context.clearRect(0, 0, width, height);
      context.drawImage(bitmap, 0, 0, w * block, h * block);
      bitmap.close();
      yield { points: traced.points, seconds: (performance.now() - started) / 1000 };
      if (stopped()) return;
    }
  }

  /** Marches all rays together, so that the network sees batches. */
  trace(w, h) {
    const { centre, size, yaw, pitch, distance } = this;
    const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    const forward = [-cp * cy, -cp * sy, -sp];
    const right = [-sy, cy, 0];
    const up = [-sp * cy, -sp * sy, cp];
    const eye = centre.map((c, k) => c - forward[k] * distance * size);
    const focal = 1.4;
    let points = 0;
    const rays = [];
    const half = this.model.inputQuantities.map((q) => (q.hi - q.lo) / 2);
    for (let j = 0; j < h; j++) {
      for (let i = 0; i < w; i++) {
        const u = (i - w / 2) / Math.min(w, h), v = (h / 2 - j) / Math.min(w, h);
        const d = forward.map((f, k) => focal * f + u * right[k] + v * up[k]);
        const length = Math.hypot(...d);
        // Where the ray is inside the fitted domain: outside of it the network says nothing.
        let [from, to] = [0, Infinity];
        for (let k = 0; k < 3; k++) {
          d[k] /= length;
          const a = (centre[k] - half[k] - eye[k]) / d[k], b = (centre[k] + half[k] - eye[k]) / d[k];
          from = Math.max(from, Math.min(a, b));
          to = Math.min(to, Math.max(a, b));
        }
        if (from < to) rays.push({ pixel: j * w + i, d, t: from, to });
      }
    }
    const hits = [];
    let active = rays;
    for (let step = 0; step < 64 && active.length > 0; step++) {
      const x = new Float32Array(3 * active.length);
      active.forEach((ray, i) => x.set(ray.d.map((d, k) => eye[k] + ray.t * d), 3 * i));
      const distances = this.model.eval(x);
      points += active.length;
      active = active.filter((ray, i) => {
        if (distances[i] < 1e-3 * size) {
          hits.push(ray);
          return false;
        }
        ray.t += 0.9 * distances[i];
        return ray.t < ray.to;
      });
    }
    const image = new ImageData(w, h);
    if (hits.length > 0) {
      const e = 2e-3 * size;
      const x = new Float32Array(18 * hits.length);
      hits.forEach((ray, i) => {
        for (let k = 0; k < 3; k++) {
          for (const [side, sign] of [[0, 1], [1, -1]]) {
            const p = ray.d.map((d, m) => eye[m] + ray.t * d + (m === k ? sign * e : 0));
            x.set(p, 18 * i + 6 * k + 3 * side);
          }
        }
      });
      const values = this.model.eval(x);
      points += 6 * hits.length;
      hits.forEach((ray, i) => {
        const n = [0, 1, 2].map((k) => values[6 * i + 2 * k] - values[6 * i + 2 * k + 1]);
        const length = Math.hypot(...n) || 1;
        const light = [0.4, 0.25, 0.88].reduce((s, l, k) => s + (l * n[k]) / length, 0);
        const rim = 1 + ray.d.reduce((s, d, k) => s + (d * n[k]) / length, 0);
        const shade = 0.25 + 0.65 * Math.max(light, 0) + 0.2 * rim * rim;
        image.data.set([235 * shade, 200 * shade, 150 * shade, 255], 4 * ray.pixel);
      });
    }
    return { image, points };
  }
}
