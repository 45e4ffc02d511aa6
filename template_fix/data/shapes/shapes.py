"""Rows that are alike in all but their texts and numbers, and the programs that answer for them."""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Generic, TypeVar, cast

from template_fix.bounds.limits import LimitExceeded, step
from template_fix.data.shapes.operations import recording
from template_fix.data.shapes.recording import Program, Unmodelled

Answer = TypeVar("Answer")
# Texts under these keys tell what a message is: rows in which they differ are of different shapes.
_NAMING, _LONGEST_NAME = frozenset({"role", "from", "type"}), 32
# A row's shape is looked at up to here.
_MOST_LEAVES, _DEEPEST = 500, 16
# How many shapes are known, each with how long a key and how many programs.
_MOST_SHAPES, _LONGEST_KEY, _MOST_PROGRAMS = 256, 1 << 16, 4
_MOST_DUMPED = 64
# How much is taken over from other processes: programs, and the texts in them, which may be as long as what is printed.
_MOST_LEARNED = 16 << 20
# To record a row takes some fifteen times as long as to look at it: so many rows have come without a program before.
_WORTH = 12
# How many steps may be recorded at first, how many more for each row that was answered, and how many in all: what
# is recorded takes no longer than what it saves.
_FIRST_STEPS, _STEPS_A_ROW, _MOST_STEPS = 5_000, 4, 60_000
# A shape whose rows go another way than its programs, so often and more often than not, has none any more.
_PATIENCE = 100
# It brings little where of so many rows every other one has a shape that none had before, and where of more of them
# less than one in so many is answered.
_TRIED, _TRIED_LONG, _FEW = 200, 4000, 10
_STEP = step("rendering the template")


class _Unshaped(Exception):
    """A row that isn't like others."""


class _Shape:
    """What is known of the rows of one shape: programs, the one that answered last in front, and how they fared."""

    __slots__ = ("answered", "left", "missed", "programs", "read", "told")

    def __init__(self, key: object, programs: Iterable[Program] = (), left: int = _MOST_PROGRAMS) -> None:
        self.programs = list(programs)
        self.read = _reader(key) if self.programs else None
        self.answered, self.missed = 0, 1
        # How many more programs may be recorded, and how many might when another process was told of this shape.
        self.left = self.told = left

    @property
    def is_worth_a_program(self) -> bool:
        return self.left > 0 and self.missed >= _WORTH * (1 + _MOST_PROGRAMS - self.left)

    def close(self) -> None:
        self.programs, self.left = [], 0


