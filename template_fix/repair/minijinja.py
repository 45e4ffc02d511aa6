"""What another engine makes of a template: minijinja, tried where it is installed, beside transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from template_fix.bounds.limits import step
from template_fix.contract.examination import Examination
from template_fix.conversations.probe import Probe
from template_fix.jinja.renderer import Failure, Message, Tool, Variables
from template_fix.jinja.templates import Template
from template_fix.text.edits import Span, common_prefix
from template_fix.trace.recorder import trace_template

# Steps of minijinja's own counter: a template that loops for ever is stopped after some tenths of a second.
_FUEL = 10_000_000


class Rendering(NamedTuple):
    """A conversation, with the generation prompt or without, as transformers prints it and as an engine does."""

    probe: Probe
    prompt: bool
    expected: str
    printed: str = ""


@dataclass(frozen=True)
class Difference:
    """One way in which an engine differs from transformers, and how many renderings show it.

    ``reason`` is the engine's own where it refuses, "" where it prints another text. ``case`` is the shortest of them,
    ``at`` the expression that differs, as far as that is known.
    """

    reason: str
    count: int
    case: Rendering
    at: Span | None


@dataclass(frozen=True)
class Refusal:
    """Why an engine prints nothing of a conversation, and where in the template it stopped."""

    reason: str
    at: Span | None = None


class Minijinja:
    """A template in minijinja, set up as the servers that use it do; raises ImportError where it isn't installed."""

    def __init__(self, source: str, variables: Variables) -> None:
        from minijinja import Environment

        def raise_exception(message: str) -> None:
            raise ValueError(message)

        self.source, self.variables = source, dict(variables)
        self._made = Environment(loader=lambda name: source, trim_blocks=True, lstrip_blocks=True, fuel=_FUEL)
        self._made.auto_escape_callback = lambda name: False
        self._made.add_global("raise_exception", raise_exception)
        self._made.add_global("strftime_now", lambda form: datetime.now().strftime(form))

    def __call__(self, examined: Examination, probe: Probe, prompt: bool) -> str | Refusal:
        """Return what is printed of a conversation, with the generation prompt or without."""
        return self.render(probe.messages, probe.tools, prompt, **examined.set_for(probe))

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] | None = None,
        add_generation_prompt: bool = False,
        **flags: object,
    ) -> str | Refusal:
        """Return what is printed of messages, or why nothing is."""
        given = {
            "messages": list(messages),
            "tools": None if tools is None else list(tools),
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
            **self.variables,
            **flags,
        }
        with step("rendering the template in minijinja"):
            try:
                return str(self._made.render_template("chat", **given))
            except Exception as error:  # whatever it raises is its refusal
                return Refusal(_reason(error), self._place(error))

    def _place(self, error: Exception) -> Span | None:
        """Return what the engine says it stopped at: it counts in bytes of UTF-8."""
        found = getattr(error, "range", None)
        if not found:
            return None
        raw = self.source.encode()
        start, end = (len(raw[:at].decode(errors="ignore")) for at in found)
        return Span(start, max(start, end))


def _reason(error: Exception) -> str:
    return str(getattr(error, "detail", None) or error).split("\n")[0]


def installed_version() -> str | None:
    """Return the version of minijinja, None where it isn't installed."""
    try:
        return version("minijinja")
    except PackageNotFoundError:
        return None


def find_differences(source: str, examined: Examination) -> tuple[int, list[Difference]]:
    """Return how many renderings were compared, and in what minijinja differs in them from transformers.

    ``examined`` is the template of this source under a battery; what transformers refuses isn't compared. Raises
    LimitExceeded, and ImportError where minijinja isn't installed.
    """
    engine = Minijinja(source, examined.renderer.variables)
    compared = 0
    ways: dict[tuple[str, Span | None], list[Rendering]] = {}
    for probe in sorted(examined.probes.values(), key=lambda each: len(each.shape)):
        for prompt in (False, True):
            expected = examined.text(probe, prompt=prompt)
            if isinstance(expected, Failure):
                continue
            compared += 1
            result = engine(examined, probe, prompt)
            if isinstance(result, Refusal):
                ways.setdefault((result.reason, result.at), []).append(Rendering(probe, prompt, expected))
            elif result != expected:
                ways.setdefault(("", None), []).append(Rendering(probe, prompt, expected, result))
    found = sorted(ways.items(), key=lambda way: -len(way[1]))
    return compared, [
        Difference(reason, len(cases), cases[0], at if reason else _printing(source, examined, cases[0]))
        for (reason, at), cases in found
    ]


def _printing(source: str, examined: Examination, case: Rendering) -> Span | None:
    """Return the expression that prints the first character that differs, None where that is text of the template."""
    trace = trace_template(Template(source), examined.renderer.variables)
    if trace is None:
        return None
    recorded = trace.record(case.probe, prompt=case.prompt, flags=examined.flags)
    outputs = iter(recorded.outputs)
    number, value = next(outputs, (0, None))
    offset = common_prefix(case.expected, case.printed)
    for part in recorded.parts:
        own = number if part == value else None
        if own is not None:
            number, value = next(outputs, (0, None))
        if offset < len(part):
            return trace.outputs[own].span if own is not None else None
        offset -= len(part)
    return None
