#!/usr/bin/env python3
"""Fails on an include that the layering forbids, and on long files, functions and lines.

usage: layers.py ROOT
Who may include whom is MAY: folder -> (prefixes of our own headers, prefixes of vendor headers).
The longest folder that a file lies in decides, or the file's own name without suffix. Folders not named here (tests, bench) are free.
"""
import pathlib
import re
import subprocess
import sys

DOORS = ["importer/importer.h", "importer/training_info.h", "optimizer/optimizer.h",
         "backends/backend.h", "backends/registry.h", "runtime/runtime.h", "runtime/plugins/plugins.h",
         "training/autodiff.h", "training/differences.h", "training/gradient_nodes.h",
         "training/trainer.h", "training/training_step.h", "training/checkpoint.h", "training/settings.h"]
# The gradient of a graph; and what builds graphs from it, without importer or runtime.
AUTODIFF = "autodiff route gradient expr body capture_constants"
BUILDERS = ("gradient_nodes forms layers losses loss_output straight_through updates schedules initializers parameters joint new_models "
            "fine_tuning in_double")
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
                     ["oneapi/", "dnnl", "omp.h"]),
    "backends/cpu/native": (["graph/", "backends/backend.h", "backends/cpu/native/", "backends/cpu/simd/"] +
                            [f"backends/cpu/{door}.h" for door in "cpu epilogue family layout parallel pool_window product quantized_product recurrent".split()], []),
    "backends/cpu/simd": (["graph/base/", "backends/cpu/simd/"], ["hwy/"]),
    "backends/cuda": (["graph/", "backends/backend.h", "backends/cuda/"],
                      ["cuda", "cudnn", "cublas", "nvrtc"]),
    "runtime": (["graph/", "optimizer/optimizer.h", "backends/backend.h", "backends/registry.h",
                 "runtime/"], ["omp.h"]),
    "runtime/plugins": (["graph/", "runtime/plugins/", "runtime/structs.h", "treadle/"], []),
    "runtime/c_api": (["graph/", "runtime/", "treadle/"] + DOORS, []),
    "training/gradients": (["graph/", "training/autodiff.h", "training/body.h",
                            "training/gradient.h", "training/expr.h", "training/gradients/"], []),
    **{f"training/{name}": (["graph/"] + [f"training/{other}.h" for other in AUTODIFF.split()] +
                           ["training/gradients/families.h"], []) for name in AUTODIFF.split()},
    **{f"training/{name}": (["graph/", "training/"], []) for name in BUILDERS.split()},
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
LINES, FUNCTION_LINES, COLUMNS = 400, 100, 100


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
    if len(lines) > LINES:
        yield f"{path}: {len(lines)} lines (at most {LINES}): split it"
    if path.suffix == ".cc" and not testing:
        yield from long_functions(path, lines)


def long_functions(path, lines):
    """As clang-format lays them out: from a line at the margin (or two columns in) to its brace."""
    for margin in ("", "  "):
        start = 0
        for number, line in enumerate(lines, 1):
            if line == margin + "}" and number - start >= FUNCTION_LINES:
                yield f"{path}:{start}: a function of {number - start + 1} lines (at most {FUNCTION_LINES})"
            elif line.startswith(margin) and re.match(r"[A-Za-z]", line[len(margin):]):
                start = number


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
