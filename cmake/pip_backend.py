"""The build that pip calls: scikit-build-core's, or a few words about what it needs.

Under --no-build-isolation pip installs nothing to build with, and shows a traceback where the build system is missing.
"""

import sys

try:
    from scikit_build_core.build import *  # noqa: F403
except ImportError:
    sys.exit(
        f"lighthouse-attention: --no-build-isolation builds with what {sys.executable} has, and that lacks scikit-build-core.\n"
        '  First: pip install "torch==2.11.*" "scikit-build-core>=1.1" cmake ninja\n'
        "  Then:  pip install --no-build-isolation ."
    )
