"""Our files pick our classes; other programs' files keep theirs."""

from __future__ import annotations

import numpy as np
import pytest

from dxtbx.format import Registry

from dials_truncfix.io import smv

OURS = {
    "FormatNXmxTruncfix": ("FormatNXmx", "FormatNXmxED"),
    "FormatMRCSerialEMImage": ("FormatMRCimages",),
    "FormatMRCSerialEMStack": ("FormatMRCstack",),
    "FormatSerialEMRecipe": ("Format",),
    "FormatSerialEMTIFFImage": ("Format",),
    "FormatSerialEMTIFFStack": ("Format",),
    "FormatTVIPS": ("Format",),
    "FormatEMMENU": ("Format",),
    "FormatSMVTVIPS": ("FormatSMVADSC",),
    "FormatSMVTruncfix": ("FormatSMVADSC",),
    "FormatCBFTruncfix": ("FormatCBF",),
    "FormatTruncfixSidecar": ("Format",),
}


def class_name(path):
    found = Registry.get_format_class_for_file(str(path))
    return None if found is None else found.__name__


def test_our_classes_are_registered_below_their_parents():
    index = Registry.get_format_class_index()
    for name, expected in OURS.items():
        loader, parents = index[name]
        assert tuple(parents) == expected
        loaded = loader()
        assert loaded.__name__ == name
        assert not loaded.is_abstract()


@pytest.mark.parametrize(
    "file, expected",
    [
        ("tvips/test_tvips_2233_000.tvips", "FormatTVIPS"),
        ("tvips/test_tvips_2345_split_000.tvips", "FormatTVIPS"),
        ("tvips/test_tvips_2345_split_001.tvips", None),
        ("tvips/TVIPS_bin4.tif", "FormatEMMENU"),
        ("frames/TIMEPIX_SU_516-stdgoni_0001.img", "FormatSMVTimePix_SU_516x516"),
        ("frames/simtbx_FormatSMVJHSim_001.img", "FormatSMVJHSim"),
        ("l_cysteine_sweep/l-cyst_01_00001.cbf", "FormatCBFFullPilatus"),
        ("gain_refs/Ref12_reference.tif", None),
        ("frames/ceta_dark_imaging.npy", None),
    ],
)
def test_real_files(shared_data, file, expected):
    pytest.importorskip("tifffile")
    assert class_name(shared_data / file) == expected


def test_none_of_our_classes_accepts_another_programs_file(shared_data):
    index = Registry.get_format_class_index()
    classes = [index[name][0]() for name in OURS]
    others = [
        *(shared_data / "frames").iterdir(),
        *(shared_data / "gain_refs").iterdir(),
        *(shared_data / "l_cysteine_sweep").iterdir(),
        shared_data / "MANIFEST.md",
    ]
    assert len(others) > 15
    accepted = [(c, f) for c in classes for f in others if c.understand(str(f))]
    assert accepted == []


@pytest.mark.parametrize(
    "name, content",
    [
        ("a_000.tvips", b""),
        ("a_000.tvips", b"\0" * 500),
        ("a.img", b"{\nHEADER_BYTES=  512;\n"),
        ("a.cbf", b"###CBF: VERSION 1.5\n"),
        ("a.tif", b"II*\0\xff\xff\xff\xff"),
        ("a.txt", b""),
        ("a.tfx", b'{"truncfix_'),
        ("a.mrc", b"\0" * 224 + b"SerialEMCCD:"),
        ("a.mrc", b"\0" * 1024),
        ("a.frames", b'{"serialem_'),
    ],
)
def test_fragments_are_refused_quietly(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    index = Registry.get_format_class_index()
    assert not any(index[ours][0]().understand(str(path)) for ours in OURS)
    assert not any(
        index[ours][0]().understand(str(tmp_path / f"missing_{name}")) for ours in OURS
    )


def test_adsc_images_stay_with_adsc(tmp_path):
    header = {
        "BEAM_CENTER_X": 100,
        "BEAM_CENTER_Y": 100,
        "DISTANCE": 150,
        "WAVELENGTH": 0.98,
        "PIXEL_SIZE": 0.1,
        "OSC_START": 0,
        "OSC_RANGE": 1,
        "PHI": 0,
        "TIME": 1,
        "TWOTHETA": 0,
        "BIN": "2x2",
        "DATE": "Sat Nov 21 05:07:00 2020",
        "DETECTOR_SN": "unknown",
    }
    smv.write(tmp_path / "a_001.img", np.ones((8, 8), np.uint16), header)
    assert class_name(tmp_path / "a_001.img") == "FormatSMVADSC"
