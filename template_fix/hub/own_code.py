"""The modules of a tokenizer that brings its own code: those that the configuration names, and what they import."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.checkpoint.template_copies import CONFIG

_IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+\.(\w+)", re.MULTILINE)


def find_modules(checkpoint: Checkpoint, read: Callable[[str], str]) -> set[str]:
    """Return the names of the files beside a checkpoint that transformers runs to load it, as ``read`` gives them."""
    found: set[str] = set()
    waiting = list(_named(checkpoint.value(CONFIG, "auto_map")))
    while waiting:
        name = waiting.pop()
        if name in checkpoint.others and name not in found:
            found.add(name)
            waiting += [f"{module}.py" for module in _IMPORT.findall(read(name))]
    return found


def _named(auto_map: object) -> Iterator[str]:
    """Yield the modules of the slow and the fast class; those of another repository stay there."""
    classes = auto_map.get("AutoTokenizer") if isinstance(auto_map, dict) else auto_map
    for name in classes if isinstance(classes, list) else [classes]:
        if isinstance(name, str) and "--" not in name:
            yield f"{name.partition('.')[0]}.py"
