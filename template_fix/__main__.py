"""``python -m template_fix`` is ``template-fix``."""

from __future__ import annotations

import sys

from template_fix.cli import main

if __name__ == "__main__":
    sys.exit(main())
