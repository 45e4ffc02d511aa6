"""The Python modules of a tokenizer with its own code: those that its configuration names, and their imports."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.checkpoint.template_copies import CONFIG

_IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+\.(\w+)", re.MULTILINE)


def find_modules(checkpoint: Checkpoint, read: Callable[[str], str]) -> set[str]:
    """Return the names of the modules that transformers runs to load a checkpoint; ``read`` gives a file's text."""
    found: set[str] = set()
    waiting = list(_named_modules(checkpoint.value(CONFIG, "auto_map")))
    while waiting:
        name = waiting.pop()
        if name in checkpoint.others and name not in found:
            found.add(name)
            waiting += [f"{module}.py" for module in _IMPORT.findall(read(name))]
    return found


def _named_modules(auto_map: object) -> Iterator[str]:
    """Yield the modules of the slow and the fast class, but none of another repository."""
    classes = auto_map.get("AutoTokenizer") if isinstance(auto_map, dict) else auto_map
    for name in classes if isinstance(classes, list) else [classes]:
        if isinstance(name, str) and "--" not in name:
            yield f"{name.partition('.')[0]}.py"
