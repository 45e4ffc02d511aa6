"""Rendering a chat template as transformers does, with failures as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from jinja2 import Environment, TemplateError, TemplateSyntaxError, nodes
from jinja2 import Template as Compiled
from jinja2.utils import missing

from template_fix.bounds.limits import LimitExceeded, step
from template_fix.jinja.environment import GENERATED, Generated, environment
from template_fix.jinja.queries import generate
from template_fix.text.display import UserError, one_line
from template_fix.text.edits import Span

# A message and a tool may hold anything that a template looks for; a few keys have a meaning for all of them.
Message = Mapping[str, Any]
Tool = Mapping[str, object]
Variables = Mapping[str, object]
REASONING_FIELDS = ("reasoning_content", "thinking", "reasoning")


class RenderError(UserError, ValueError):
    """A template that can't be compiled or rendered; the message is one line."""


@dataclass(frozen=True)
class Failure:
    """Why a rendering failed: the message of the template or of Jinja, in one line, and the template's line, or 0.

    ``raised`` says that the template refused with ``raise_exception``: what it says is meant for people.
    """

    reason: str
    line: int = field(default=0, compare=False)
    raised: bool = field(default=False, compare=False)


class Renderer:
    """A compiled chat template. Raises RenderError and LimitExceeded.

    ``template`` is its source, or its syntax tree, which compiling uses up. ``variables`` are what every rendering gets
    besides its own arguments, such as ``bos_token``.
    """

    def __init__(
        self,
        template: str | nodes.Template,
        variables: Variables | None = None,
        compiler: Environment | None = None,
    ) -> None:
        self.variables = dict(variables or {})
        with step("compiling the template"):
            self._compiled = _compiled(template, compiler or environment())

    def with_variables(self, variables: Variables) -> Renderer:
        """Return the same compiled template with more variables."""
        other = copy(self)
        other.variables = {**self.variables, **variables}
        return other

    def elsewhere(self, compiler: Environment, names: Variables) -> Renderer:
        """Return the same compiled code in another environment, where ``names`` stand for others than in jinja2's.

        The environment must have all of this one's filters and tests, which are passed what these are passed.
        """
        other, root = copy(self), self._compiled.root_render_func
        space = {**root.__globals__, **names, "environment": compiler}
        space["root"] = FunctionType(root.__code__, space, "root", (missing, compiler))
        other._compiled = Compiled._from_namespace(compiler, space, dict(compiler.globals))
        return other

    def __call__(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] | None = None,
        add_generation_prompt: bool = False,
        /,
        **flags: object,
    ) -> str | Failure:
        """Return what the template prints for these arguments, or the reason why it doesn't."""
        printed = self.parts(messages, tools, add_generation_prompt, flags, [])
        return printed if isinstance(printed, Failure) else "".join(printed)

    def generated(
        self, messages: Sequence[Message], tools: Sequence[Tool] | None = None, **flags: object
    ) -> tuple[str, tuple[Span, ...]] | Failure:
        """Return what is printed of a conversation, and what of it generation markers enclose.

        The spans are those of ``return_assistant_tokens_mask`` in transformers.
        """
        generated = Generated()
        printed = self.parts(messages, tools, False, {**flags, GENERATED: generated}, generated.blocks)
        return printed if isinstance(printed, Failure) else ("".join(printed), tuple(generated.spans))

    def parts(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] | None,
        add_generation_prompt: bool,
        flags: Variables,
        parts: list[str],
    ) -> list[str] | Failure:
        """Add to ``parts`` what the template prints, constants and expressions one by one, and return them."""
        given = {
            "messages": list(messages),  # templates put messages in front of them, as only a list lets them
            "tools": None if tools is None else list(tools),
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
            **self.variables,
            **flags,
        }
        with step("rendering the template"):
            try:
                parts.extend(self._compiled.root_render_func(self._compiled.new_context(given)))
                return parts
            except (MemoryError, LimitExceeded):
                raise
            except RecursionError:
                return Failure("the template calls itself without end")
            except Exception as error:  # whatever a template's own operations raise is that template's failure
                return Failure(_one_line(error), self._line(error), type(error) is TemplateError)

    def _line(self, error: Exception) -> int:
        """Return the line of the template at which an error was raised, 0 where none is known."""
        line, trace = 0, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == "<template>":
                line = self._compiled.get_corresponding_lineno(trace.tb_lineno)
            trace = trace.tb_next
        return line


def _compiled(template: str | nodes.Template, compiler: Environment) -> Compiled:
    try:
        python = generate(template)[0] if isinstance(template, str) else compiler.compile(template, raw=True)
        # jinja2 copies the globals for each rendering; a chain of maps, as it makes one, takes it longest.
        return Compiled.from_code(compiler, compile(python, "<template>", "exec"), dict(compiler.globals))
    except TemplateSyntaxError as error:
        raise RenderError(f"line {error.lineno}: {error.message}") from None
    except (RecursionError, IndentationError):
        # Python's answer to 100 nested blocks in what jinja2 generates.
        raise RenderError("the template is nested too deeply to be compiled") from None
    except SyntaxError as error:  # a break outside of loops; its line is one of the generated code
        raise RenderError(f"Python can't compile it: {error.msg}") from None
    except ValueError as error:  # a number of thousands of digits
        raise RenderError(f"Python can't compile it: {_one_line(error)}") from None


def _one_line(error: Exception) -> str:
    return one_line(str(error), 500) or type(error).__name__


def prepare_messages(messages: Sequence[Message]) -> list[dict[str, object]]:
    """Return the messages as a template sees them in transformers 5.23.

    That version drops keys whose value is None and passes a message's reasoning under ``reasoning_content`` and
    ``thinking``, whichever of the three known names it came by. Versions before 5 do neither.
    """
    return [_prepared(message) for message in messages]


def _prepared(message: Message) -> dict[str, object]:
    kept = {key: value for key, value in message.items() if value is not None}
    for name in REASONING_FIELDS:
        if name in kept:
            return {"thinking": kept[name], **kept, "reasoning_content": kept[name]}
    return kept
