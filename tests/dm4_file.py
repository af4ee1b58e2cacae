"""Write the least of a DigitalMicrograph 4 file that readers take for an image."""

from __future__ import annotations

import struct

import numpy as np

_USHORT, _UINT, _FLOAT, _ARRAY = 4, 5, 6, 20
_REAL = 2  # what DigitalMicrograph calls images of 4-byte floats


def _tag(kind, name, content):
    encoded = name.encode()
    return (
        struct.pack(">BH", kind, len(encoded))
        + encoded
        + struct.pack(">Q", len(content))
        + content
    )


def _value(name, info, data):
    content = b"%%%%" + struct.pack(f">Q{len(info)}Q", len(info), *info) + data
    return _tag(21, name, content)


def _number(name, value):
    return _value(name, [_UINT], struct.pack("<I", value))


def _folder(entries):
    return struct.pack(">BBQ", 1, 0, len(entries)) + b"".join(entries)


def _directory(name, entries):
    return _tag(20, name, _folder(entries))


def write_dm4(path, image):
    """Write one image of float32."""
    data = np.ascontiguousarray(image, "<f4")
    sides = [_number("", side) for side in data.shape[::-1]]

    def scale(name):
        return _directory(
            name,
            [
                _value("Origin", [_FLOAT], struct.pack("<f", 0.0)),
                _value("Scale", [_FLOAT], struct.pack("<f", 1.0)),
                _value("Units", [_ARRAY, _USHORT, 0], b""),
            ],
        )

    scales = [scale("") for _ in sides]
    image_data = _directory(
        "ImageData",
        [
            _directory(
                "Calibrations",
                [_directory("Dimension", scales), scale("Brightness")],
            ),
            _value("Data", [_ARRAY, _FLOAT, data.size], data.tobytes()),
            _number("DataType", _REAL),
            _directory("Dimensions", sides),
            _number("PixelDepth", 4),
        ],
    )
    tags = _directory("ImageTags", [_number("Binning", 1)])
    name = _value("Name", [_ARRAY, _USHORT, 3], "ref".encode("utf-16-le"))
    root = _folder(
        [_directory("ImageList", [_directory("", [image_data, tags, name])])]
    )
    # version, length of the root, little-endian data
    path.write_bytes(struct.pack(">IQI", 4, len(root), 1) + root + bytes(8))
