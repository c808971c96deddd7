"""The hash of one event, exactly as the program computes it that writes the log. Pure.

`current_hash` is the SHA-256 of seven texts joined by `|`: previous hash, instant, actor, event, entity, its id, payload hash.
The program is JavaScript: values that are no strings count as JavaScript prints them (ECMA-262: Array.prototype.join,
Number::toString, Date Time String Format).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, NoReturn

CHAINED: Final = ("actor", "evento", "entidade", "entidade_id", "payload_hash")
"""The fields that are hashed behind the previous hash and the instant, in this order."""
_LONE: Final = re.compile("[\ud800-\udfff]")
_ISO: Final = re.compile(
    r"(?P<year>\d{4}|[+-]\d{6})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d))?)?"
    r"(?:[Tt](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?"
    r"(?P<zone>[Zz]|[+-]\d\d:?\d\d))?",
    re.ASCII,
)
_DIGIT: Final = re.compile("[0-9]")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = 8_640_000_000_000_000
_CYCLE_YEARS: Final = 400
_CYCLE_MS: Final = 146_097 * 86_400_000
_LARGEST_PLAIN: Final = 21
_SMALLEST_PLAIN: Final = -7


class InstantError(ValueError):
    """A time stamp that is not in the form of the format.

    What the program makes of it depends on its engine, or, where no zone is said, on where it runs.
    """


class NoInstantError(InstantError):
    """A time stamp that no engine makes an instant of: the program cannot verify such an event either."""


def parse_json(text: str) -> Any:  # noqa: ANN401 - whatever the text says
    """The value of a JSON text by the rules of JSON.parse; raises ValueError, also for what only Python accepts."""
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def refuse_constant(word: str) -> NoReturn:
    """Raise ValueError for a word that only Python takes for JSON, like NaN."""
    raise ValueError(f"{word} is no JSON")


def event_hash(event: Mapping[str, Any]) -> str:
    """The hex digest that `current_hash` must be; raises InstantError."""
    previous = _joined(event.get("previous_hash"))
    parts = [previous, canonical_instant(event.get("timestamp", ""))]
    parts += [_joined(event.get(name)) for name in CHAINED]
    return sha256(encoded("|".join(parts))).hexdigest()


def encoded(text: str) -> bytes:
    """UTF-8 as Node.js writes it: each unpaired surrogate becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _LONE.sub("\ufffd", text).encode()


def _joined(value: object) -> str:
    """A value as an element of a JavaScript array that is joined."""
    return "" if value is None else _text(value)


def _text(value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return number_text(value)
        case list():
            return ",".join(map(_joined, value))
        case None:
            return "null"
        case _:
            return "[object Object]"


def number_text(number: float) -> str:
    """A JSON number as JavaScript prints it: it is read as a double, and printed with the fewest digits."""
    try:
        value = float(number)
    except OverflowError:
        value = math.inf if number > 0 else -math.inf
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{value!r}e0".partition("e")
    exponent = exponent.removesuffix("e0") or "0"
    sign, mantissa = ("-", mantissa[1:]) if mantissa.startswith("-") else ("", mantissa)
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = int(exponent) + len(whole) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    return sign + _placed(digits, point)


def _placed(digits: str, point: int) -> str:
    """Significant digits with the decimal point behind the first `point` of them."""
    if len(digits) <= point <= _LARGEST_PLAIN:
        return digits + "0" * (point - len(digits))
    if 0 < point <= _LARGEST_PLAIN:
        return f"{digits[:point]}.{digits[point:]}"
    if _SMALLEST_PLAIN + 1 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    exponent = point - 1
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{rest}e{'+' if exponent >= 0 else '-'}{abs(exponent)}"


def canonical_instant(value: object) -> str:
    """The instant as `YYYY-MM-DDTHH:MM:SS.mmmZ`, truncated to milliseconds; raises InstantError."""
    return _printed(_milliseconds(value))


def _milliseconds(value: object) -> int:
    match value:
        case None:
            return 0
        case bool() | int() | float():
            if not math.isfinite(value) or abs(value) > _LAST_MS:
                raise NoInstantError(f"{value} is no instant")
            return math.trunc(value)
        case list():
            return _parsed(_text(value))
        case str():
            return _parsed(value)
        case _:
            raise NoInstantError("an object is no instant")


def _parsed(text: str) -> int:
    match = _ISO.fullmatch(text)
    if not _DIGIT.search(text):
        # Whatever an engine takes for a date beside the format has a day or a year in digits.
        raise NoInstantError(f"{text[:40]!r} is no time stamp")
    if match is None or match["year"] == "-000000" or (match["hour"] and not match["zone"]):
        raise InstantError(f"{text[:40]!r} is no time stamp of the format")
    month, day = int(match["month"] or 1), int(match["day"] or 1)
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    millisecond = int((match["fraction"] or "0")[:3].ljust(3, "0"))
    within = 1 <= month <= 12 and 1 <= day <= 31 and minute < 60 and second < 60  # noqa: PLR2004 - a calendar
    if not within or hour > 24 or (hour == 24 and (minute, second, millisecond) != (0, 0, 0)):  # noqa: PLR2004
        raise NoInstantError(f"{text[:40]!r} is no instant")
    days = _days_from_civil(int(match["year"]), month) + day - 1
    seconds = (days * 24 + hour) * 3600 + minute * 60 + second
    total = (seconds - _offset_s(match["zone"])) * 1000 + millisecond
    if abs(total) > _LAST_MS:
        raise NoInstantError(f"{text[:40]!r} is out of range")
    return total


def _offset_s(zone: str | None) -> int:
    if zone is None or zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > 23 or minutes > 59:  # noqa: PLR2004 - a clock
        raise InstantError(f"{zone} is no offset")
    return (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)


def _days_from_civil(year: int, month: int) -> int:
    """Days from 1970-01-01 to the first of that month; the calendar repeats every 400 years."""
    cycles, within = divmod(year - 1, _CYCLE_YEARS)
    first = datetime(within + 1, month, 1, tzinfo=UTC)
    return (first - _EPOCH).days + cycles * (_CYCLE_MS // 86_400_000)


def _printed(milliseconds: int) -> str:
    cycles, within = divmod(milliseconds + _CYCLE_MS * 5, _CYCLE_MS)
    moment = _EPOCH + timedelta(milliseconds=within)
    year = moment.year + (cycles - 5) * _CYCLE_YEARS
    shown = f"{year:04}" if 0 <= year <= 9999 else f"{'-' if year < 0 else '+'}{abs(year):06}"  # noqa: PLR2004
    return f"{shown}-{moment:%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
