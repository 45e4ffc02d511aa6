"""jinja2's immutable sandbox, made quicker for what chat templates do all the time.

A repair takes tens of thousands of renderings, and most of their time goes into asking what may be read and called.
Whether an attribute of a plain value may be read depends on the value's type alone, and methods of plain values and
macros are always safe to call: so it is asked once. Every other value is left to jinja2.
"""

from __future__ import annotations

from types import BuiltinMethodType, NoneType
from typing import Any

from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

_PLAIN = frozenset({str, dict, list, tuple, int, float, bool, NoneType})
_FORMATS = ("format", "format_map")


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment that renders exactly as ``ImmutableSandboxedEnvironment`` does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._readable: dict[tuple[type, str], bool] = {}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return an attribute of ``obj``, or its item of that name, or undefined."""
        kind = type(obj)
        if kind in _PLAIN:
            if not hasattr(kind, attribute):
                try:
                    return obj[attribute]
                except (TypeError, LookupError):
                    return self.undefined(obj=obj, name=attribute)
            readable = self._readable.get((kind, attribute))
            if readable is None:
                readable = attribute not in _FORMATS and self.is_safe_attribute(obj, attribute, None)
                self._readable[kind, attribute] = readable
            if readable:
                return getattr(obj, attribute)
        return super().getattr(obj, attribute)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call ``__obj`` for a template."""
        kind = type(__obj)
        if kind is Macro:
            args = (__context.eval_ctx, *args)
        elif kind is not BuiltinMethodType:
            return super().call(__context, __obj, *args, **kwargs)
        kwargs.pop("_block_vars", None)
        kwargs.pop("_loop_vars", None)
        return __obj(*args, **kwargs)
