"""Trains on real handwritten digits (one seed): what scripts/convergence.py asks of three."""
import os
import pathlib
import subprocess
import sys

root = pathlib.Path(os.environ["TREADLE_SOURCE"])
digits = root / ".deps/digits.csv.gz"
if not digits.exists():
    print(f"skipped: no {digits}: scripts/setup.sh fetches it")
    sys.exit(77)
done = subprocess.run([sys.executable, root / "scripts/convergence.py", os.environ["TREADLE_TOOL"], "digits-mlp",
                       "digits-cnn", "--seeds", "1", "--first", "1"])  # a seed with a margin: processors round otherwise
sys.exit(done.returncode)
