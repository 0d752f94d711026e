"""tiedseq and its peers, measured side by side in one run: ``python -m benchmarks``.

A case (`benchmarks.cases`) is a function that returns named runs; the harness takes turns between them (A B A B), so
that whatever else the machine does falls on all of them, and prints medians and ratios. Nothing here is a test: no time
is ever asserted.

Libraries of linear algebra get one thread: theirs go on spinning after a run, in the time of the next one.
"""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # read when NumPy is loaded
    os.environ.setdefault(_name, "1")
