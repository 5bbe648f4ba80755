"""The models, tensors and pictures that cli_test.py's command lines read."""
import json
import os
import struct
import zlib

import numpy as np
import onnx
from onnx import SequenceProto, TensorProto, helper, numpy_helper, parser

MODELS = {
    "norank": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[] x) => (float[] y) { y = Relu(x) }""",
    "nonzero": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[4] x) => (float[M, M] y) { i = NonZero(x) f = Cast <to = 1> (i) t = Transpose(f) y = MatMul(t, f) }""",
    "square": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[64, 64] x) => (float[64, 64] y) {
        a = Softmax(x) b = Softmax <axis = 0> (x) c = MatMul(a, b) y = Softmax(c) }""",
    "add": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[N, 3] x, float[N, 3] y) => (float[N, 3] sum, float[N, 3] act) { sum = Add(x, y) act = Relu(sum) }""",
    "linear": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[N, 2] x) => (float[N, 3] y) <float[2, 3] w = {1, 2, 3, 4, 5, 6}> { t = MatMul(x, w) y = Relu(t) }""",
    "fixed": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[4, 2] x) => (float[4, 3] y) <float[2, 3] w = {1, 2, 3, 4, 5, 6}> { y = MatMul(x, w) }""",
    "nameless": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[?, 3] x) => (float[?, 3] y) { y = Relu(x) }""",
    "constants": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[3] x) => (float[3] y) <float[3] s = {1, 4, 9}> { r = Sqrt(s) y = Mul(x, r) }""",
    "tile": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[2, 1000] x) => (float[2, 2] y) <float[1, 2] one = {1, 2}, int64[2] n = {1000, 1}> {
        t = Tile(one, n) y = MatMul(x, t) }""",
    "gather": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[4] x, int64[M] i) => (float[M] y) { y = Gather(x, i) }""",
    "divide": """<ir_version: 8, opset_import: ["" : 17]>
      g (int32[K] a, int32[K] b) => (int32[K] q) { q = Div(a, b) }""",
    "picture": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[1, 3, 4, 4] x) => (float[1, 3, 1, 1] y) { y = GlobalAveragePool(x) }""",
    "square_picture": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[1, 3, 64, 64] x) => (float[1, 3, 1, 1] y) { y = GlobalAveragePool(x) }""",
    "unknown": """<ir_version: 8, opset_import: ["" : 17, "com.example" : 1]>
      g (float[2] x) => (float[2] y) { t = com.example.Frobnicate(x) y = com.example.Defrob(t) }""",
    "loop": """<ir_version: 8, opset_import: ["" : 17]>
      g (int64 n, float[2] x) => (float[2] y) {
        keep = Constant <value = bool {1}> ()
        y = Loop (n, keep, x) <body = b (int64 i, bool c, float[2] s) => (bool k, float[2] t) {
          k = Identity(c) t = Add(s, s) }> }""",
    "doubled": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[2, 3] x) => (float[2, 3] y) <float two = {2}> { t = Mul(x, two) u = Relu(t) y = Exp(u) }""",
    "tripled": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[2, 3] x) => (float[2, 3] y) <float two = {3}> { t = Mul(x, two) u = Relu(t) y = Exp(u) }""",
    "noisy": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[4] x) => (float[4] y) { r = RandomNormal <shape = [4]> () y = Add(x, r) }""",
    "ids": """<ir_version: 8, opset_import: ["" : 17]>
      g (int64[B, S] ids) => (float[B, S, 2] y) <float[3, 2] w = {1, 2, 3, 4, 5, 6}> { y = Gather(w, ids) }""",
    "window": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[N, 3, H, W] x) => (float[N, 3, P, Q] y) <float[3, 3, 2, 2] w = {
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}>
      { y = Conv(x, w) }""",
    "branch": """<ir_version: 8, opset_import: ["" : 17]>
      g (bool c, float[2, 3] x) => (float[2, 2] y) {
        y = If (c) <
          then_branch = a () => (float[2, 2] p) <float[3, 2] w = {1, 2, 3, 4, 5, 6}> { p = MatMul(x, w) },
          else_branch = b () => (float[2, 2] q) <float[3, 2] v = {1, 2, 3, 4, 5, 6}> { q = MatMul(x, v) }> }""",
    "map": """<ir_version: 8, opset_import: ["" : 17, "ai.onnx.ml" : 3]>
      g (float[1, 2] x) => (seq(map(int64, float)) z) { z = ai.onnx.ml.ZipMap <classlabels_int64s = [7, 3]> (x) }""",
    "same": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[A, B] x) => (float[A, B] y) { y = Identity(x) }""",
    "half": """<ir_version: 8, opset_import: ["" : 17]>
      g (float16[A, B] x) => (float16[A, B] y) { y = Identity(x) }""",
    "whole": """<ir_version: 8, opset_import: ["" : 17]>
      g (int32[A, B] x) => (int32[A, B] y) { y = Identity(x) }""",
    "attributes": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[2, 3] x, float[4, 3] w, float[1, 1, 4] v) => (float[2, 4] y, float[1, 1, 3] z) {
        y = Gemm <alpha = 0.5, transB = 1> (x, w)
        z = AveragePool <kernel_shape = [2], auto_pad = "VALID"> (v) }""",
    "drifted": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[A, B] x) => (float[A, B] y) <float[2, 3] d = {0, 0, 0, 0, 0, 3}> { y = Add(x, d) }""",
    "bytes": """<ir_version: 8, opset_import: ["" : 17]>
      g (uint8[N, 2, 2, 3] x) => (uint8[N, 2, 2, 3] y) { y = Identity(x) }""",
    "chw": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[3, 2, 2] x) => (float[3, 2, 2] y) { y = Identity(x) }""",
    "shapes": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[2, 3] x, int64[R] s) => (float[A, B] y) { y = Reshape(x, s) }""",
    "expand": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[1] x) => (float[A, B] y) <int64[2] s = {1048576, 1048576}> { y = Expand(x, s) }""",
    "normed": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[N, 3, 2] x) => (float[N, 3, 2] y) <float[2] p = {1, 1}> { y = BatchNormalization(x, p, p, p, p) }""",
    "twice": """<ir_version: 8, opset_import: ["" : 17]>
      g (float[2] x) => (float[2] y, float[2] y) { y = Relu(x) }""",
}


def external(**entries):
    """A model whose weight of 8 bytes is in another file."""
    model = parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
      g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) }""")
    w = model.graph.initializer[0]
    w.ClearField("float_data")
    w.data_location = onnx.TensorProto.EXTERNAL
    for key, value in entries.items():
        w.external_data.add(key=key, value=value)
    return model


