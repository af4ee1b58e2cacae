"""Pictures of parts of reports for the tutorials, by a headless Chromium."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

IMAGES = Path(__file__).resolve().parent / "images"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MARGIN = 12
_COLOURS = 128

#: Shows the page in a frame. When its figures are drawn, moves the frame such that what
#: lies between two elements begins at the top, and writes its height.
_WRAPPER = """<!DOCTYPE html>
<meta charset="utf-8">
<style>
body { margin: 0; overflow: hidden; } iframe { border: 0; display: block; }
</style>
<iframe src="%(page)s" style="width:%(width)dpx;height:%(height)dpx"></iframe>
<pre id="found"></pre>
<script>
const frame = document.querySelector("iframe");
function wait() {
  const page = frame.contentWindow.document;
  if (page.documentElement.dataset.drawn === undefined) {
    setTimeout(wait, 50);
    return;
  }
  const first = page.querySelector(%(first)s).getBoundingClientRect();
  const last = page.querySelector(%(last)s).getBoundingClientRect();
  frame.style.marginTop = (%(margin)d - first.top) + "px";
  document.getElementById("found").textContent = JSON.stringify(
    [first.top, last.bottom]
  );
}
frame.onload = wait;
</script>
"""


@dataclass(frozen=True)
class Picture:
    """A part of a report.

    Attributes
    ----------
    name : str
        File in the folder of images.
    page : str
        The report, seen from the folder of the tutorial.
    first, last : str
        CSS selectors of the elements that it begins and ends with.
    width : int
        Of the window, pixels.
    """

    name: str
    page: str
    first: str
    last: str
    width: int = 900


_TRUNCFIX = "dials.truncfix.html"
PICTURES = {
    "tutorial.rst": (
        Picture("tutorial_verdict.png", _TRUNCFIX, "header", "#verdict"),
        Picture(
            "tutorial_before_after.png",
            _TRUNCFIX,
            "#before-and-after",
            "#before-and-after",
        ),
        Picture(
            "tutorial_histograms.png",
            _TRUNCFIX,
            "#histograms-and-fits",
            "#histograms-and-fits figure:nth-of-type(4)",
        ),
        Picture(
            "tutorial_compare.png",
            "dials.truncfix_compare.html",
            "#against-the-truth",
            "#against-the-truth .figure",
        ),
    ),
    "tutorial_stills.rst": (
        Picture(
            "tutorial_partiality.png",
            "dials.truncfix_postrefine.html",
            "#partiality",
            "#partiality",
        ),
    ),
}


def take_pictures(tutorial: str, folder: Path) -> None:
    """Take the pictures of a tutorial that was run in a folder."""
    browser = next(filter(None, map(shutil.which, _NAMES)), None)
    if browser is None:
        sys.exit("There is no Chromium to take pictures with: " + ", ".join(_NAMES))
    for picture in PICTURES[tutorial]:
        take(browser, picture, folder / picture.page)


def take(browser: str, picture: Picture, page: Path) -> None:
    """Take one picture."""
    from PIL import Image

    with tempfile.TemporaryDirectory(prefix="truncfix-picture-") as scratch:
        wrapper, shot = Path(scratch, "wrapper.html"), Path(scratch, "shot.png")
        wrapper.write_text(
            _WRAPPER
            % {
                "page": page.as_uri(),
                "width": picture.width,
                "height": 20000,
                "margin": _MARGIN,
                "first": json.dumps(picture.first),
                "last": json.dumps(picture.last),
            }
        )
        command = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--hide-scrollbars",
            "--allow-file-access-from-files",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={scratch}/profile",
            "--virtual-time-budget=60000",
        ]
        text = subprocess.run(
            [
                *command,
                f"--window-size={picture.width},900",
                "--dump-dom",
                str(wrapper),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        found = re.search(r'<pre id="found">(.+?)</pre>', text, re.DOTALL)
        if found is None:
            sys.exit(f"{page} was not drawn, or has no {picture.first}, {picture.last}")
        top, bottom = json.loads(html.unescape(found[1]))
        height = round(bottom - top) + 2 * _MARGIN
        subprocess.run(
            [
                *command,
                f"--window-size={picture.width},{height}",
                f"--screenshot={shot}",
                str(wrapper),
            ],
            capture_output=True,
            check=True,
        )
        image = Image.open(shot).convert("RGB").crop((0, 0, picture.width, height))
        image = image.quantize(_COLOURS, dither=Image.Dither.NONE)
        image.save(IMAGES / picture.name, optimize=True)