class Shapes(Generic[Answer]):
    """Answers for rows, computed by ``work`` for a few of each shape and by programs for the others.

    ``work`` must depend on the row alone, and take one with placeholders. ``whole`` are the columns in which rows of
    one shape don't differ, ``read`` those of which more is looked at than whether they are texts. Where rows have few
    shapes in common, lists of objects in ``whole`` may differ: there are data in which each row has other tools.
    """

    def __init__(self, work: Callable[[object], Answer], read: Collection[str], whole: Collection[str] = ()) -> None:
        self._work, self._read, self._whole = work, frozenset(read), frozenset(whole)
        self._known: dict[object, _Shape] = {}
        # Values of whole columns, as many rows may have the same one, by their identity.
        self._dumped: dict[int, tuple[object, bytes]] = {}
        self._forget(objects=False)
        self.start()

    def start(self) -> None:
        """Begin with other rows, of which nothing is known but the programs that there are."""
        self._steps = self._tried = self._answered = self._met = 0
        self._last: _Shape | None = None
        self._dumped.clear()

    def _forget(self, *, objects: bool) -> None:
        self._objects = objects
        self._learned = 0
        self._known.clear()

    def learned(self) -> bytes:
        """Return what was recorded since the last time, for `learn` in another process; nothing where there is none."""
        new = [(key, shape) for key, shape in self._known.items() if shape.left != shape.told]
        for _, shape in new:
            shape.told = shape.left
        try:
            told = pickle.dumps((self._objects, [(key, shape.programs, shape.left) for key, shape in new]))
        except Exception:  # a constant that can't be sent
            return b""
        return told if new else b""

    def learn(self, learned: bytes) -> None:
        """Take over what a child process has recorded of rows of the same data, up to so much in all."""
        if self._learned + len(learned) > _MOST_LEARNED:
            return
        objects, shapes = pickle.loads(learned)
        if objects and not self._objects:
            self._forget(objects=True)
        self._learned += len(learned)
        for key, programs, left in shapes if objects == self._objects else ():
            if key in self._known or len(self._known) < _MOST_SHAPES:
                self._known[key] = _Shape(key, programs, left)

    @property
    def _brings_little(self) -> bool:
        few_in_common = self._tried >= _TRIED and 2 * self._met >= self._tried
        return few_in_common or (self._tried >= _TRIED_LONG and _FEW * self._answered < self._tried)

    @property
    def _may_record(self) -> bool:
        return self._steps < min(_FIRST_STEPS + _STEPS_A_ROW * self._answered, _MOST_STEPS)

    def answer(self, row: Any) -> Answer | None:
        """Return the answer for a row, None where ``work`` has to tell. Use it in `limits.run_bounded` alone."""
        if self._brings_little:
            if self._objects or not self._whole:
                return None
            self._forget(objects=True)
            self.start()
        self._tried += 1
        shape = self._last
        leaves: list[object] | None = shape.read(row) if shape and shape.read else None
        if leaves is None:
            leaves = []
            try:
                key = self._key(row, leaves)
                self._last = shape = self._known.get(key)
            except (_Unshaped, TypeError, ValueError):  # what can't be hashed, or isn't JSON
                return None
            if shape is None:
                self._meet(row, key)
                return None
        assert shape
        for number, program in enumerate(shape.programs):
            told: Answer | None = _told(shape, program.run, leaves)
            if told is not None:
                shape.answered += 1
                self._answered += 1
                if number:
                    shape.programs.insert(0, shape.programs.pop(number))
                return told
        shape.missed += 1
        if shape.is_worth_a_program and self._may_record:
            shape.left -= 1
            return self._learn(shape, row, leaves)
        if shape.missed > _PATIENCE + shape.answered:
            shape.close()
        return None

    def _meet(self, row: Mapping[object, object], key: object) -> None:
        self._met += 1
        if len(self._known) < _MOST_SHAPES and _is_json(row) and len(repr(key)) <= _LONGEST_KEY:
            self._known[key] = _Shape(key)

    def _learn(self, shape: _Shape, row: Any, leaves: list[Any]) -> Answer | None:
        """Return the answer for a row by a program that is recorded of it."""
        try:
            with recording() as run:
                try:
                    program = run.program(self._work(self._built(row, run.leaf)))
                finally:
                    self._steps += run.steps
            told: Answer | None = _told(shape, program.run, leaves)
        except (Unmodelled, Exception):  # whatever goes wrong on the way: the row is looked at without
            shape.left = 0
            return None
        if told is None or told != self._work(row):
            shape.close()
            return None
        shape.programs.insert(0, program)
        return told

    def _key(self, row: object, leaves: list[object]) -> object:
        """Return what is equal for rows of one shape, and put the texts and numbers into which they differ in order."""
        if type(row) is not dict:
            raise _Unshaped
        parts: list[object] = []
        for name, value in row.items():
            if type(value) is str and name not in self._whole:
                parts += (name, str)
                leaves.append(value)
            elif name in self._whole:
                if self._objects and _are_objects(value):
                    parts += (name, len(value))
                    leaves += value
                else:
                    parts += (name, self._dump(value))
            elif name in self._read:
                parts += (name, _part(value, leaves, 0))
        if len(leaves) > _MOST_LEAVES:
            raise _Unshaped
        return tuple(parts)

    def _dump(self, value: Any) -> bytes:
        """Return a value as bytes that are equal for equal values of equal types."""
        if id(value) in self._dumped:
            return self._dumped[id(value)][1]
        dumped = marshal.dumps(value, 2)
        if len(dumped) <= _LONGEST_KEY:  # what is longer is in no key that is known, and takes much memory
            if len(self._dumped) >= _MOST_DUMPED:
                self._dumped.clear()
            self._dumped[id(value)] = value, dumped
        return dumped

    def _built(self, row: dict[str, Any], leaf: Callable[[Any], object]) -> dict[str, object]:
        """Return a row with placeholders for what `_key` calls leaves, in the same order."""
        made: dict[str, object] = {}
        for name, value in row.items():
            if type(value) is str and name not in self._whole:
                made[name] = leaf(value)
            elif name in self._whole:
                made[name] = list(map(leaf, value)) if self._objects and _are_objects(value) else value
            elif name in self._read:
                made[name] = _with_leaves(value, leaf)
        return made


