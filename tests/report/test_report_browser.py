"""Opens reports in headless Chromium, at desktop and phone width, and uses every button of them.

Run after the build: python3 -m pytest tests/report. The program is build/altprop, or $ALTPROP.
"""
import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import make_fixture

PROGRAM = os.environ.get("ALTPROP", str(Path(__file__).parents[2] / "build" / "altprop"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="needs a browser: apt-get install chromium"),
    pytest.mark.skipif(not Path(PROGRAM).exists(), reason=f"needs the program: {PROGRAM} is not built"),
]

# Chromium's window is never narrower than 500 pixels, so the report sits in a frame of the width under test.
PROBE = """<!DOCTYPE html><iframe src="report.html" style="width:%dpx;height:900px;border:0"></iframe><pre></pre><script>
onload = () => {
  const page = document.querySelector("iframe").contentDocument, root = page.documentElement;
  const figures = [...page.querySelectorAll("figure")].filter((figure) => !figure.hidden);
  const found = {
    rendered: Number(root.dataset.rendered), figures: figures.length, title: page.title,
    empty: figures.filter((figure) => !figure.querySelector("svg.chart")).length,
    flat: [...page.querySelectorAll("svg.chart")].filter((svg) => svg.getBoundingClientRect().height < 20).length,
    nan: [...page.querySelectorAll("svg *")].filter((node) => [...node.attributes].some((a) => /NaN|Infinity|undefined/.test(a.value))).length,
    words: page.querySelector("main").innerText, overflow: root.scrollWidth - root.clientWidth,
    scripts: page.querySelectorAll("script").length, images: page.querySelectorAll("img").length,
  };
  for (let round = 0; round < 2; ++round)
    for (const button of page.querySelectorAll("button")) button.click();
  for (const node of page.querySelectorAll("svg.chart, svg.chart rect"))
    for (const type of ["pointermove", "pointerleave"]) node.dispatchEvent(new PointerEvent(type, { clientX: 150, clientY: 150 }));
  for (const head of page.querySelectorAll("thead button")) head.click();
  for (const fold of page.querySelectorAll("details")) fold.open = true;
  found.errors = Number(root.dataset.errors);
  document.querySelector("pre").textContent = JSON.stringify(found);
};
</script>"""


def look(folder, width):
    probe = folder / "probe.html"
    probe.write_text(PROBE % width)
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
         "--virtual-time-budget=5000", "--window-size=1400,1000", "--dump-dom", probe.as_uri()],
        capture_output=True, text=True, timeout=120, check=True)
    return json.loads(html.unescape(re.search("<pre>(.*?)</pre>", done.stdout, re.DOTALL).group(1)))


def report(folder, **fixture):
    make_fixture.make(folder, **fixture)
    subprocess.run([PROGRAM, "report", str(folder)], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("fixture, charts", [
    # 4 curves; mean angle; final map and one per rule but backprop, for angle and ratio; feedback; laws; cost
    (dict(kind="compare"), 4 + 1 + 2 * (1 + 5) + 3 + 3 + 2),
    (dict(kind="compare", rules=13, seeds=1, epochs=60), 4 + 1 + 2 * (1 + 12) + 3 + 3 + 2),
    (dict(kind="hostile"), 4 + 1 + 2 * (1 + 5) + 3 + 3 + 2),
    (dict(kind="train"), 2 + 2 + 1 + 3),
    (dict(kind="train", epochs=1), 2 + 2 + 1 + 3),
])
def test_draws_everything(tmp_path, fixture, charts, width):
    found = look(report(tmp_path, **fixture), width)
    assert found["errors"] == 0
    assert found["rendered"] == found["figures"] == charts
    assert found["empty"] == found["flat"] == found["nan"] == 0
    assert found["overflow"] <= 0
    assert not re.search(r"NaN|undefined|\[object|\bnull\b|\bfalse\b", found["words"])


def test_shows_hostile_labels_as_text(tmp_path):
    found = look(report(tmp_path, kind="hostile"), 1280)
    assert "</script><script>alert(1)</script>" in found["words"]
    assert found["scripts"] == 2 and found["images"] == 0
    assert "2 done, 1 diverged" in found["words"]


@pytest.mark.parametrize("summary", ["{}", '{"runs": [{}, {"label": "b", "seed": 1}]}', '{"rule": 3, "warnings": "none"}'])
def test_bears_records_without_content(tmp_path, summary):
    (tmp_path / "summary.json").write_text(summary)
    subprocess.run([PROGRAM, "report", str(tmp_path)], check=True)
    found = look(tmp_path, 390)
    assert found["errors"] == 0 and found["rendered"] == 0
    assert "Learning curves" not in found["words"]
