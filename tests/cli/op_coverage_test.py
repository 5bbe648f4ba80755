"""docs/op_coverage.md is what scripts/op_coverage.py prints of this build."""
import difflib
import os
import pathlib
import subprocess
import sys

tool, source = os.environ["TREADLE_TOOL"], pathlib.Path(os.environ["TREADLE_SOURCE"])
try:
    import onnx  # noqa: F401
except ImportError as error:
    print(error)
    sys.exit(77)

script = source / "scripts" / "op_coverage.py"
document = source / "docs" / "op_coverage.md"
now = subprocess.check_output([sys.executable, script, tool], text=True)
stale = list(difflib.unified_diff(document.read_text().splitlines(), now.splitlines(),
                                  "docs/op_coverage.md", "this build", lineterm="", n=0))
if stale:
    print(*stale, sep="\n")
    sys.exit(f"stale: {sys.executable} {script} {tool} > {document}")
