"""Writes the node tests that the installed onnx package defines into a cache folder and prints its path.

One folder a case, as in ONNX's own test data: model.onnx, test_data_set_<i>/{input,output}_<j>.pb;
and cases.txt, one line a case: name, rtol, atol.
"""

import os
import pathlib
import shutil
import sys
import tempfile
import warnings

LAYOUT = 1  # of the cache; a change makes a new one


def cache_folder(version: str) -> pathlib.Path:
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "treadle" / f"onnx-nodes-{version}-{LAYOUT}"


def to_proto(value, type_proto):
    import onnx
    from onnx import numpy_helper

    if isinstance(value, onnx.TensorProto | onnx.SparseTensorProto):
        return value
    if type_proto.HasField("map_type"):
        return numpy_helper.from_dict(value)
    if type_proto.HasField("sequence_type"):
        return numpy_helper.from_list(value)
    if type_proto.HasField("optional_type"):
        return numpy_helper.from_optional(value)
    return numpy_helper.from_array(value)


def write_case(case, folder: pathlib.Path) -> None:
    folder.mkdir()
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    for i, (inputs, outputs) in enumerate(case.data_sets):
        data = folder / f"test_data_set_{i}"
        data.mkdir()
        for kind, values, infos in (
            ("input", inputs, case.model.graph.input),
            ("output", outputs, case.model.graph.output),
        ):
            for j, value in enumerate(values):
                proto = to_proto(value, infos[j].type)
                proto.name = infos[j].name
                (data / f"{kind}_{j}.pb").write_bytes(proto.SerializeToString())


def main() -> int:
    try:
        import onnx
        from onnx.backend.test.loader import load_node_model_tests
    except ImportError as error:
        print(error, file=sys.stderr)
        return 77
    folder = cache_folder(onnx.__version__)
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cases = load_node_model_tests()
        scratch = pathlib.Path(tempfile.mkdtemp(dir=folder.parent))
        lines = []
        for case in cases:
            write_case(case, scratch / case.name)
            lines.append(f"{case.name} {case.rtol} {case.atol}\n")
        (scratch / "cases.txt").write_text("".join(lines))
        try:
            scratch.rename(folder)
        except OSError:  # another process was first
            shutil.rmtree(scratch)
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