def _reader(key: Any) -> Callable[[object], list[object] | None] | None:
    """Return what gives the leaves of most rows of a shape in a third of the time that `Shapes._key` takes.

    It gives None for rows of other shapes, and some of this one. There is one for plain rows alone: of texts and lists
    of messages whose fields are texts.
    """
    lines, leaves = ["def read(v):"], list[str]()
    if not _add_reading((key[::2], *key[1::2]), "v", lines, leaves):
        return None
    space: dict[str, Any] = {}
    exec("\n".join([*lines, f" return [{', '.join(leaves)}]"]), space)
    return cast("Callable[[object], list[object] | None]", space["read"])


def _add_reading(part: Any, at: str, lines: list[str], leaves: list[str]) -> bool:
    """Add what unpacks a part of a row and compares its shape, and the names of its leaves, unless it is none of text.

    A part is what `_part` gives; ``at`` is the name that the row's own one has.
    """
    if part is str:
        lines.append(f" if type({at}) is not str: return None")
        leaves.append(at)
    if type(part) is not tuple:
        return part is str
    names = [f"{at}_{number}" for number in range(len(part) - 1)]
    if part[0] is list:
        lines.append(f" if type({at}) is not list or len({at}) != {len(names)}: return None")
        lines.append(f" [{', '.join(names)}] = {at}")
    else:
        lines.append(f" if type({at}) is not dict or tuple({at}) != {part[0]!r}: return None")
        lines.append(f" [{', '.join(names)}] = {at}.values()")
    for key, each, name in zip(names if part[0] is list else part[0], part[1:], names, strict=True):
        if key in _NAMING and type(each) is str:
            lines.append(f" if type({name}) is not str or {name} != {each!r}: return None")
        elif key in _NAMING or not _add_reading(each, name, lines, leaves):
            return False
    return True


def _are_objects(value: object) -> bool:
    return type(value) is list and all(type(each) is dict for each in value)


def _told(shape: _Shape, program: Callable[[list[object]], object], leaves: list[object]) -> Any:
    """Return what a program tells of a row, None where it doesn't."""
    try:
        with _STEP:
            return program(leaves)
    except LimitExceeded:
        shape.close()
    except Exception:  # what fails here fails without a program, too, and is told then
        pass
    return None


def _part(value: Any, leaves: list[object], depth: int) -> object:
    """Return the shape of a part of a row; it adds to the leaves what `_with_leaves` replaces, in the same order."""
    kind = type(value)
    if kind is str:
        leaves.append(value)
        return str
    if depth > _DEEPEST:
        raise _Unshaped
    if kind is dict:
        parts: list[object] = [tuple(value)]
        for key, each in value.items():
            if type(each) is not str:
                parts.append(_part(each, leaves, depth + 1))
            elif key in _NAMING and len(each) <= _LONGEST_NAME:
                parts.append(each)
            else:
                leaves.append(each)
                parts.append(str)
        return tuple(parts)
    if kind is list:
        return (list, *[_part(each, leaves, depth + 1) for each in value])
    if value is None or kind is bool:
        return value
    if kind not in (int, float) or value != value:
        raise _Unshaped
    leaves.append(value)
    return kind


def _with_leaves(value: Any, leaf: Callable[[Any], object]) -> object:
    kind = type(value)
    if kind is dict:
        return {
            key: each
            if type(each) is str and key in _NAMING and len(each) <= _LONGEST_NAME
            else _with_leaves(each, leaf)
            for key, each in value.items()
        }
    if kind is list:
        return [_with_leaves(each, leaf) for each in value]
    return value if value is None or kind is bool else leaf(value)


def _is_json(value: object) -> bool:
    """Whether all keys are texts: others may be equal and yet differ."""
    if type(value) is dict:
        return all(type(key) is str and _is_json(each) for key, each in value.items())
    return all(map(_is_json, value)) if type(value) is list else True
