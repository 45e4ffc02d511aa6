"""jinja2's immutable sandbox, made quicker for what chat templates do all the time.

A repair takes tens of thousands of renderings, and most of their time goes into asking what may be read and called.
Whether an attribute of a plain value, a loop or a namespace may be read depends on its type alone, and methods of plain
values and macros are always safe to call: so it is asked once. Every other value is left to jinja2. That takes 7 to 23%
off the time of a check, a third of it by the calls, and 8 to 18% off that of a patch.
"""

from __future__ import annotations

from collections.abc import Collection
from types import BuiltinMethodType, NoneType
from typing import Any

from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from template_fix.jinja.generator import Generator

_PLAIN = frozenset({str, dict, list, tuple, int, float, bool, NoneType})
_FORMATS = ("format", "format_map")
# How an attribute of a type is read: as what it is, as the item of that name, or by jinja2.
_ATTRIBUTE, _ITEM, _ASKED = range(3)


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment that renders exactly as ``ImmutableSandboxedEnvironment`` does.

    ``plain_calls`` are classes that may be called and don't ask for the context.
    """

    code_generator_class = Generator

    def __init__(self, *args: object, plain_calls: Collection[type] = (), **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._plain_calls = frozenset(plain_calls)
        self._ways: dict[tuple[type, str], int] = {}

    def getattr(self, obj: Any, attribute: str) -> object:
        """Return an attribute of ``obj``, or its item of that name, or undefined."""
        known = (type(obj), attribute)
        way = self._ways.get(known)
        if way is None:
            way = self._ways[known] = self._way(obj, attribute)
        if way == _ITEM:
            try:
                return obj[attribute]
            except (TypeError, LookupError):
                return self.undefined(obj=obj, name=attribute)
        if way == _ATTRIBUTE:
            try:
                return getattr(obj, attribute)
            except AttributeError:  # of a namespace that doesn't have it yet
                pass
        return super().getattr(obj, attribute)

    def _way(self, obj: object, attribute: str) -> int:
        kind = type(obj)
        if kind in _PLAIN and not hasattr(kind, attribute):
            return _ITEM
        own = kind in _PLAIN or isinstance(obj, LoopContext | Namespace)
        return (
            _ATTRIBUTE if own and attribute not in _FORMATS and self.is_safe_attribute(obj, attribute, None) else _ASKED
        )

    def call(__self, __context: Context, __obj: Any, *args: object, **kwargs: object) -> object:
        """Call ``__obj`` for a template."""
        kind = type(__obj)
        if kind is Macro:
            args = (__context.eval_ctx, *args)
        elif kind is not BuiltinMethodType and not (kind is type and __obj in __self._plain_calls):
            return super().call(__context, __obj, *args, **kwargs)
        kwargs.pop("_block_vars", None)
        kwargs.pop("_loop_vars", None)
        return __obj(*args, **kwargs)
