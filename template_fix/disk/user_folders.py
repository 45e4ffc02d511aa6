"""Where this user's own files lie, outside of all models: the key of signatures, and the cache."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# For each folder the environment variable that names its parent, and the usual parent in the home directory.
_WINDOWS = sys.platform == "win32"
STATE = ("LOCALAPPDATA", "AppData/Local") if _WINDOWS else ("XDG_STATE_HOME", ".local/state")
_CACHE = ("LOCALAPPDATA", "AppData/Local") if _WINDOWS else ("XDG_CACHE_HOME", ".cache")


def key_path() -> Path:
    """Return the path of the user's key, in the folder for program state. Raises OSError if there is no such folder."""
    return _user_folder(*STATE) / "key"


def cache_path() -> Path:
    """Return the folder of the cache. Raises OSError if there is no folder for caches."""
    return _user_folder(*_CACHE) / "cache"


def _user_folder(variable: str, usual: str) -> Path:
    """Return this program's folder below the folder that an environment variable names.

    A relative path is ignored: it leads into the working directory, which may be a stranger's, with a key of theirs.
    """
    folder = os.environ.get(variable, "")
    if not os.path.isabs(folder):
        folder = os.path.join(os.path.expanduser("~"), usual)
    if not os.path.isabs(folder):
        raise OSError(
            None, f"is not known, and the key of template-fix is kept there; set {variable}", "home directory"
        )
    return Path(folder, "template-fix")
