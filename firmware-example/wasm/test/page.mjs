// The page in headless Chromium: `node page.mjs [FOLDER]` leaves screenshots in FOLDER (default: shots/).
// CHROMIUM names the browser, by default Debian's.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { Model } from "../rwf.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const shots = process.argv[2] ?? fileURLToPath(new URL("shots", import.meta.url));
await mkdir(shots, { recursive: true });

const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm" };
const server = createServer(async (request, response) => {
  const path = normalize(new URL(request.url, "http://x").pathname);
  try {
    const body = await readFile(join(root, path));
    response.writeHead(200, { "content-type": types[extname(path)] ?? "application/octet-stream" }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const address = `http://127.0.0.1:${server.address().port}/page/index.html`;

const profile = await mkdtemp(join(tmpdir(), "rwf-page-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  viewport: { width: 1000, height: 640 },
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});
let failed = false;
const problems = [];
const page = await browser.newPage();
try {
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && !/404/.test(message.text()) && problems.push(message.text()));
  const drawn = () => page.waitForFunction(() => Number(document.body.dataset.drawn) > 0, null, { timeout: 20_000 });
  const shot = (name) => page.screenshot({ path: join(shots, `${name}.png`) });
  const pixel = (x, y) =>
    page.evaluate(([x, y]) => [...document.getElementById("canvas").getContext("2d").getImageData(x, y, 1, 1).data], [x, y]);
  const canvas = async () => page.locator("#canvas").boundingBox();
  const files = Object.fromEntries(await Promise.all(
    ["portrait", "torus", "chirp"].map(async (n) => [n, await readFile(join(root, `page/${n}.safetensors`))]),
  ));
  const plain = new WebAssembly.Module(await readFile(join(root, "rwf.wasm")));

  // An image, its facts, and the colour the module gives in the middle of the picture.
  await page.goto(address);
  await drawn();
  await shot("image");
  const text = await page.locator("#facts").innerText();
  for (const word of ["5,990", "2,208 a point", "passed: same bits", "psnr_db"]) assert.ok(text.includes(word), `${word} in\n${text}`);
  const portrait = await Model.open(files.portrait, { module: plain });
  const box = await canvas();
  const scale = Math.max(128 / box.width, 128 / box.height);
  const middle = [Math.floor(box.width / 2), Math.floor(box.height / 2)];
  const at = middle.map((p, k) => 63.5 + (p + 0.5 - [box.width, box.height][k] / 2) * scale);
  const expected = [...portrait.eval(at)].map((v) => Math.round(Math.min(Math.max(v, 0), 255)));
  const found = await pixel(...middle);
  for (let k = 0; k < 3; k++) assert.ok(Math.abs(found[k] - expected[k]) <= 2, `${found} for ${expected}`);

  // Zooming in shows less of the signal, with more detail than it has pixels, and the pointer's place stays.
  await page.mouse.move(box.x + middle[0], box.y + middle[1]);
  const before = await page.locator("#pointer").innerText();
  await page.mouse.wheel(0, -700);
  await page.waitForTimeout(100);
  await drawn();
  await page.mouse.move(box.x + middle[0] + 1, box.y + middle[1]);
  await page.mouse.move(box.x + middle[0], box.y + middle[1]);
  const numbers = (text) => text.match(/-?\d+\.\d+/g).map(Number);
  const after = await page.locator("#pointer").innerText();
  assert.ok(Math.abs(numbers(before)[0] - numbers(after)[0]) < 0.05, `${before}\n${after}`);
  await shot("image-zoomed");

  // The edge of the domain is marked: beyond it colours are paler than the network's own.
  await page.click("#home");
  for (let k = 0; k < 3; k++) await page.mouse.wheel(0, 300);
  await page.waitForTimeout(100);
  await drawn();
  await shot("image-from-afar");
  const [grey] = [await pixel(5, middle[1])];
  assert.ok(grey.slice(0, 3).every((c) => Math.abs(c - 128) <= 33), `${grey} far outside of the domain`);
  await page.mouse.move(box.x + 5, box.y + middle[1]);
  assert.match(await page.locator("#pointer").innerText(), /extrapolated/);

  // A file by the dialog: a curve.
  await page.setInputFiles("#file", join(root, "page/chirp.safetensors"));
  await page.waitForFunction(() => document.body.dataset.view === "curve");
  await drawn();
  await shot("curve");
  // Boxes do not go on telling of the model before.
  assert.equal(await page.locator("#example").inputValue(), "");
  assert.equal(await page.locator("#pointer").innerText(), "");

  // A signed distance: the surface is there, the corner is empty; then dragged around.
  await page.setInputFiles("#file", join(root, "page/torus.safetensors"));
  await page.waitForFunction(() => document.body.dataset.view === "surface");
  await drawn();
  await shot("surface");
  const covered = await page.evaluate(() => {
    const c = document.getElementById("canvas");
    const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
    let n = 0;
    for (let i = 3; i < data.length; i += 4) n += data[i] > 0;
    return n / (c.width * c.height);
  });
  assert.ok(covered > 0.08 && covered < 0.7, `${covered} of the canvas is covered`);
  assert.equal((await pixel(3, 3))[3], 0);
  await page.mouse.down();
  await page.mouse.move(box.x + middle[0] - 200, box.y + middle[1] + 60, { steps: 3 });
  await page.mouse.up();
  await drawn();
  await shot("surface-turned");
  await page.selectOption("#view", "plane");
  await drawn();
  await shot("surface-slice");

  // Dropped: a file of points per second; then one that is no model, which leaves what was there.
  const drop = async (bytes, name) => {
    const transfer = await page.evaluateHandle(([bytes, name]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(bytes)], name));
      return transfer;
    }, [[...bytes], name]);
    await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
  };
  await drop(await readFile(join(root, "../models/siren64-f32.safetensors")), "dropped.safetensors");
  await page.waitForFunction(() => document.getElementById("facts").innerText.includes("dropped.safetensors"));
  await drawn();
  await shot("table");
  const speed = Number(await page.evaluate(() => document.body.dataset.speed));
  assert.ok(speed > 1000, `${speed} points a second`);
  await drop(files.portrait.subarray(0, 3000), "cut.safetensors");
  await page.waitForFunction(() => document.body.dataset.message.includes("cut.safetensors"));
  await shot("bad-file");
  assert.ok((await page.locator("#facts").innerText()).includes("dropped.safetensors"));

  // A model in integers: an image, with the module of its own; the same pixels as Node computes.
  await page.selectOption("#example", "portrait-int8.safetensors");
  await page.waitForFunction(() => document.getElementById("facts").innerText.includes("portrait-int8.safetensors"));
  await drawn();
  await shot("image-integers");
  const facts = await page.locator("#facts").innerText();
  for (const word of ["integers of 32, 8", "passed: same bits"]) assert.ok(facts.includes(word), `${word} in\n${facts}`);
  const small = await readFile(join(root, "page/portrait-int8.safetensors"));
  const integers = await Model.open(small, { module: await readFile(join(root, "rwf-integers.wasm")) });
  const here = [...integers.eval(at)].map((v) => Math.round(Math.min(Math.max(v, 0), 255)));
  const there = await pixel(...middle);
  for (let k = 0; k < 3; k++) assert.ok(Math.abs(there[k] - here[k]) <= 2, `${there} for ${here}`);

  // Every module, in every engine here, has the same bits.
  const points = Float32Array.from({ length: 200 }, (_, i) => (i * 37) % 128);
  const bits = (values) => [...new Uint32Array(values.buffer)].join();
  const reference = bits(portrait.eval(points));
  const simd = await Model.open(files.portrait, { module: await readFile(join(root, "rwf-simd.wasm")) });
  assert.equal(bits(simd.eval(points)), reference, "Node, simd128");
  for (const module of ["rwf.wasm", "rwf-simd.wasm"]) {
    const inBrowser = await page.evaluate(async ([module, points]) => {
      const { Model } = await import("../rwf.js");
      const file = await (await fetch("portrait.safetensors")).arrayBuffer();
      const model = await Model.open(file, { module: new URL(`../${module}`, location.href) });
      return [...new Uint32Array(model.eval(points).buffer)].join();
    }, [module, [...points]]);
    assert.equal(inBrowser, reference, `Chromium, ${module}`);
  }
  assert.deepEqual(problems, []);
  console.log(`page: all well; ${Math.round(speed).toLocaleString("en")} points a second of a 2-64-64-64-1 SIREN; screenshots in ${shots}`);
} catch (error) {
  failed = true;
  console.error(error, problems, await page.evaluate(() => ({ ...document.body.dataset })));
} finally {
  await browser.close();
  server.close();
  await rm(profile, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
