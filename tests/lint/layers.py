#!/usr/bin/env python3
"""Fails on an include that the layering forbids, on long files and on long lines.

usage: layers.py ROOT
Who may include whom is MAY: folder -> (prefixes of our own headers, prefixes of vendor headers).
The longest folder that a file lies in decides, or the file's own name without suffix. Folders not named here (tests, bench) are free.
"""
import pathlib
import re
import subprocess
import sys

DOORS = ["importer/importer.h", "optimizer/optimizer.h", "backends/backend.h",
         "backends/registry.h", "runtime/runtime.h", "runtime/plugins/plugins.h",
         "training/autodiff.h", "training/differences.h", "training/gradient_nodes.h",
         "training/trainer.h", "training/checkpoint.h", "training/settings.h"]
IMAGES = ["jpeglib.h", "turbojpeg.h", "png.h", "zip.h", "tiffio.h", "webp/", "openjpeg.h"]
MAY = {
    "include": (["treadle/"], []),
    "graph": (["graph/"], []),
    "files": (["graph/", "files/"], IMAGES + ["zlib.h"]),
    "importer": (["graph/", "importer/"], ["google/protobuf/", "treadle_onnx.pb.h", "treadle_onnx_data.pb.h"]),
    "optimizer": (["graph/", "optimizer/"], []),
    "backends": (["graph/", "backends/"], []),
    "backends/reference": (["graph/", "files/", "backends/backend.h", "backends/reference/"],
                           ["re2/"]),
    "backends/cpu": (["graph/", "backends/backend.h", "backends/cpu/"],
                     ["oneapi/", "dnnl", "hwy/", "omp.h"]),
    "backends/cuda": (["graph/", "backends/backend.h", "backends/cuda/"],
                      ["cuda", "cudnn", "cublas", "nvrtc"]),
    "runtime": (["graph/", "optimizer/optimizer.h", "backends/backend.h", "backends/registry.h",
                 "runtime/"], ["omp.h"]),
    "runtime/plugins": (["graph/", "runtime/plugins/", "runtime/structs.h", "treadle/"], []),
    "runtime/c_api": (["graph/", "runtime/", "treadle/"] + DOORS, []),
    "training/gradients": (["graph/", "training/autodiff.h", "training/body.h",
                            "training/gradient.h", "training/expr.h", "training/gradients/"], []),
    "training/autodiff": (["graph/", "training/"], []),
    "training/gradient": (["graph/", "training/"], []),
    "training/expr": (["graph/", "training/"], []),
    "training/capture_constants": (["graph/", "training/capture_constants.h"], []),
    "training/body": (["graph/", "training/body.h", "training/expr.h"], []),
    "training/c_api": (["graph/", "runtime/", "training/", "treadle/"] + DOORS, []),
    "training": (["graph/", "files/", "training/", "importer/file_writer.h"] + DOORS, ["hdf5", "lmdb.h", "datum.pb.h"]),
    "tools": (["graph/", "files/", "training/new_models.h", "training/fine_tuning.h",
               "training/settings.h", "training/metrics.h",
               "training/data/", "training/run/", "tools/", "treadle/", "importer/file_writer.h"] + DOORS,
              ["CLI/", "nlohmann/", "toml++/"]),
    "examples": (["treadle/"], []),
    "bindings": (["treadle/", "bindings/"], ["nanobind/"]),
}
OURS = ("treadle/", "graph/", "files/", "importer/", "optimizer/", "backends/", "runtime/", "training/",
        "tools/", "tests/", "bindings/")
VENDORS = re.compile(r"oneapi/|dnnl|hwy/|omp\.h|google/|onnx|.*\.pb\.h|CLI/|nlohmann/|toml\+\+/|"
                     r"jpeglib|turbojpeg|png\.h|zip\.h|tiffio|webp/|openjpeg|re2/|cuda|cudnn|cublas|nvrtc|hdf5|lmdb|"
                     r"nanobind/|zlib\.h")
INCLUDE = re.compile(r'\s*#\s*include\s*[<"]([^>"]+)[>"]')
SOURCE = (".h", ".hpp", ".cc", ".c", ".cu", ".cuh", ".def")
SOFT, HARD, COLUMNS = 400, 800, 100


def rule_for(path):
    folders = [str(p) for p in (path.with_suffix(""), *path.parents)]
    return next((MAY[f] for f in folders if f in MAY), None)


def check(path, text):
    lines = text.splitlines()
    rule = rule_for(path)
    testing = path.parts[0] == "tests"  # literal graphs and tables of cases may be long
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS and not testing:
            yield f"{path}:{number}: {len(line)} columns (at most {COLUMNS})"
        found = INCLUDE.match(line)
        if not found or rule is None:
            continue
        name = found[1]
        if "/" not in name and (path.parent / name).exists():
            name = f"{path.parent}/{name}"
        ours, vendors = rule
        allowed = ours if name.startswith(OURS) else vendors if VENDORS.match(name) else [""]
        if not name.startswith(tuple(allowed)):
            yield f"{path}:{number}: {path.parent}/ may not include {name}"
    if len(lines) > HARD and not testing and "table" not in path.stem:
        yield f"{path}: {len(lines)} lines (at most {HARD}): split it"
    elif len(lines) > SOFT:
        print(f"warning: {path}: {len(lines)} lines (aim at {SOFT})")


def main(root):
    listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"],
                            capture_output=True, text=True)
    if listed.returncode:
        print("skipped: not a git checkout:", listed.stderr.strip())
        return 77
    problems = []
    for name in sorted(set(listed.stdout.split())):
        file = pathlib.Path(root, name)
        if name.endswith(SOURCE + (".py",)) and file.is_file():
            problems += check(pathlib.Path(name), file.read_text(encoding="utf-8"))
    print("\n".join(problems) or "layers: no problem")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
