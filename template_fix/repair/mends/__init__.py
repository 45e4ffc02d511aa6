"""Repairs of what isn't reasoning, a module for each rule: what the rule owes, and the edits that may bring it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from template_fix.contract.mended import Owed
from template_fix.conversations.probe import Probe
from template_fix.repair.proposers import Proposal
from template_fix.repair.study import Study


class Mend(NamedTuple):
    """How what a rule finds is mended.

    ``probes`` are the conversations beside the battery that a mend is tried on, ``owed`` tells what is owed of each,
    and ``proposals`` are the edits to try: they may guess. ``adds`` says that nothing changes which was printed before,
    ``whole`` that each proposal mends all that fails, so that the first that may stand is as good as any. ``unknown``
    says why nothing is mended where no edit comes near.
    """

    probes: Callable[[Study], Iterator[Probe]]
    owed: Callable[[Study], Owed]
    proposals: Callable[[Study, Owed], Iterator[Proposal]]
    adds: bool = False
    whole: bool = False
    unknown: str = "no edit that was tried prints what is owed"
