"""The Jinja environment that chat templates run in: that of transformers, rebuilt from jinja2 alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import nodes, pass_context
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.utils import Namespace

from template_fix.jinja.sandbox import Sandbox
from template_fix.text.edits import Span

# The variable by which a rendering has its `Generated`.
GENERATED = "template_fix_generated"


@dataclass
class Generated:
    """What generation markers enclose in one rendering: ``blocks`` is printed text, ``spans`` what was marked of it.

    As in transformers, a marker counts what has been printed until then: inside of macros, ``set`` blocks and filters,
    whose text is added when they are done, it counts wrong.
    """

    blocks: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)


class Generation(Extension):
    """Parse ``{% generation %}`` as transformers does; rendering prints what it encloses."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 declares it as an instance attribute

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_print"), [], [], body).set_lineno(line)

    @pass_context
    def _print(self, context: Context, caller: Callable[[], str]) -> str:
        printed = caller()
        generated = context.parent.get(GENERATED)
        if generated is not None:
            start = sum(map(len, generated.blocks))
            generated.spans.append(Span(start, start + len(printed)))
        return printed


class _Dict:
    """The ``dict`` of templates: the constructor and ``fromkeys``, and no class to climb from."""

    def __call__(self, *args: object, **kwargs: object) -> dict[Any, object]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any, **kwargs: object) -> dict[object, object]:
        return dict.fromkeys(*args, **kwargs)


class _Namespace(Namespace):
    """jinja2's namespace, which in transformers rejects names with a leading underscore."""

    def __init__(*args: Any, **kwargs: object) -> None:
        self, *rest = args
        values = dict(*rest, **kwargs)
        for name in values:
            if isinstance(name, str) and name.startswith("_"):
                raise SecurityError(_HIDDEN.format(name))
        self.__attrs = values  # under jinja2's own name: both classes are called so

    def __getattribute__(self, name: str) -> object:
        if name in _KEPT:
            return _get(self, name)
        try:
            return _get(self, _ATTRIBUTES)[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setitem__(self, name: str, value: object) -> None:
        if isinstance(name, str) and name.startswith("_"):
            raise SecurityError(_HIDDEN.format(name))
        _get(self, _ATTRIBUTES)[name] = value


_HIDDEN = "chat templates can't store the attribute {!r} on a namespace"
# Where jinja2's class keeps the attributes, and what else is read of the object itself.
_ATTRIBUTES, _KEPT = "_Namespace__attrs", {"_Namespace__attrs", "__class__"}
_get = object.__getattribute__


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _tojson(
    x: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@lru_cache(maxsize=1)
def _now() -> datetime:
    """Return one time for all renderings: a clock that goes on would pass for a change of the template's own."""
    return datetime.now()


def _strftime_now(format: str) -> str:
    return _now().strftime(format)


@lru_cache(maxsize=1)
def environment() -> Sandbox:
    """Return the Jinja environment in which transformers renders chat templates."""
    extensions = (Generation, loopcontrols)
    made = Sandbox(plain_calls={_Namespace}, trim_blocks=True, lstrip_blocks=True, extensions=extensions)
    made.filters["tojson"] = _tojson
    made.globals.update(
        raise_exception=_raise_exception, strftime_now=_strftime_now, dict=_Dict(), namespace=_Namespace
    )
    return made
