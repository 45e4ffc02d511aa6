"""``python -m template_fix`` is ``template-fix``."""

from __future__ import annotations

import os
import sys

# Python puts the working directory in front of its path, which may be a model's: from here on, no module is taken from
# it. This one already was, where there is a template_fix in it; SECURITY.md tells how to rule that out as well.
if not getattr(sys.flags, "safe_path", False) and sys.path and sys.path[0] in ("", os.getcwd()):
    del sys.path[0]

from template_fix.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
