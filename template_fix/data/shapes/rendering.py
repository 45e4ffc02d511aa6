"""A compiled template that runs on placeholders: the same code as ever, among operations that note what is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NoReturn, cast

from jinja2 import Environment, pass_eval_context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import test_sequence

from template_fix.data.shapes.operations import join, length, recorded
from template_fix.data.shapes.recording import Placeholder, Unmodelled, holds_placeholder
from template_fix.jinja.environment import environment
from template_fix.jinja.renderer import Failure, Message, Renderer, Tool
from template_fix.jinja.sandbox import Sandbox

# Those that ask a value only what placeholders answer, be it for the type that they pass for.
_FILTERS = ("trim", "upper", "lower", "capitalize", "default", "d", "string", "list", "items")
_TESTS = (
    *("string", "none", "defined", "undefined", "mapping", "number", "integer", "float", "boolean", "true", "false"),
    *("iterable", "eq", "==", "equalto", "ne", "!=", "in"),
)


def _refused(*_: object, **__: object) -> NoReturn:
    raise Unmodelled("what isn't the same each time")


def _listed(function: Any) -> Callable[..., object]:
    """Return a filter or test that refuses placeholders; lists that hold some ask of them what they must."""

    def call(*given: object, **named: object) -> object:
        if any(isinstance(each, Placeholder) for each in (*given, *named.values())):
            raise Unmodelled("a filter or test that isn't modelled")
        return function(*given, **named)

    # Attributes say what jinja2 passes as the first argument.
    call.__dict__.update(getattr(function, "__dict__", {}))
    return call


@recorded
def _json(value: object, *settings: object) -> str:
    ensure_ascii, indent, separators, sort_keys = settings
    return _encoder(ensure_ascii, indent, separators, sort_keys).encode(value)


@lru_cache(maxsize=16)
def _encoder(
    ensure_ascii: bool, indent: int | None, separators: tuple[str, str] | None, sort_keys: bool
) -> json.JSONEncoder:
    return json.JSONEncoder(ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _tojson(
    x: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return _json(x, ensure_ascii, indent, tuple(separators) if separators else None, sort_keys)


@pass_eval_context
def _replaced(_: object, text: object, old: object, new: object, count: object = None) -> object:
    return _printed(text).replace(_printed(old), _printed(new), -1 if count is None else count)


def _length(value: Any) -> object:
    return length(value) if isinstance(value, str) else len(value)


@pass_eval_context
def _join(_: object, value: Any, between: Any = "", attribute: object = None) -> object:
    if attribute is not None or not isinstance(between, str):
        raise Unmodelled("a join of attributes")
    return join(between, [_printed(each) for each in value])


def _is_sequence(value: object) -> bool:
    return isinstance(value, (str, list, dict)) if isinstance(value, Placeholder) else test_sequence(value)


@recorded
def _number_as_text(value: object) -> str:
    return str(value)


def _printed(value: object) -> Any:
    """Return what is printed of a value: ``str`` of it."""
    if not isinstance(value, Placeholder):
        if isinstance(value, (list, tuple, dict)) and holds_placeholder(value):
            raise Unmodelled("a list that is printed")
        return str(value)
    return value if isinstance(value, str) else _number_as_text(value)


def _concat(parts: Iterable[Any]) -> Any:
    return join("", parts)


def _str_join(parts: Iterable[object]) -> object:
    return join("", [_printed(each) for each in parts])


class _RecordingSandbox(Sandbox):
    """The environment of templates, where placeholders have the attributes of texts that are modelled."""

    concat = staticmethod(_concat)

    def getattr(self, obj: object, attribute: str) -> object:
        if not isinstance(obj, Placeholder):
            return super().getattr(obj, attribute)
        if isinstance(obj, dict):
            raise Unmodelled("what is in an object")
        if not hasattr(type(obj.value), attribute):
            return self.undefined(name=attribute)
        if attribute.startswith("_"):
            raise Unmodelled("what no template may ask")
        return getattr(obj, attribute)

    def getitem(self, obj: object, argument: object) -> object:
        if isinstance(argument, Placeholder):
            raise Unmodelled("a key that isn't known")
        if not isinstance(obj, Placeholder):
            return super().getitem(obj, argument)
        return self.getattr(obj, argument) if isinstance(argument, str) else cast(Any, obj)[argument]


def _recording_environment(known: Environment) -> ImmutableSandboxedEnvironment:
    made = _RecordingSandbox(trim_blocks=True, lstrip_blocks=True)
    made.extensions = known.extensions
    made.globals = {**known.globals, "lipsum": _refused}
    made.filters = {name: filter if name in _FILTERS else _listed(filter) for name, filter in known.filters.items()}
    made.filters.update(random=_refused, tojson=_tojson, replace=_replaced, length=_length, count=_length, join=_join)
    made.tests = {name: test if name in _TESTS else _listed(test) for name, test in known.tests.items()}
    made.tests.update(sequence=_is_sequence)
    return made


class RecordingRenderer:
    """A renderer whose template runs on placeholders."""

    def __init__(self, renderer: Renderer) -> None:
        names = {"str": _printed, "str_join": _str_join}
        self._renderer = renderer.elsewhere(_recording_environment(environment()), names)

    def __call__(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] | None = None,
        add_generation_prompt: bool = False,
        **flags: object,
    ) -> object:
        """Return what the template prints. Raises Unmodelled where it fails: nobody knows whose fault that is."""
        printed = self._renderer.parts(messages, tools, add_generation_prompt, flags, [])
        if isinstance(printed, Failure):
            raise Unmodelled(f"it fails: {printed.reason}")
        return join("", printed)
