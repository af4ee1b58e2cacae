"""The camera that a user gives, by its numbers or by the record of a former run."""

from __future__ import annotations

from typing import Any

from dials.util import Sorry

from dials_truncfix.command_line.program import in_one_sentence
from dials_truncfix.correction.joint_camera.camera_model import CameraModel, SweepCamera
from dials_truncfix.io.json_object import parse_json
from dials_truncfix.io.plain import from_plain
from dials_truncfix.io.source_files import open_regular, printable

_NUMBERS = ("gain", "pulse_variance", "read_noise")


def camera_of(params: Any) -> SweepCamera | None:
    """Translate the phil parameters of the camera.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        Of dials.truncfix.

    Returns
    -------
    SweepCamera or None
        None where none is given.

    Raises
    ------
    Sorry
        When numbers are missing or make no sense, or the record holds no camera.
    """
    camera = params.fit.camera
    given = [name for name in _NUMBERS if getattr(camera, name) is not None]
    if camera.record is not None:
        if given:
            raise Sorry(f"Give fit.camera.record or fit.camera.{given[0]}, not both")
        return _recorded(camera.record)
    if not given:
        if camera.dark or camera.dark_drift:
            raise Sorry("fit.camera.dark needs " + _list(_NUMBERS))
        return None
    missing = [name for name in _NUMBERS if name not in given]
    if missing:
        raise Sorry(f"fit.camera.{given[0]} needs {_list(missing)}, too")
    try:
        model = CameraModel(
            camera.gain,
            camera.pulse_variance,
            camera.read_noise,
            camera.dark,
            params.rounding,
        )
        return SweepCamera(model, camera.dark_drift)
    except ValueError as error:
        raise Sorry(f"fit.camera: {error}") from None


def _recorded(path: str) -> SweepCamera:
    """Read the camera of a former run."""
    name = printable(path)
    with in_one_sentence(path):
        with open_regular(path) as stream:
            content = parse_json(stream.read(), name)
    parameters = content.get("parameters")
    plain = parameters.get("camera") if isinstance(parameters, dict) else None
    if content.get("program") != "dials.truncfix" or plain is None:
        raise Sorry(
            f"{name} holds no camera: give the dials.truncfix.json of a run with "
            "fit.model=camera"
        )
    try:
        return from_plain(SweepCamera, plain)
    except ValueError as error:
        raise Sorry(
            f"The camera in {name} is damaged: {printable(str(error))}"
        ) from None


def _list(names: Any) -> str:
    return " and ".join(f"fit.camera.{name}" for name in names)
