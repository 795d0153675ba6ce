"""The matrix installs other products' libraries and takes minutes: `make sdk-matrix` runs it, and
`make test` does not collect it.
"""

import os

collect_ignore = [] if "SDK_MATRIX" in os.environ else ["test_matrix.py"]
