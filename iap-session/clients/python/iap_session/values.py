"""Values of attributes as JSON: refused if they would come back as something else."""

import json

MAX_DEPTH = 100


def encode(name, value):
    """The JSON text of an attribute. TypeError or ValueError names what has none."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a session attribute is a str, not {type(name).__name__}")
    _check(name, value, 0)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    _check_text(name, text)
    return text


def _check(name, value, depth):
    if depth > MAX_DEPTH:
        raise ValueError(f"session attribute {name!r} is nested too deeply, or in a circle")
    if value is None or isinstance(value, (bool, str)):
        return
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise ValueError(f"session attribute {name!r} has an integer of more than 64 bits")
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"session attribute {name!r} has a number that is not finite")
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check(name, item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(
                    f"session attribute {name!r} has a key of type {type(key).__name__}; keys are str"
                )
            _check(name, item, depth + 1)
    else:
        raise TypeError(f"session attribute {name!r} has a {type(value).__name__}, which is not JSON")


def _check_text(name, text):
    try:
        name.encode()
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"session attribute {name!r} has text that is not Unicode") from None
