"""These tests need other products' libraries and programs, and take minutes: `make sdk-matrix` runs
them, and `make test` does not collect them.
"""

import os

NEED_LIBRARIES = ["test_clients.py", "test_matrix.py", "test_swagger_ui.py"]
collect_ignore = [] if "SDK_MATRIX" in os.environ else NEED_LIBRARIES
