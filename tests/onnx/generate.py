"""Writes the backend tests that the installed onnx package holds into a cache folder and prints its path.

One folder a set, in it one a case, as in ONNX's own test data: model.onnx,
test_data_set_0/{input,output}_<j>.pb; and cases.txt, one line a case: set, name, rtol, atol.
"""

import fcntl
import os
import pathlib
import shutil
import sys
import tempfile
import warnings

LAYOUT = 3  # of the cache; a change makes a new one


def cache_folder(version: str) -> pathlib.Path:
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "treadle" / f"onnx-tests-{version}-{LAYOUT}"


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


def write_values(values, infos, kind: str, data: pathlib.Path) -> None:
    for j, (value, info) in enumerate(zip(values, infos, strict=True)):
        proto = to_proto(value, info.type)
        proto.name = info.name
        (data / f"{kind}_{j}.pb").write_bytes(proto.SerializeToString())


def write_node(case, folder: pathlib.Path) -> None:
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    ((inputs, outputs),) = case.data_sets
    write_values(inputs, case.model.graph.input[: len(inputs)], "input", data)
    write_values(outputs, case.model.graph.output[: len(outputs)], "output", data)


def write_light(case, folder: pathlib.Path) -> None:
    """A network whose weights are made at load, with the input that ONNX's runner makes."""
    import onnx
    from onnx.backend.test.loader import DATA_DIR
    from onnx.backend.test.runner import Runner

    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    source = pathlib.Path(DATA_DIR) / "light" / pathlib.PurePosixPath(case.url).name
    shutil.copy(source, folder / "model.onnx")
    shutil.copy(source.with_name(f"{source.stem}_output_0.pb"), data / "output_0.pb")
    graph = onnx.load(source).graph
    given = {i.name for i in graph.initializer}
    inputs = [i for i in graph.input if i.name not in given]
    write_values([Runner.generate_dummy_data(i) for i in inputs], inputs, "input", data)


def copy_files(case, folder: pathlib.Path) -> None:
    shutil.copytree(case.model_dir, folder)


def write_sets(folder: pathlib.Path) -> None:
    from onnx.backend.test.loader import load_model_tests

    sets = (
        ("node", "node", write_node),
        ("simple", "simple", copy_files),
        ("light", "real", write_light),
        ("pytorch-converted", "pytorch-converted", copy_files),
        ("pytorch-operator", "pytorch-operator", copy_files),
    )
    lines = []
    for name, kind, write in sets:
        for case in load_model_tests(kind=kind):
            write(case, folder / name / case.name)
            lines.append(f"{name} {case.name} {case.rtol} {case.atol}\n")
    (folder / "cases.txt").write_text("".join(lines))


def main() -> int:
    try:
        import onnx
    except ImportError as error:
        print(error, file=sys.stderr)
        return 77
    folder = cache_folder(onnx.__version__)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                write_sets(pathlib.Path(scratch) / "sets")
                (pathlib.Path(scratch) / "sets").rename(folder)
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
