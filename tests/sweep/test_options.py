from __future__ import annotations

import pytest

from dials_truncfix.sweep.options import OutputOptions, numbered


@pytest.mark.parametrize(
    "template, image_format, name",
    [
        ("truncfix_#####", "cbf", "truncfix_00042.cbf"),
        ("truncfix_#####.cbf", "cbf", "truncfix_00042.cbf"),
        ("xds_####.img", "smv", "xds_0042.img"),
        ("run1_##", "smv", "run1_42.img"),
        ("v1.2_###", "cbf", "v1.2_042.cbf"),
    ],
)
def test_file_names(template, image_format, name):
    options = OutputOptions(template=template, image_format=image_format)
    assert options.file_name(42) == name


@pytest.mark.parametrize("template", ["plain", "#_#", "folder/name_###", ""])
def test_templates_without_one_place_for_the_number_are_refused(template):
    with pytest.raises(ValueError, match="one run of #"):
        OutputOptions(template=template)


def test_a_number_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="give it more #"):
        OutputOptions(template="a_##").file_name(100)


def test_a_gain_of_zero_is_refused():
    with pytest.raises(ValueError, match="gain=0"):
        OutputOptions(gain=0.0)


def test_folders_in_a_path_keep_their_marks():
    assert numbered("/data/#1/image_####.cbf", 7) == "/data/#1/image_0007.cbf"
