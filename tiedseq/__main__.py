"""`python -m tiedseq` is the command `tiedseq`."""

from __future__ import annotations

import sys

from tiedseq.cli import main

sys.exit(main())
