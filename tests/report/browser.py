"""A report as headless Chromium shows it: loaded at each width in each colour scheme, every button and chart used."""
import contextlib
import html
import json
import os
import re
import shutil
import signal
import subprocess
import threading

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# Runs before the page does: keeps what went wrong, what the page tried to load, and the files it offered.
PRELUDE = """<script>
var witness = { errors: [], blocked: [], files: [] };
addEventListener("error", (event) => witness.errors.push(event.message));
addEventListener("securitypolicyviolation", (event) => witness.blocked.push(event.blockedURI));
URL.createObjectURL = (blob) => { witness.files.push(blob); return "#file"; };
</script>"""

# Chromium's window is never narrower than 500 pixels, so the report sits in a frame of the width under test.
PROBE = """<!DOCTYPE html><meta charset="utf-8"><pre></pre><script>
const visible = (node) => node && !node.hidden && node.getClientRects().length > 0;
function luminance(color) {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  canvas.fillStyle = "#808080";  // stays for what is no colour, such as none
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(a, b) {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
}
const MARKS = { lines: "polyline.mean", map: "rect.cell", bars: "rect.bar-mark", dots: ".single", scatter: ".point" };
function marksOf(chart) {
  const frame = chart.getBoundingClientRect(), out = {};
  const add = (label, n) => { out[label] = (out[label] || 0) + n; };
  for (const mark of chart.querySelectorAll(MARKS[chart.dataset.kind] + ", .dot")) {
    const box = mark.getBoundingClientRect();
    const inside = box.right > frame.left && box.left < frame.right && box.bottom > frame.top && box.top < frame.bottom;
    if (inside && box.width + box.height > 0) add(mark.dataset.label || "", Number(mark.dataset.count || 1));
  }
  return out;
}
/** Where things are drawn: points of the lines, widths of the bars, by figure and label; bands and single runs. */
function geometry(page) {
  const of = (node) => node.closest("figure").dataset.figure;
  const out = { points: {}, widths: {}, bands: {}, runs: {} };
  for (const line of page.querySelectorAll("polyline.mean"))
    (out.points[of(line)] ||= {})[line.dataset.label] = [...line.points].map((p) => [p.x, p.y]);
  for (const bar of page.querySelectorAll("rect.bar-mark"))
    (out.widths[of(bar)] ||= {})[bar.dataset.label] = bar.width.baseVal.value;
  for (const band of page.querySelectorAll(".band")) out.bands[of(band)] = (out.bands[of(band)] || 0) + 1;
  const single = page.querySelector("[data-switch=spread][data-value=runs]");
  if (single) single.click();
  for (const run of page.querySelectorAll("polyline.run")) out.runs[of(run)] = (out.runs[of(run)] || 0) + 1;
  if (single) single.click();
  return out;
}
function use(page) {  // whatever a reader can do; @returns charts that told nothing
  const tip = page.getElementById("tip"), mute = [];
  const charts = () => [...page.querySelectorAll("figure:not([hidden]) svg.chart")].filter(visible);
  for (const chart of charts()) {
    const name = chart.closest("figure").dataset.figure;
    chart.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
    if (tip.hidden || tip.textContent.length < 4) mute.push(name + " by keys");
    chart.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
    if (!tip.hidden) mute.push(name + " stays open");
    const mark = chart.querySelector(MARKS[chart.dataset.kind] + ", .dot"), box = mark && mark.getBoundingClientRect();
    const at = box && { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2, bubbles: true };
    if (at) chart.dispatchEvent(new PointerEvent("pointermove", at));
    if (at && tip.hidden) mute.push(name + " by pointer");
    chart.dispatchEvent(new PointerEvent("pointerleave"));
  }
  for (const turn of page.querySelectorAll("figure:not([hidden]) .turn")) {
    turn.click();
    const node = turn.closest("figure");
    if (!node.querySelector("tbody td")) mute.push(node.dataset.figure + " as table");
    turn.click();
  }
  const act = (button) => `${button.dataset.switch}=${button.dataset.value} ${button.dataset.group}`;
  const buttons = new Map([...page.querySelectorAll("[data-switch], [data-group]")].map((one) => [act(one), one]));
  const some = [...buttons.values()].filter((one) => !(one.dataset.group > 2));  // all rules' chips are alike
  for (let round = 0; round < 2; ++round) some.forEach((button) => button.click());
  for (const head of page.querySelectorAll("thead button")) head.click();
  return mute;
}
async function look([width, dark]) {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width:${width}px;height:900px;border:0;color-scheme:${dark ? "dark" : "light"}`;
  frame.src = "watched.html";
  const loaded = new Promise((resolve) => { frame.onload = resolve; });
  document.body.append(frame);
  await loaded;
  const page = frame.contentDocument, root = page.documentElement, witness = frame.contentWindow.witness;
  if (dark !== (root.dataset.theme === "dark")) page.getElementById("theme").click();
  for (const fold of page.querySelectorAll("details")) fold.open = true;
  await new Promise((resolve) => setTimeout(resolve, 50));
  const paper = frame.contentWindow.getComputedStyle(page.body).backgroundColor;
  const colors = (selector, key) => [...page.querySelectorAll(selector)].filter(visible)
    .map((node) => frame.contentWindow.getComputedStyle(node)[key]);
  const faintest = (list) => Math.min(99, ...[...new Set(list)].map((color) => contrast(color, paper)));
  const figures = [...page.querySelectorAll("figure:not([hidden])")];
  const nan = (node) => [...node.attributes].some((a) => /NaN|Infinity|undefined/.test(a.value));
  const found = {
    theme: root.dataset.theme, title: page.title, rendered: Number(root.dataset.rendered),
    charts: Object.fromEntries(figures.map((node) => {
      const chart = node.querySelector("svg.chart");
      return [node.dataset.figure, chart && chart.getBoundingClientRect().height > 30 ? marksOf(chart) : null];
    })),
    unnamed: figures.filter((node) => !node.querySelector("svg.chart")?.getAttribute("aria-label")).length,
    notes: Object.fromEntries(figures.map((node) => [node.dataset.figure, node.querySelector(".note").textContent])),
    nan: [...page.querySelectorAll("svg *")].filter(nan).length,
    faintest_text: faintest([...colors("p, h2, td, th, figcaption, summary, li", "color"),
      ...colors("svg.chart text.unit, svg.chart text.value", "fill")]),
    faintest_line: faintest(colors("polyline.mean", "stroke")),
    words: page.querySelector("main").innerText, overflow: root.scrollWidth - root.clientWidth,
    scripts: page.querySelectorAll("script").length, images: page.querySelectorAll("img").length,
    loaded: frame.contentWindow.performance.getEntriesByType("resource").map((entry) => entry.name),
  };
  if (DETAILS) found.geometry = geometry(page);
  found.mute = use(page);
  found.overflow_after = root.scrollWidth - root.clientWidth;
  if (DETAILS) for (const button of page.querySelectorAll("[data-download]")) button.click();
  found.files = await Promise.all(witness.files.map((blob) => blob.text()));
  found.errors = witness.errors.concat(Number(root.dataset.errors) ? [root.dataset.errors + " counted"] : []);
  found.blocked = witness.blocked;
  frame.remove();
  return found;
}
onload = async () => {
  const found = [];
  for (const view of VIEWS) found.push(await look(view));
  document.querySelector("pre").textContent = JSON.stringify(found);
};
</script>"""

