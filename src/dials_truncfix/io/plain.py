"""Dataclasses and arrays as plain JSON values, and back, exactly.

What is read back may come from anybody: the annotations of the dataclasses alone say
what is made of it, every value is checked against them, and no memory is asked for
that the text does not fill.
"""

from __future__ import annotations

import ast
import dataclasses
import math
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin

import numpy as np

T = TypeVar("T")

_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_DTYPE = re.compile(r"[<|](b1|[iu][1248]|f[48]|U[0-9]{1,3})")
_MAX_DIMENSIONS = 4


def to_plain(value: Any) -> Any:
    """
    Describe a value by what JSON knows.

    Parameters
    ----------
    value : object
        None, bool, int, float, str, ndarray, dataclass, or a list, tuple or mapping
        with text keys of such.

    Returns
    -------
    object
        Numbers that are not finite become "nan", "inf" and "-inf". Arrays become
        mappings of dtype, shape and values.

    Raises
    ------
    TypeError
        For anything else.
    """
    if isinstance(value, np.ndarray):
        return _array_to_plain(value)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: to_plain(item) for key, item in value.items()}
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def from_plain(kind: type[T], plain: Any) -> T:
    """
    Inverse of `to_plain`.

    Parameters
    ----------
    kind : type
        What is expected, a dataclass as a rule.
    plain : object
        From a JSON text.

    Returns
    -------
    object
        Of that type. Fields that are missing take their default.

    Raises
    ------
    ValueError
        Naming the first field that is missing, unknown, or of another type or size.
    """
    return cast("T", _decode(kind, plain, kind.__name__))


def _array_to_plain(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    dtype = array.dtype.newbyteorder("<").str
    if _DTYPE.fullmatch(dtype) is None:
        raise TypeError(f"arrays of {array.dtype} cannot be written as JSON")
    values = array.ravel().tolist()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        values = [x if math.isfinite(x) else str(x) for x in values]
    return {"dtype": dtype, "shape": list(array.shape), "values": values}


def _decode(kind: Any, plain: Any, where: str) -> Any:
    """Make a value of the type that an annotation asks for."""
    origin = get_origin(kind)
    if kind is Any:
        return plain
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(cast("type", kind), plain, where)
    if origin is np.ndarray:
        return _decode_array(kind, plain, where)
    if origin is Union:
        return _decode_union(get_args(kind), plain, where)
    if origin is tuple:
        return _decode_tuple(get_args(kind), plain, where)
    if kind is float:
        return _decode_float(plain, where)
    if origin is not None and issubclass(origin, Mapping):
        return _decode_mapping(get_args(kind), plain, where)
    if origin is not None and issubclass(origin, Sequence):
        return _decode_list(get_args(kind)[0], plain, where)
    if kind in (bool, int, str, type(None)):
        # a bool passes for an int, but not here
        return _of_type(plain, kind, where)
    raise TypeError(f"{where} has a type that JSON does not know: {kind}")


def _of_type(plain: Any, kind: type, where: str) -> Any:
    if type(plain) is not kind:
        raise ValueError(f"{where} is not a {kind.__name__}")
    return plain


def _decode_dataclass(kind: type, plain: Any, where: str) -> Any:
    _of_type(plain, dict, where)
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}
    for name in plain:
        if name not in fields:
            raise ValueError(
                f"{where} has a field {name[:40]!r} that is not known here"
            )
    types = field_types(kind)
    values = {}
    for name, field in fields.items():
        if name in plain:
            values[name] = _decode(types[name], plain[name], f"{where}.{name}")
        elif (
            field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
        ):
            raise ValueError(f"{where} lacks {name}")
    return kind(**values)


def _decode_union(kinds: tuple[Any, ...], plain: Any, where: str) -> Any:
    problem = ""
    for kind in kinds:
        try:
            return _decode(kind, plain, where)
        except ValueError as error:
            # of an optional value, say what is wrong with the value
            problem = str(error) if kind is not type(None) else problem
    raise ValueError(problem)


