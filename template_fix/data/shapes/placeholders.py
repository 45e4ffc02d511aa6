"""Placeholders for the texts and numbers of a row, which note all that is done to them.

Each has the value that the row at hand has, so that a run takes its way as ever. What is made of it is a placeholder
again, and whatever is asked of it (is it empty, does it hold this, are these equal) becomes a condition of the program:
another row for which all conditions hold takes the same way, and the program's result is its result. That needs no
knowledge of texts: the program does to them the very operations of Python that the run did.

A placeholder is no ``str``, though ``isinstance`` takes it for one: what is written in C refuses it, and so does
every operation that isn't listed here. `Unmodelled` is raised then, or an error like any other; both end the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from template_fix.data.shapes.recording import Placeholder, Recording, Unmodelled, refused, value_of


def _passes_for(kind: type) -> Any:
    return property(lambda self: kind)


# The methods that give a part of a text.
_STRIPS = frozenset({"strip", "lstrip", "rstrip"})
_PARTS = _STRIPS | {"removeprefix", "removesuffix"}


class _Number(Placeholder):
    """A number of a row. It can be compared, and printed by itself or in JSON."""

    __class__ = property(lambda self: type(self.value))


class _Object(Placeholder):
    """An object of a row, such as a tool, of which nothing is read by itself: it is printed in JSON, or not at all."""

    __class__ = _passes_for(dict)

    __eq__ = __ne__ = refused
    __hash__ = refused


class _Integer(Placeholder):
    """A length, a place or a count, or what is computed of them."""

    __class__ = _passes_for(int)

    def _computed(self, sign: str, other: Any, value: Callable[[object, Any], Any], swapped: bool = False) -> object:
        if type(other) not in (int, _Integer):
            raise Unmodelled("arithmetic with something else")
        one, two = (other, self) if swapped else (self, other)
        return self.run.step(f"({{}} {sign} {{}})", one, two, value=lambda: value(value_of(one), value_of(two)))

    def __add__(self, other: object) -> object:
        if type(other) is int and not other:
            return self
        return self._computed("+", other, lambda one, two: one + two)

    __radd__ = __add__

    def __sub__(self, other: object) -> object:
        return self._computed("-", other, lambda one, two: one - two)

    def __rsub__(self, other: object) -> object:
        return self._computed("-", other, lambda one, two: one - two, swapped=True)

    def __mul__(self, other: object) -> object:
        return self._computed("*", other, lambda one, two: one * two)

    __rmul__ = __mul__

    def __lt__(self, other: object) -> object:
        return self._computed("<", other, lambda one, two: one < two)

    def __le__(self, other: object) -> object:
        return self._computed("<=", other, lambda one, two: one <= two)

    def __gt__(self, other: object) -> object:
        return self._computed(">", other, lambda one, two: one > two)

    def __ge__(self, other: object) -> object:
        return self._computed(">=", other, lambda one, two: one >= two)


class _Sequence(Placeholder):
    """What has letters or pieces at its places."""

    def _item(self, key: object) -> object:
        """Return what is at a place: other rows have to have something there, too."""
        if type(key) is not int or not -len(self.value) <= key < len(self.value):
            raise Unmodelled("a place that isn't known, or where nothing is")
        self.run.step("(len({}) >= {})", self, key + 1 if key >= 0 else -key, value=lambda: True)
        return self.run.step("{}[{}]", self, key, value=lambda: self.value[key])


class _Pieces(_Sequence):
    """What splitting a text gives: how many pieces there are is asked only where it matters."""

    __class__ = _passes_for(list)

    def __len__(self) -> int:
        self.run.step("(len({}) == {})", self, len(self.value), value=lambda: True)
        return len(self.value)

    def __bool__(self) -> bool:
        return len(self) > 0

    def __iter__(self) -> Iterator[object]:
        return iter([self._item(at) for at in range(len(self))])

    def __getitem__(self, key: object) -> object:
        if type(key) is slice and all(each is None or type(each) is int for each in (key.start, key.stop, key.step)):
            return list(self)[key]
        return self._item(key)


def _method(name: str, *, splits: bool = False) -> Callable[..., object]:
    """Return a method of texts that never fails, or fails for an empty separator alone."""
    plain = getattr(str, name)

    def method(self: _Text, *operands: object) -> object:
        if not all(map(_is_constant if splits else _is_operand, operands)) or (splits and "" in operands):
            raise Unmodelled(f"an operand of {name}")
        form = f"{{}}.{name}({', '.join(['{}'] * len(operands))})"
        if not splits:
            made = self.run.step(form, self, *operands, value=lambda: plain(self.value, *map(value_of, operands)))
            if name not in _PARTS:
                return made
            all_space = all(each is None for each in operands)
            space = all_space or all(type(each) is str and not each.strip() for each in operands)
            bare = name == "strip" and all_space
            return self.run.note_part(made, self, stripped=name in _STRIPS and space, bare=bare)
        return self.run.step(form, self, *operands, value=lambda: _Split(plain(self.value, *operands)))

    return method


class _Split(list[object]):
    """The pieces of a text, which are no list of known length."""


def _is_constant(value: object) -> bool:
    return value is None or type(value) in (str, int, bool)


def _is_operand(value: object) -> bool:
    """Whether a value may be an operand of a text's methods: a text, an integer or nothing, or texts to look for."""
    if type(value) is tuple:
        return all(type(each) is str for each in value)
    return value is None or type(value) in (str, int, _Text, _Integer)


