"""Programs with windows, watched on a display that is not there (Xvfb)."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image


@contextlib.contextmanager
def virtual_display(width: int = 1280, height: int = 1000) -> Iterator[Path | None]:
    """Start a display of its own, and name it in DISPLAY.

    Yields
    ------
    pathlib.Path, optional
        The file that holds the picture on the screen; None where Xvfb is not installed.
    """
    program = shutil.which("Xvfb")
    if program is None:
        yield None
        return
    before = os.environ.get("DISPLAY")
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory() as folder:
        # a server that starts anew when its last client goes turns the next one away
        command = [program, "-displayfd", str(writing), "-nolisten", "tcp", "-noreset"]
        command += ["-screen", "0", f"{width}x{height}x24", "-fbdir", folder]
        server = subprocess.Popen(
            command, pass_fds=[writing], stderr=subprocess.DEVNULL
        )
        os.close(writing)
        try:
            with os.fdopen(reading) as answer:
                number = answer.readline().strip()
            os.environ["DISPLAY"] = f":{number}"
            yield Path(folder) / "Xvfb_screen0"
        finally:
            server.terminate()
            server.wait()
            if before is None:
                os.environ.pop("DISPLAY", None)
            else:
                os.environ["DISPLAY"] = before


def screen(path: Path) -> np.ndarray:
    """Read what is on the screen: the X window dump that Xvfb keeps, 32 bits a pixel.

    Parameters
    ----------
    path : pathlib.Path
        Its frame buffer.

    Returns
    -------
    ndarray, shape (height, width, 3), uint8
    """
    content = path.read_bytes()
    header = np.frombuffer(content, ">u4", 25)
    width, height, row, colours = (int(header[i]) for i in (4, 5, 12, 19))
    start = int(header[0]) + 12 * colours
    rows = np.frombuffer(content, np.uint8, height * row, start).reshape(height, row)
    pixels = rows[:, : 4 * width].reshape(height, width, 4)
    return pixels[..., 2::-1] if header[7] == 0 else pixels[..., 1:]


def watch(command: list[str], folder: Path, display: Path, patience: float) -> str:
    """Run a program until its window no longer changes, then end it.

    Parameters
    ----------
    command : list of str
        Program and arguments.
    folder : pathlib.Path
        Where it runs, and where viewer.png, a picture of the screen, is written.
    display : pathlib.Path
        Of `virtual_display`.
    patience : float
        Longest time until there is a picture, s.

    Returns
    -------
    str
        What it printed.

    Raises
    ------
    subprocess.CalledProcessError
        When it ends by itself.
    ValueError
        When it shows nothing.
    """
    log = folder / "viewer.log"
    with log.open("w") as printed:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        try:
            picture = _settled(process, display, patience)
        finally:
            ended = process.poll()
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    text = log.read_text(errors="replace")
    if ended is not None:
        raise subprocess.CalledProcessError(ended, command, text)
    if picture is None:
        raise ValueError(f"no picture after {patience:.0f} s")
    Image.fromarray(picture).save(folder / "viewer.png")
    return text


def _settled(
    process: subprocess.Popen[bytes], display: Path, patience: float
) -> np.ndarray | None:
    """Wait for a picture of more than the plain colours of an empty window."""
    end = time.monotonic() + patience
    before = None
    while time.monotonic() < end and process.poll() is None:
        time.sleep(2)
        now = screen(display)
        if before is not None and np.array_equal(now, before) and _drawn(now):
            return now
        before = now
    return None


def _drawn(picture: np.ndarray) -> bool:
    colours = np.unique(picture.reshape(-1, 3), axis=0)
    return len(colours) > 30
