"""What xia2 has to be told about corrected images, and the correction as one of its steps."""

from __future__ import annotations

import os
from typing import Any

#: xia2 asks for the robust Poisson background (glm), which is made for counts: divided by
#: a gain of several ADU, the background of a camera lies below 1, where it ends near 0.
BACKGROUND = (
    "dials.integrate.background_algorithm=simple",
    "dials.integrate.background_outlier_algorithm=tukey",
)
#: xia2 does not take a sweep of fewer images.
FEWEST_IMAGES = 10


def xia2_arguments(first_image: str, first: int, last: int) -> list[str]:
    """Arguments with which xia2 processes corrected images in SMV files.

    Parameters
    ----------
    first_image : str
        Path of the first image.
    first, last : int
        Numbers of the first and the last image.

    Returns
    -------
    list of str
    """
    image = f"image={os.path.abspath(first_image)}:{first}:{last}"
    return ["pipeline=dials", image, *BACKGROUND]


def Truncfix(DriverType: str | None = None) -> Any:
    """Make a wrapper of dials.truncfix as xia2 makes those of other programs.

    Parameters
    ----------
    DriverType : str, optional
        As for xia2's driver factory.

    Returns
    -------
    TruncfixWrapper
        Has to be given experiments and a working directory, and then runs.

    Raises
    ------
    ImportError
        Where xia2 cannot be imported.
    """
    from xia2.Driver.DriverFactory import DriverFactory

    driver = DriverFactory.Driver(DriverType)

    class TruncfixWrapper(driver.__class__):  # type: ignore[name-defined]
        def __init__(self) -> None:
            driver.__class__.__init__(self)
            self.set_executable("dials.truncfix")
            self._experiments_filename: str | None = None
            self._phil_file: str | None = None
            self._output_experiments_filename: str | None = None
            self._html: str | None = None

        def set_experiments_filename(self, experiments_filename: str) -> None:
            self._experiments_filename = experiments_filename

        def set_phil_file(self, phil_file: str) -> None:
            self._phil_file = phil_file

        def get_output_experiments_filename(self) -> str | None:
            return self._output_experiments_filename

        def get_html(self) -> str | None:
            return self._html

        def run(self) -> None:
            if self._experiments_filename is None:
                raise ValueError("dials.truncfix was given no experiments")
            folder, number = self.get_working_directory(), self.get_xpid()
            outputs = {
                name: os.path.join(folder, f"{number}_truncfix.{suffix}")
                for name, suffix in (
                    ("experiments", "expt"),
                    ("json", "json"),
                    ("html", "html"),
                    ("log", "log"),
                )
            }
            self.clear_command_line()
            self.add_command_line(self._experiments_filename)
            if self._phil_file is not None:
                self.add_command_line(self._phil_file)
            self.add_command_line("output.format=smv")
            self.add_command_line(
                f"output.directory={os.path.join(folder, f'{number}_truncfix')}"
            )
            for name, path in outputs.items():
                self.add_command_line(f"output.{name}={path}")
            self.start()
            self.close_wait()
            self.check_for_errors()
            self._output_experiments_filename = outputs["experiments"]
            self._html = outputs["html"]

    return TruncfixWrapper()