VIEWS = [(width, dark) for width in (1280, 390) for dark in (False, True)]


def look(folder, views=VIEWS, details=False):
    """What the report in `folder` shows in each (width, dark) of `views`; with `details` also the files it offers and
    where its marks are."""
    page = (folder / "report.html").read_text(encoding="utf-8")
    (folder / "watched.html").write_text(page.replace("<head>", "<head>" + PRELUDE, 1), encoding="utf-8")
    probe = folder / "probe.html"
    script = PROBE.replace("VIEWS)", json.dumps(views) + ")").replace("DETAILS", json.dumps(details))
    probe.write_text(script, encoding="utf-8")
    page = dump(probe.as_uri())
    found = re.search("<pre>(.+?)</pre>", page, re.DOTALL)
    assert found, f"the browser ended before the page was looked at: {page[-2000:]}"
    return json.loads(html.unescape(found.group(1)))


def dump(address, seconds=240):
    """The page's elements once its scripts are done. The browser is ended here: it does not always end by itself."""
    browser = subprocess.Popen(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
         "--virtual-time-budget=20000", "--window-size=1400,1000", "--dump-dom", address],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)

    def end():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(browser.pid, signal.SIGKILL)

    guard = threading.Timer(seconds, end)
    guard.start()
    lines = []
    for line in browser.stdout:
        lines.append(line)
        if "</html>" in line:
            break
    guard.cancel()
    end()
    browser.wait()
    browser.stdout.close()
    return "".join(lines)
