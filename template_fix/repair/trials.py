"""What becomes of a conversation once something in the template is forced: the yardsticks of all experiments."""

from __future__ import annotations

from collections.abc import Sequence

from template_fix.contract.examination import SAMPLE, Examination
from template_fix.conversations.probe import Part, Probe
from template_fix.trace.recorder import Trace


def well(examined: Examination) -> list[Probe]:
    """Return a sample of the conversations that are printed well."""
    return [seen.probe for seen in examined.well[:SAMPLE]]


def same(trace: Trace, examined: Examination, probes: Sequence[Probe]) -> bool:
    """Whether these conversations are printed as they are without what is forced."""
    told = Examination(trace, probes, examined.tags)
    return all(told.text(probe) == examined.text(probe) for probe in probes)


def prints(trace: Trace, examined: Examination, probe: Probe, part: Part) -> bool:
    """Whether a text of a conversation is printed."""
    text = Examination(trace, [probe], examined.tags).text(probe)
    return isinstance(text, str) and part.text in text


def short(text: str) -> str:
    """Return an expression as titles show it."""
    shown = " ".join(text.split())
    return f"`{shown if len(shown) <= 60 else shown[:57] + '…'}`"
