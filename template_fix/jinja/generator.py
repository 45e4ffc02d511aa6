"""jinja2's code generator with less of the same work: what it generates is the same code, character by character."""

from __future__ import annotations

from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.idtracking import VAR_LOAD_RESOLVE
from jinja2.optimizer import Optimizer


class _Folding(Optimizer):
    """jinja2's folding of constants, where each expression is looked at once.

    The generator asks for it at every level of an expression, and each time all that is inside is folded anew, which
    changes nothing any more. That takes a fifth of the time of compiling.
    """

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._folded: dict[int, nodes.Node] = {}  # they stay, and so do their identities

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        if id(node) in self._folded:
            return node
        made = self.generic_visit(node, *args, **kwargs)
        self._folded[id(made)] = made
        return made


class Generator(CodeGenerator):
    """jinja2's code generator; ``undeclared`` gets the names that are looked up in the context."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.undeclared: set[str] = set()
        if self.optimizer is not None:
            self.optimizer = _Folding(self.environment)

    def enter_frame(self, frame: Frame) -> None:
        """Write what a frame begins with."""
        super().enter_frame(frame)
        self.undeclared.update(name for action, name in frame.symbols.loads.values() if action == VAR_LOAD_RESOLVE)
