"""Operations that code does to texts and to their placeholders alike, where Python's own would take no placeholder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import TypeVar, cast

from template_fix.data.shapes.placeholders import new_recording
from template_fix.data.shapes.recording import Placeholder, Recording, Unmodelled, holds_placeholder, value_of

T = TypeVar("T")
V = TypeVar("V")
F = TypeVar("F", bound=Callable[..., object])

_MOST_VALUES = 64
# The recording under way. Where there is none, nothing is asked but that: these functions are called all the time.
_runs: list[Recording] = []


@contextmanager
def recording() -> Iterator[Recording]:
    """Give a recording, which is under way as long as this lasts."""
    _runs.append(new_recording())
    try:
        yield _runs[-1]
    finally:
        _runs.pop()


def is_recording() -> bool:
    return bool(_runs)


def is_fixed(value: object) -> bool:
    """Whether a recording is under way in which a value is the same for all rows."""
    return bool(_runs) and not holds_placeholder(value)


def always_holds(whole: str, part: str) -> bool:
    """Whether a recording is under way that knows a text to hold another in each row."""
    return bool(_runs) and isinstance(whole, Placeholder) and whole.run.always_holds(whole, part)


def parts_of(text: str, mark: str) -> list[str]:
    """Return texts that have a mark as often as one: in a recording those of which it was joined."""
    return text.run.parts(text, mark) if _runs and isinstance(text, Placeholder) else [text]


def is_known(function: Callable[..., object], text: str) -> bool:
    """Whether a recording is under way in which a function that is `recorded` was asked of a text before."""
    return bool(_runs) and isinstance(text, Placeholder) and text.run.knows("{}({})", function, text)


def length(text: str) -> int:
    """Return ``len(text)``."""
    if not _runs or not isinstance(text, Placeholder):
        return len(text)
    return cast(int, text.run.step("len({})", text, value=lambda: len(text.value)))


def require(text: str) -> str:
    """Return a text that other rows must have as it is."""
    if not _runs or not isinstance(text, Placeholder):
        return text
    text.run.step("({} == {})", text, text.value, value=lambda: True)
    return cast(str, text.value)


def join(between: str, texts: Iterable[str]) -> str:
    """Return ``between.join(texts)``."""
    parts = list(texts)
    if not _runs or not holds_placeholder(parts):
        return between.join(parts)
    if not all(isinstance(each, str) for each in parts):
        raise Unmodelled("something joined that is no text")
    return cast(str, _runs[-1].join(between, parts))


def drop_repeats(values: Iterable[T]) -> list[T]:
    """Return values, each once, in their order: without a hash where there may be placeholders."""
    if not _runs:
        return list(dict.fromkeys(values))
    found: list[T] = []
    for each in values:
        if each not in found:
            found.append(each)
        if len(found) > _MOST_VALUES:
            raise Unmodelled("too many values")
    return found


def make_finder(values: Sequence[tuple[T, V]]) -> Callable[[T], V | None]:
    """Return what finds the value of a key, or None: without a hash where there may be placeholders."""
    if not _runs:
        return dict(values).get
    return lambda key: next((value for known, value in values if known == key), None)


def recorded(function: F) -> F:
    """Let a function be one operation, which programs call, where placeholders are among its arguments.

    It must depend on its arguments alone, change nothing, never fail, and give texts, integers, truth values, None, or
    lists and tuples of them.
    """

    @wraps(function)
    def call(*arguments: object) -> object:
        if not _runs or not holds_placeholder(arguments):
            return function(*arguments)
        form = f"{{}}({', '.join(['{}'] * len(arguments))})"
        return _runs[-1].step(form, call, *arguments, value=lambda: function(*map(value_of, arguments)))

    return cast(F, call)