def bomb(levels):
    """Each function calls the next one twice."""
    imports = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("f", 1)]

    def function(i):
        kind, domain = (f"F{i + 1}", "f") if i + 1 < levels else ("Relu", "")
        calls = [onnx.helper.make_node(kind, [a], [b], domain=domain) for a, b in ("ab", "bc")]
        return onnx.helper.make_function("f", f"F{i}", ["a"], ["c"], calls, imports)

    model = parser.parse_model("""<ir_version: 8, opset_import: ["" : 17, "f" : 1]>
      g (float[2] x) => (float[2] y) { y = f.F0(x) }""")
    model.functions.extend(function(i) for i in range(levels))
    return model


def png(width, height, depth, kind, rows, *chunks):
    """A PNG file of the given rows of bytes; kind 0 gray, 2 RGB, 6 RGBA."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
            + b"".join(chunk(*c) for c in chunks) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def write_test_data(folder, inputs, outputs):
    folder.mkdir(parents=True)
    for kind, values in (("input", inputs), ("output", outputs)):
        for i, (name, value) in enumerate(values):
            proto = value if isinstance(value, SequenceProto) else numpy_helper.from_array(value, name)
            (folder / f"{kind}_{i}.pb").write_bytes(proto.SerializeToString())


def map_of(keys, values):
    scalars = [helper.make_tensor("", TensorProto.FLOAT, [], [v]) for v in values]
    return helper.make_sequence("z", SequenceProto.MAP, [helper.make_map(
        "", TensorProto.INT64, keys, helper.make_sequence("", SequenceProto.TENSOR, scalars))])


def prepare_test_data(folder):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    inputs = [("x", x), ("y", -2 * x)]
    write_test_data(folder / "sets" / "test_data_set_0", inputs, [("sum", -x), ("act", np.maximum(-x, 0))])
    write_test_data(folder / "sets" / "test_data_set_1", inputs, [("sum", -x - 1)])
    write_test_data(folder / "infinite", inputs, [("sum", np.full_like(x, np.inf))])
    z = [("x", np.array([[0.25, 0.75]], np.float32))]
    write_test_data(folder / "map", z, [("z", map_of([3, 7], [0.75, 0.25]))])
    write_test_data(folder / "mapkey", z, [("z", map_of([3, 8], [0.75, 0.25]))])
    write_test_data(folder / "mapvalue", z, [("z", map_of([3, 7], [0.25, 0.75]))])


def prepare_pictures(folder):
    """Two rows of two pixels (one of three), each in a way of its own."""
    rgb = [[10, 20, 30, 40, 50, 60], [70, 80, 90, 100, 110, 120]]
    wide = [[b for x in row for b in (x, 200)] for row in rgb]
    alpha = [[*row[:3], 0, *row[3:], 128] for row in rgb]
    turned = b"MM\0*" + struct.pack(">IHHHIHH", 8, 1, 0x0112, 3, 1, 3, 0)
    (folder / "plain.png").write_bytes(png(2, 2, 8, 2, rgb))
    (folder / "wide.png").write_bytes(png(2, 2, 16, 2, wide))
    (folder / "alpha.png").write_bytes(png(2, 2, 8, 6, alpha))
    (folder / "gamma.png").write_bytes(png(2, 2, 8, 2, rgb, (b"gAMA", struct.pack(">I", 100000))))
    (folder / "turned.png").write_bytes(png(2, 2, 8, 2, rgb, (b"eXIf", turned)))
    (folder / "gray.png").write_bytes(png(2, 2, 8, 0, [[10, 20], [30, 40]]))
    (folder / "three.png").write_bytes(png(3, 2, 8, 0, [[86, 194, 100]] * 2))
    (folder / "cut.png").write_bytes(png(2, 2, 8, 2, rgb)[:-30])
    (folder / "thin.png").write_bytes(png(1000000, 1, 8, 0, [[7] * 1000000]))


def write_overlapping_npz(path):
    """An archive whose directory lists its only member four times."""
    np.savez(path, x=np.zeros(1000, np.float32))
    whole = path.read_bytes()
    start, end = whole.index(b"PK\1\2"), whole.rindex(b"PK\5\6")
    entries = 4 * whole[start:end]
    tail = struct.pack("<HHHHIIH", 0, 0, 4, 4, len(entries), start, 0)
    path.write_bytes(whole[:start] + entries + b"PK\5\6" + tail)


def prepare(folder):
    os.mkfifo(folder / "pipe.npz")
    prepare_test_data(folder)
    prepare_pictures(folder)
    for name, text in MODELS.items():
        onnx.save(parser.parse_model(text), str(folder / f"{name}.onnx"))
    (folder / "short.data").write_bytes(b"1234")
    onnx.save(external(location="nowhere.data"), str(folder / "external_missing.onnx"))
    onnx.save(external(location="short.data"), str(folder / "external_short.onnx"))
    onnx.save(external(location="../short.data"), str(folder / "external_outside.onnx"))
    onnx.save(bomb(26), str(folder / "bomb.onnx"))
    huge = external()
    huge.graph.initializer[0].ClearField("data_location")
    huge.graph.initializer[0].dims[:] = [2**50]
    onnx.save(huge, str(folder / "huge.onnx"))
    defaults = parser.parse_model(MODELS["add"])
    defaults.graph.initializer.append(onnx.numpy_helper.from_array(np.full((2, 3), 5, np.float32), "y"))
    onnx.save(defaults, str(folder / "defaults.onnx"))
    named = parser.parse_model(MODELS["same"])
    named.metadata_props.add(key="treadle.classes", value="rot\nblau\n")
    onnx.save(named, str(folder / "named.onnx"))
    for name, text in {"hello": "hello", "flat": "scale=1 mean=0,0,0 std=1,0,1", "two": "scale=1 mean=0,0 std=1,1"}.items():
        odd = parser.parse_model(MODELS["picture"])
        odd.metadata_props.add(key="treadle.preprocess", value=text)
        onnx.save(odd, str(folder / f"prepared_{name}.onnx"))
    trained = parser.parse_model(MODELS["twice"])
    trained.training_info.add()
    onnx.save(trained, str(folder / "trained.onnx"))
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    unsized = parser.parse_model(MODELS["nameless"])
    unsized.graph.input[0].name = unsized.graph.node[0].input[0] = "x:0"
    unsized.graph.input[0].type.tensor_type.shape.dim[1].ClearField("dim_value")
    onnx.save(unsized, str(folder / "unsized.onnx"))
    onnx.save(parser.parse_model(MODELS["add"]), str(folder / "infinite" / "add.onnx"))
    np.savez(folder / "one.npz", x=np.ones(1, np.float32))
    np.save(folder / "complex.npy", x.astype(np.complex64))
    np.save(folder / "objects.npy", np.array([None]), allow_pickle=True)
    np.save(folder / "big.npy", x.astype(">f4"))
    (folder / "broken.pb").write_bytes(b"\xff\xff\xff")
    np.savez(folder / "xy.npz", x=x, y=-2 * x)
    write_overlapping_npz(folder / "overlapping.npz")
    np.save(folder / "x.npy", x)
    np.savez(folder / "x.npz", x=x)
    np.save(folder / "fortran.npy", np.asfortranarray(x))
    np.save(folder / "wide.npy", np.zeros((2, 4), np.float32))
    np.save(folder / "flat.npy", np.zeros(3, np.float32))
    np.save(folder / "double.npy", x.astype(np.float64))
    np.savez(folder / "typo.npz", x=x, yy=x)
    np.savez(folder / "index.npz", x=np.ones(4, np.float32), i=np.array([0, 9], np.int64))
    low = np.iinfo(np.int32).min
    np.savez(folder / "divide.npz", a=np.array([low, 7, -7], np.int32), b=np.array([-1, 0, 2], np.int32))
    np.savez(folder / "forever.npz", n=np.int64(2**62), x=np.ones(2, np.float32))
    np.savez(folder / "three.npz", n=np.int64(3), x=np.ones(2, np.float32))
    np.savez(folder / "badshape.npz", x=x, s=np.array([4, 2], np.int64))
    np.savez(folder / "hugeshape.npz", x=x, s=np.array([2**40, 2**40], np.int64))
    np.savez(folder / "goodshape.npz", x=x, s=np.array([3, -1], np.int64))
    whole = (folder / "add.onnx").read_bytes()
    (folder / "truncated.onnx").write_bytes(whole[:-7])
    (folder / "text.onnx").write_text("this is no model")
    (folder / "empty.onnx").write_bytes(b"")
    (folder / "lfs.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (folder / "cut.npy").write_bytes((folder / "x.npy").read_bytes()[:-4])
    (folder / "cut.npz").write_bytes((folder / "xy.npz").read_bytes()[:-40])
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0" + b"\0" * 40)
    (folder / "labels.txt").write_text("red\ngreen\nblue\n")
    (folder / "indexed.txt").write_bytes(b"\xef\xbb\xbf2,two\r\n0,zero\r\n")
    (folder / "comma.txt").write_text("0,5 litres\nplain\n")
    np.savez(folder / "only.npz", anything=x)
    os.rename(folder / "only.npz", folder / "ONLY.NPZ")
    np.save(folder / "nan.npy", np.array([[np.nan, np.inf, 1] * 5], np.float32))
    np.savez(folder / "sum.npz", sum=-x)
    np.savez(folder / "sum_apart.npz", sum=-x - 1)
    np.savez(folder / "named_sun.npz", sun=x)
    (folder / "xy.json").write_text(json.dumps({"x": x.tolist(), "y": (-2 * x).tolist()}))
    (folder / "x.json").write_text(json.dumps(x.tolist()))
    (folder / "null.json").write_text("[[1, null]]")
    for kind, text in {"ragged": "[[1, 2], [3]]", "mixed": "[1, [2]]", "word": '["a"]', "broken": "[1",
                       "deep": "[" * 100 + "]" * 100, "sun": '{"sun": 1}'}.items():
        (folder / f"{kind}.json").write_text(text)
    (folder / "half.json").write_text("[[0.5]]")
    (folder / "nested.json").write_text("[" + '{"a":' * 200000 + "1" + "}" * 200000 + "]")
    np.save(folder / "scores.npy", np.array([[1, 3, 2], [9, 7, 8]], np.float32))


# (command line, exit code, texts that stdout and stderr together hold)
