"""A run on placeholders as a program: what was done to the texts of a row, and what has to be so in another one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, NoReturn, cast

# A program that is longer costs more than it saves.
_MOST_STEPS = 2000
# What is short stands in the program as it is.
_SHORT = 80
# Shorter texts are equal by chance.
_TELLING = 16
# What an operation may give, in items and nested.
_MOST_ITEMS, _DEEPEST = 64, 4


class Unmodelled(BaseException):
    """An operation on a placeholder that no program has. Not an Exception: nothing on the way shall handle it."""


def refused(*_: object, **__: object) -> NoReturn:
    """Refuse an operation, whatever it is given."""
    raise Unmodelled("an operation that isn't modelled")


class Placeholder:
    """What stands for a value in a run: the value itself, and its name in the program.

    It has no operation but those that a subclass lists.
    """

    __slots__ = ("name", "run", "value")

    def __init__(self, run: Recording, name: str, value: Any) -> None:
        self.run, self.name, self.value = run, name, value

    for _name in (
        *("hash", "str", "repr", "format", "bytes", "len", "iter", "reversed", "contains", "getitem", "index", "int"),
        *("float", "complex", "trunc", "round", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert", "copy"),
        *("deepcopy", "reduce", "reduce_ex"),
        *(f"{side}{name}" for side in ("", "r") for name in ("add", "sub", "mul", "mod", "divmod", "pow", "matmul")),
        *(f"{side}{name}" for side in ("", "r") for name in ("truediv", "floordiv", "lshift", "rshift", "and", "or")),
    ):
        locals()[f"__{_name}__"] = refused
    del _name

    def __getattr__(self, name: str) -> Any:
        if hasattr(type(self.value), name):
            raise Unmodelled(f"its {name}")
        raise AttributeError(name)

    def __bool__(self) -> bool:
        return cast(bool, self.run.step("({})", self, value=lambda: bool(self.value)))

    def __eq__(self, other: object) -> bool:
        return self._compared("==", other)

    def __ne__(self, other: object) -> bool:
        return self._compared("!=", other)

    def _compared(self, sign: str, other: object) -> bool:
        if other is self:  # a number that isn't equal to itself is never one
            return sign == "=="
        if not (isinstance(other, Placeholder) or type(other) in (str, int, float, bool)):
            if isinstance(other, (str, int, float)):
                raise Unmodelled("a text or number of another kind")
            return NotImplemented  # type: ignore[no-any-return]
        same = self.value == value_of(other)
        return cast(bool, self.run.step(f"({{}} {sign} {{}})", self, other, value=lambda: same is (sign == "==")))


def value_of(value: object) -> Any:
    """Return a value of this row, in the place of all placeholders in it."""
    if isinstance(value, Placeholder):
        return value.value
    if isinstance(value, (dict, list, tuple)) and holds_placeholder(value):
        if isinstance(value, dict):
            return {key: value_of(each) for key, each in value.items()}
        return _remade(type(value), [value_of(each) for each in value])
    return value


def holds_placeholder(value: Any) -> bool:
    """Whether a value is a placeholder, or a list or mapping that holds one."""
    if isinstance(value, Placeholder):
        return True
    if isinstance(value, dict):
        return any(map(holds_placeholder, value.values()))
    return isinstance(value, (list, tuple)) and any(map(holds_placeholder, value))


def _remade(kind: type, items: list[object]) -> object:
    return items if kind is list else tuple(items) if kind is tuple else kind(*items)


def _ends_apart(text: object, mark: str) -> bool:
    """Whether a mark can't begin in a text, or before it, and end behind it."""
    return type(text) is str and text not in mark and not any(map(text.endswith, _beginnings(mark)))


def _begins_apart(text: object, mark: str) -> bool:
    """Whether a mark can't begin before a text and end in it, or behind it."""
    return type(text) is str and _ends_apart(text[::-1], mark[::-1])


def _beginnings(mark: str) -> list[str]:
    return [mark[:end] for end in range(1, len(mark))]


class _Step(NamedTuple):
    """One step of a program: the name that it gives a value, its line, and the names in it.

    A condition gives none. Nor does what unpacks a value, which is a condition as well: of how much there is.
    """

    gives: str
    line: str
    uses: tuple[str, ...]