def _decode_tuple(kinds: tuple[Any, ...], plain: Any, where: str) -> tuple[Any, ...]:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_decode_list(kinds[0], plain, where))
    _of_type(plain, list, where)
    if len(plain) != len(kinds):
        raise ValueError(f"{where} has {len(plain)} values instead of {len(kinds)}")
    return tuple(
        _decode(kind, item, f"{where}[{i}]")
        for i, (kind, item) in enumerate(zip(kinds, plain))
    )


def _decode_list(kind: Any, plain: Any, where: str) -> list[Any]:
    _of_type(plain, list, where)
    return [_decode(kind, item, f"{where}[{i}]") for i, item in enumerate(plain)]


def _decode_mapping(kinds: tuple[Any, ...], plain: Any, where: str) -> dict[str, Any]:
    _of_type(plain, dict, where)
    return {
        key: _decode(kinds[1], item, f"{where}[{key[:40]!r}]")
        for key, item in plain.items()
    }


def _decode_float(plain: Any, where: str) -> float:
    if type(plain) is str and plain in _NOT_FINITE:
        return _NOT_FINITE[plain]
    if type(plain) not in (float, int):
        raise ValueError(f"{where} is not a number")
    try:
        return float(plain)
    except OverflowError:
        raise ValueError(f"{where} is too large") from None


def _decode_array(kind: Any, plain: Any, where: str) -> np.ndarray[Any, Any]:
    _of_type(plain, dict, where)
    if set(plain) != {"dtype", "shape", "values"}:
        raise ValueError(f"{where} is not an array of dtype, shape and values")
    dtype = _array_dtype(kind, _of_type(plain["dtype"], str, where), where)
    shape, values = plain["shape"], _of_type(plain["values"], list, where)
    if (
        type(shape) is not list
        or len(shape) > _MAX_DIMENSIONS
        or not all(type(n) is int and n >= 0 for n in shape)
        or math.prod(shape) != len(values)
    ):
        raise ValueError(f"{where} has {len(values)} values for its shape")
    types = set(map(type, values))
    if dtype.kind == "f":
        if str in types:
            values = [_decode_float(value, where) for value in values]
            types = {float}
        fitting = types <= {float, int}
    elif dtype.kind == "U":
        width = dtype.itemsize // 4
        fitting = types <= {str} and all(len(value) <= width for value in values)
    else:
        fitting = types <= ({bool} if dtype.kind == "b" else {int})
    if not fitting:
        raise ValueError(f"{where} holds values that are not {dtype}")
    if dtype.kind in "iu" and values:
        limits = np.iinfo(dtype)
        if min(values) < limits.min or max(values) > limits.max:
            raise ValueError(f"{where} holds values that are too large for {dtype}")
    try:
        return np.array(values, dtype=dtype).reshape(shape)
    except OverflowError:
        raise ValueError(f"{where} holds values that are too large") from None


def _array_dtype(kind: Any, text: str, where: str) -> np.dtype[Any]:
    """Return the dtype of an array when it is one that the annotation allows."""
    (wanted,) = get_args(get_args(kind)[1]) or (Any,)
    wanted = get_origin(wanted) or wanted
    if _DTYPE.fullmatch(text) is not None:
        dtype: np.dtype[Any] = np.dtype(text)
        if wanted is Any or issubclass(dtype.type, wanted):
            return dtype
    raise ValueError(f"{where} is an array of {text[:40]!r}")


@cache
def field_types(kind: type) -> dict[str, Any]:
    """
    Evaluate the annotations of a dataclass.

    ``typing.get_type_hints`` does the same, but in Python 3.9 not for ``A | B``.
    """
    names = {**vars(sys.modules[kind.__module__]), "_Union": Union}
    return {
        field.name: _evaluated(field.type, names) for field in dataclasses.fields(kind)
    }


def _evaluated(annotation: Any, names: dict[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    tree = ast.fix_missing_locations(
        _UnionNames().visit(ast.parse(annotation, mode="eval"))
    )
    return eval(compile(tree, "<annotation>", "eval"), names)


class _UnionNames(ast.NodeTransformer):
    """Writes ``A | B`` as ``Union[A, B]``."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:  # noqa: D102
        self.generic_visit(node)
        if not isinstance(node.op, ast.BitOr):
            return node
        return ast.Subscript(
            ast.Name("_Union", ast.Load()),
            ast.Tuple([node.left, node.right], ast.Load()),
            ast.Load(),
        )
