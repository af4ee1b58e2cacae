"""Pages in a headless Chromium: what is drawn, how it fits, what the console says."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

#: Loads the page in a frame, as windows are never narrower than 500 pixels, waits until
#: it says how many figures it has drawn, and writes what it finds into its own text.
_WRAPPER = """<!DOCTYPE html>
<meta charset="utf-8">
<iframe src="%(page)s" style="border:0;width:%(width)dpx;height:800px"></iframe>
<pre id="found"></pre>
<script>
const frame = document.querySelector("iframe");

function overlaps(texts) {
  const boxes = texts.map((t) => t.getBoundingClientRect()).filter((b) => b.width > 0);
  boxes.sort((a, b) => a.left - b.left);
  return boxes.slice(1).filter((b, i) => b.left < boxes[i].right - 0.5).length;
}

function look(view) {
  const page = view.document;
  const plots = Array.from(page.querySelectorAll(".drawing"));
  return {
    figures: plots.length,
    drawn: Number(page.documentElement.dataset.drawn),
    trouble: page.getElementById("trouble").textContent,
    width: page.documentElement.clientWidth,
    contentWidth: page.documentElement.scrollWidth,
    text: page.body.innerText,
    plots: plots.map(function (plot) {
      const box = plot.getBoundingClientRect();
      const svg = plot.querySelector(".main-svg");
      const texts = Array.from(plot.querySelectorAll(".main-svg text"));
      const visible = texts.filter((t) => t.getBoundingClientRect().width > 0);
      return {
        label: plot.getAttribute("aria-label"),
        role: plot.getAttribute("role"),
        right: box.right,
        height: box.height,
        svgWidth: svg ? svg.getBoundingClientRect().width : 0,
        marks: plot.querySelectorAll(
          ".scatterlayer .trace path, .barlayer .point path, .heatmaplayer image"
        ).length,
        titles: Array.from(plot.querySelectorAll(".xtitle, .ytitle, .y2title")).map(
          (t) => t.textContent
        ),
        smallestText: Math.min(
          ...visible.map((t) => parseFloat(view.getComputedStyle(t).fontSize))
        ),
        overlappingTicks: overlaps(Array.from(plot.querySelectorAll(".xtick text"))),
        cutTexts: visible.filter(function (t) {
          const b = t.getBoundingClientRect();
          return b.left < box.left - 1 || b.right > box.right + 1;
        }).map((t) => t.textContent),
      };
    }),
  };
}

function wait() {
  const view = frame.contentWindow;
  const root = view.document && view.document.documentElement;
  const trouble = view.document && view.document.getElementById("trouble");
  if (root && (root.dataset.drawn !== undefined || (trouble && !trouble.hidden))) {
    document.getElementById("found").textContent = JSON.stringify(look(view));
  } else {
    setTimeout(wait, 50);
  }
}
frame.onload = wait;
</script>
"""


@dataclass(frozen=True)
class Seen:
    """What the browser made of a page: see the script; and its console's messages."""

    found: dict[str, Any]
    console: list[str]


def chromium() -> str:
    """Path of the browser; skips the test where there is none."""
    for name in _NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip("there is no Chromium to look at pages with: " + ", ".join(_NAMES))


def look_at(page: Path, width: int, scratch: Path, *options: str) -> Seen:
    """Open a page with a width, without a network."""
    wrapper = scratch / f"wrapper_{width}.html"
    wrapper.write_text(_WRAPPER % {"page": page.as_uri(), "width": width})
    run = subprocess.run(
        [
            chromium(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--allow-file-access-from-files",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            f"--user-data-dir={scratch / 'profile'}",
            f"--window-size={max(width, 600)},900",
            "--virtual-time-budget=60000",
            "--dump-dom",
            *options,
            wrapper.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = re.search(r'<pre id="found">(.+?)</pre>', run.stdout, re.DOTALL)
    assert found is not None, run.stdout[-2000:] + run.stderr[-2000:]
    return Seen(
        found=json.loads(html.unescape(found[1])),
        console=[line for line in run.stderr.splitlines() if "CONSOLE" in line],
    )