class Program:
    """What gives the result for the leaves of another row, None where the run would take another way.

    An exception tells the same. It can be sent to another process.
    """

    def __init__(self, source: str, constants: Mapping[str, object]) -> None:
        self.source = source
        # Many programs have the same long texts, such as the template: each is held once.
        self.constants = {name: sys.intern(each) if type(each) is str else each for name, each in constants.items()}
        # Of functions that note what they are given where a run is recorded, the plain ones.
        space = {name: getattr(value, "__wrapped__", value) for name, value in self.constants.items()}
        exec(source, space)
        self.run = cast("Callable[[list[Any]], Any]", space["run"])

    def __call__(self, leaves: list[object]) -> object:
        return self.run(leaves)

    def __reduce__(self) -> tuple[type[Program], tuple[str, Mapping[str, object]]]:
        return Program, (self.source, self.constants)


class Recording:
    """One run, and its program. ``kinds`` are the placeholders of all kinds of values."""

    def __init__(self, kinds: Mapping[object, type[Placeholder]]) -> None:
        self._kinds = kinds
        self._steps: list[_Step] = []
        self._constants: dict[str, object] = {}
        self._names: dict[int, str] = {}
        self._known: dict[str, object] = {}
        self._leaves = self._items = 0
        # Of what texts a text was joined, by its name.
        self._joined: dict[str, list[Any]] = {}
        # The texts that a text holds, and those that hold it, by names: what is known of every row.
        self._inside: dict[str, set[str]] = {}
        self._around: dict[str, str] = {}
        # What texts were before white space at their ends was lost, and those that have none any more.
        self._cores: dict[str, str] = {}
        self._bare: set[str] = set()

    @property
    def steps(self) -> int:
        """How many steps there are so far."""
        return len(self._steps)

    def leaf(self, value: str | int | float | dict[str, object]) -> Placeholder:
        """Return the placeholder of a row's own text, number or object. They are numbered in the order of asking."""
        self._leaves += 1
        kind = str if type(value) is str else dict if type(value) is dict else "number"
        return self._kinds[kind](self, f"t{self._leaves - 1}", value)

    def program(self, result: object) -> Program:
        """Return the program that gives the result for the leaves of another row.

        What no condition and no result needs is left out, as no operation fails.
        """
        uses: list[str] = []
        lines = [f" return {self._told(result, uses)}"]
        wanted = set(uses)
        for step in reversed(self._steps):
            if not step.gives or step.gives in wanted:
                wanted.update(step.uses)
                lines.append(f" {step.line}")
        lines.append(f" [{', '.join(f't{number}' for number in range(self._leaves))}] = leaves")
        return Program("\n".join(["def run(leaves):", *reversed(lines)]), self._constants)

    def knows(self, form: str, *operands: object) -> bool:
        """Whether an operation was noted before, so that what it gives costs nothing."""
        return form.format(*[self._told(each, []) for each in operands]) in self._known

    def parts(self, text: Placeholder, mark: str) -> list[Any]:
        """Return the texts of which one is joined, itself alone where the mark may stand across the end of one."""
        parts = self._joined.get(text.name, [text])
        apart = all(_ends_apart(one, mark) or _begins_apart(two, mark) for one, two in pairwise(parts))
        return parts if apart else [text]

    def join(self, between: str, parts: Sequence[object]) -> object:
        """Return texts with another one between them; nothing is joined on the way to what is joined again."""
        merged: list[object] = []
        for each in parts:
            known = self._joined.get(each.name) if isinstance(each, Placeholder) and not between else None
            for one in known or [each]:
                if not between and merged and type(one) is type(merged[-1]) is str:
                    merged[-1] += one
                elif between or type(one) is not str or one:
                    merged.append(one)
        if len(merged) == 1:
            return merged[0]
        form = f"{{}}.join(({', '.join(['{}'] * len(merged))},))"
        made = self.step(form, between, *merged, value=lambda: between.join(map(value_of, merged)))
        if isinstance(made, Placeholder) and not between:
            self._joined[made.name] = merged
        return self.note_holds(made, *parts)

    def note_holds(self, made: object, *parts: object) -> object:
        """Note that a text holds others, since it is made of them, and return it."""
        if isinstance(made, Placeholder):
            inside = self._inside.setdefault(made.name, {made.name})
            for each in parts:
                if isinstance(each, Placeholder):
                    inside |= self._inside.get(each.name, {each.name})
        return made

    def note_part(self, made: object, whole: Placeholder, *, stripped: bool = False, bare: bool = False) -> object:
        """Note that a text is a part of another, and return it.

        It may have lost nothing but white space at its ends (``stripped``), and all of that (``bare``).
        """
        if isinstance(made, Placeholder):
            self._around[made.name] = whole.name
            if stripped:
                self._cores[made.name] = self._cores.get(whole.name, whole.name)
            if bare:
                self._bare.add(made.name)
        return made

    def always_holds(self, whole: Placeholder, part: object) -> bool:
        """Whether a text holds another in each row, by what was noted, or what is noted now: that two are equal."""
        if not isinstance(part, Placeholder):
            return False
        name: str | None = part.name
        inside = self._inside.get(whole.name, {whole.name})
        cores = {self._cores.get(each, each) for each in inside}
        while name and not (name in inside or (name in self._bare and self._cores[name] in cores)):
            name = self._around.get(name)
        return name is not None or self._is_joined_of(whole, part)

    def _is_joined_of(self, whole: Placeholder, part: Placeholder) -> bool:
        """Whether a text is joined of one that is equal to another, and not by chance; in other rows it has to be."""
        for each in self._joined.get(whole.name, ()) if len(part.value) >= _TELLING else ():
            if isinstance(each, Placeholder) and each.value == part.value:
                return cast(bool, self.step("({} == {})", each, part, value=lambda: True))
        return False

    def step(self, form: str, *operands: object, value: Callable[[], object]) -> object:
        """Note an operation, which is its ``form`` with the operands put in, and return what it gives.

        ``value`` computes that for this row. An operation must never fail, whatever the row: where this one does,
        Unmodelled is raised.
        """
        uses: list[str] = []
        says = form.format(*[self._told(each, uses) for each in operands])
        if says not in self._known:
            try:
                found = value()
            except Exception as error:
                raise Unmodelled(f"it raises {type(error).__name__}") from None
            self._known[says] = self._noted(says, found, tuple(uses))
        return self._known[says]

    def _noted(self, says: str, value: object, uses: tuple[str, ...]) -> object:
        kind = type(value)
        if kind is bool:
            self._add("", f"if not {says}: return None" if value else f"if {says}: return None", uses)
            return value
        if value is None:
            self._add("", f"if {says} is not None: return None", uses)
            return None
        if kind not in self._kinds and isinstance(value, (list, tuple)):
            target, note = self._unpacked(value, 0)
            self._add("", f"{target} = {says}", uses)
            return note()
        if kind not in self._kinds:
            raise Unmodelled(f"a value of type {kind.__name__}")
        if says in uses:  # it is unpacked already
            return self._kinds[kind](self, says, value)
        name = f"r{len(self._steps)}"
        self._add(name, f"{name} = {says}", uses)
        return self._kinds[kind](self, name, value)

    def _unpacked(self, value: object, depth: int) -> tuple[str, Callable[[], object]]:
        """Return the names that a value is unpacked to, and what notes its items once that is done."""
        if type(value) in self._kinds or not isinstance(value, (list, tuple)):
            self._items += 1
            name = f"i{self._items}"
            return name, lambda: self._noted(name, value, (name,))
        if len(value) > _MOST_ITEMS or depth > _DEEPEST:
            raise Unmodelled("a list that is too long or deep")
        parts = [self._unpacked(each, depth + 1) for each in value]
        names = ", ".join(name for name, _ in parts)
        return f"[{names}]", lambda: _remade(type(value), [note() for _, note in parts])

    def _add(self, gives: str, line: str, uses: tuple[str, ...]) -> None:
        if len(self._steps) >= _MOST_STEPS:
            raise Unmodelled("too many steps")
        self._steps.append(_Step(gives, line, uses))

    def _told(self, value: Any, uses: list[str]) -> str:
        """Return a value, which may hold placeholders, as programs say it; ``uses`` gets the names that it needs."""
        if isinstance(value, Placeholder):
            uses.append(value.name)
            return value.name
        kind = type(value)
        if value is None or kind in (bool, int) or (kind is str and len(value) <= _SHORT):
            return f"({value!r})" if kind is int and value < 0 else repr(value)
        if isinstance(value, (dict, list, tuple)) and holds_placeholder(value):
            if isinstance(value, dict):
                items = (f"{self._told(key, uses)}: {self._told(each, uses)}" for key, each in value.items())
                return f"{{{', '.join(items)}}}"
            inner = "".join(f"{self._told(each, uses)}, " for each in value)
            if kind is list:
                return f"[{inner}]"
            return f"({inner})" if kind is tuple else f"{self._constant(kind)}({inner})"
        if isinstance(value, (dict, list)):
            if value:
                raise Unmodelled("a value that may change after this")
            return repr(value)
        return self._constant(value)

    def _constant(self, value: object) -> str:
        if id(value) not in self._names:
            self._names[id(value)] = name = f"c{len(self._constants)}"
            self._constants[name] = value
        return self._names[id(value)]