class _Text(_Sequence):
    """A text of a row, or one that is made of them."""

    __class__ = _passes_for(str)

    for _name in (
        *("strip", "lstrip", "rstrip", "removeprefix", "removesuffix", "replace"),
        *("lower", "upper", "casefold", "capitalize", "title", "swapcase"),
        *("startswith", "endswith", "count", "find", "rfind"),
        *("isspace", "isdigit", "isalpha", "isalnum", "isupper", "islower", "isnumeric", "isdecimal"),
    ):
        locals()[_name] = _method(_name)
    for _name in ("split", "rsplit", "partition", "rpartition", "splitlines"):
        locals()[_name] = _method(_name, splits=True)
    del _name

    def __iter__(self) -> Iterator[object]:
        raise Unmodelled("its letters")
        yield  # that a text can be iterated is asked by templates, and true

    def __add__(self, other: object) -> object:
        return self._added(self, other)

    def __radd__(self, other: object) -> object:
        return self._added(other, self)

    def _added(self, one: object, two: object) -> object:
        if not {type(one), type(two)} <= {str, _Text}:
            raise Unmodelled("a text and something else")
        return self.run.join("", (one, two))

    def __contains__(self, other: object) -> bool:
        if type(other) not in (str, _Text):
            raise Unmodelled("something in a text that is none")
        if self.run.always_holds(self, other):
            return True
        return cast(bool, self.run.step("({} in {})", other, self, value=lambda: value_of(other) in self.value))

    def __getitem__(self, key: object) -> object:
        if type(key) is not slice:
            return self._item(key)
        ends = [each for each in (key.start, key.stop) if each is not None]
        if not all(type(each) in (int, _Integer) for each in ends) or key.step not in (None, 1):
            raise Unmodelled("a slice of another kind")
        start, stop = ("" if each is None else "{}" for each in (key.start, key.stop))
        plain = slice(value_of(key.start), value_of(key.stop))
        made = self.run.step(f"{{}}[{start}:{stop}]", self, *ends, value=lambda: self.value[plain])
        return self.run.note_part(made, self)


_KINDS: dict[object, type[Placeholder]] = {
    str: _Text,
    int: _Integer,
    dict: _Object,
    _Split: _Pieces,
    "number": _Number,
}


def new_recording() -> Recording:
    return Recording(_KINDS)
