"""Images in one file, at the places where programs look for them by their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class NumberedImages:
    """Mix-in for format classes of several images, whose numbers need not begin at 1.

    Programs take the image of number n to be at place n - 1, counted from 0. So there
    are as many places as the last number says, and the first may be empty.
    """

    #: Number of each image, from 1.
    _numbers: Sequence[int]

    def get_num_images(self) -> int:
        """Return the number of places."""
        return max(self._numbers)

    def get_scan(self, index: int | None = None) -> Any:
        """Return the scan of all images, or of the one at this place."""
        scan = self._scan()  # type: ignore[attr-defined]
        if scan is None or index is None:
            return scan
        first = index + 1 - scan.get_image_range()[0]
        return scan[first : first + 1]

    @classmethod
    def get_imageset(cls, filenames: Any, *args: Any, **kwargs: Any) -> Any:
        """Make an imageset of the images that there are."""
        if kwargs.get("single_file_indices") is None and kwargs.get(
            "check_format", True
        ):
            path = filenames if isinstance(filenames, str) else filenames[0]
            opened = cls.get_instance(  # type: ignore[attr-defined]
                path, **(kwargs.get("format_kwargs") or {})
            )
            kwargs["single_file_indices"] = [n - 1 for n in opened._numbers]
        return super().get_imageset(filenames, *args, **kwargs)  # type: ignore[misc]
