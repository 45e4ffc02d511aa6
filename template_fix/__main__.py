"""``python -m template_fix`` is ``template-fix``."""

from __future__ import annotations

import os
import sys

# Python puts the working directory first on its path. It may be a model's directory, so no module is imported from it
# from here on. This package itself may have been, if the directory has a template_fix: SECURITY.md says how to avoid
# it.
if not getattr(sys.flags, "safe_path", False) and sys.path and sys.path[0] in ("", os.getcwd()):
    del sys.path[0]

from template_fix.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
