"""Convolutions, pools, and what else slides a window or samples a picture."""
import numpy as np

import draw
from case import Case, operator
from draw import COMMON, FLOATS, INTEGERS


def windows(d, rank, *, dilations=True, ceil=False, most=3):
    """(spatial sizes, kernel, attributes) of a window that fits into the padded input."""
    kernel = [d.int(1, most) for _ in range(rank)]
    dilation = [d.int(1, 2) if dilations and d.maybe(0.3) else 1 for _ in range(rank)]
    extent = [(k - 1) * e + 1 for k, e in zip(kernel, dilation)]
    sizes = [d.int(e, e + 4) for e in extent]
    attributes = {}
    if dilations and (max(dilation) > 1 or d.maybe(0.2)):
        attributes["dilations"] = dilation
    if d.maybe(0.6):
        attributes["strides"] = [d.int(1, 3) for _ in range(rank)]
    how = d.pick(["pads", "pads", "none", "VALID", "SAME_UPPER", "SAME_LOWER", "NOTSET"])
    if how == "pads":
        attributes["pads"] = [d.int(0, e - 1) for e in extent + extent]
    elif how != "none":
        attributes["auto_pad"] = how
    if ceil and d.maybe(0.4):
        attributes["ceil_mode"] = d.int(0, 1)
    return sizes, kernel, attributes


@operator("Conv", since=1)
def conv(d):
    rank, group = d.pick([1, 2, 2, 3]), d.pick([1, 1, 1, 2, 3])
    sizes, kernel, attributes = windows(d, rank)
    channels, out = group * d.int(1, 3), group * d.int(1, 3)
    dtype = d.dtype(FLOATS)
    if d.maybe():
        attributes["kernel_shape"] = kernel
    if group > 1 or d.maybe(0.2):
        attributes["group"] = group
    x = d.array(dtype, [d.int(0 if d.maybe(0.05) else 1, 2), channels, *sizes])
    w = d.array(dtype, [out, channels // group, *kernel])
    bias = [d.array(dtype, [out])] if d.maybe() else []
    return Case([x, w, *bias], attributes, constants=(1, 2)[: 1 + len(bias)] if d.maybe() else ())


@operator("ConvTranspose", since=1)
def conv_transpose(d):
    rank, group = d.pick([1, 2, 2, 3]), d.pick([1, 1, 1, 2])
    sizes, kernel, attributes = windows(d, rank)
    strides = attributes.get("strides", [1] * rank)
    dilation = attributes.get("dilations", [1] * rank)
    if "auto_pad" not in attributes and max(strides) > 1 and d.maybe():
        attributes["output_padding"] = [d.int(0, max(s, e) - 1) for s, e in zip(strides, dilation)]
    if "pads" in attributes:  # an output of no size is not legal
        full = [(n - 1) * s + (k - 1) * e + 1
                for n, s, k, e in zip(sizes, strides, kernel, dilation)]
        if any(f <= attributes["pads"][i] + attributes["pads"][i + rank]
               for i, f in enumerate(full)):
            del attributes["pads"]
    channels, out = group * d.int(1, 3), d.int(1, 3)
    if group > 1:
        attributes["group"] = group
    dtype = d.dtype(FLOATS)
    inputs = [d.array(dtype, [d.int(1, 2), channels, *sizes]),
              d.array(dtype, [channels, out, *kernel])]
    if d.maybe():
        inputs.append(d.array(dtype, [out * group]))
    return Case(inputs, attributes, constants=(1,) if d.maybe() else ())


def same_pool(x, kernel, attributes, reduce):
    """A pool with auto_pad SAME by ONNX's formulas; None for other paddings. `reduce` takes the
    cells of a window, and how many there would be with its padding."""
    how = attributes.get("auto_pad", "")
    if not how.startswith("SAME"):
        return None

    def pool():
        rank, sizes = len(kernel), x.shape[2:]
        strides = attributes.get("strides", [1] * rank)
        dilation = attributes.get("dilations", [1] * rank)
        out = [-(-n // s) for n, s in zip(sizes, strides)]
        pads = [(o - 1) * s + (k - 1) * e + 1 - n
                for o, s, k, e, n in zip(out, strides, kernel, dilation, sizes)]
        begin = [-(-p // 2) if p < 0 or how == "SAME_LOWER" else p // 2 for p in pads]
        y = np.zeros((*x.shape[:2], *out))
        for at in np.ndindex(*out):
            taps = [[a * s - b + t * e for t in range(k)]
                    for a, s, b, k, e in zip(at, strides, begin, kernel, dilation)]
            inside = [[t for t in axis if 0 <= t < n] for axis, n in zip(taps, sizes)]
            cells = x.astype(np.float64)[np.ix_(range(x.shape[0]), range(x.shape[1]), *inside)]
            y[(..., *at)] = reduce(cells.reshape(*x.shape[:2], -1), int(np.prod(kernel)))
        return [y.astype(x.dtype)]

    return pool


@operator("MaxPool", since=1)
def max_pool(d):
    rank = d.pick([1, 2, 2, 3])
    sizes, kernel, attributes = windows(d, rank, dilations=d.opset >= 10, ceil=d.opset >= 10)
    outputs = d.pick([1, 2]) if d.opset >= 8 else 1
    if outputs == 2 and d.maybe(0.3):
        attributes["storage_order"] = 1
    shape = [d.int(1, 2), d.int(1, 3), *sizes]
    x = d.array(d.dtype(FLOATS + ("int8", "uint8")), shape, -99, 99)
    pool = same_pool(x, kernel, attributes, lambda v, n: v.max(-1)) if outputs == 1 else None
    return Case([x], attributes | {"kernel_shape": kernel}, outputs=outputs, numpy=pool)


@operator("AveragePool", since=7)
def average_pool(d):
    rank = d.pick([1, 2, 2, 3])
    sizes, kernel, attributes = windows(d, rank, dilations=d.opset >= 19, ceil=d.opset >= 10)
    attributes |= d.some(count_include_pad=d.int(0, 1))
    x = d.array(d.dtype(FLOATS), [d.int(1, 2), d.int(1, 3), *sizes])
    padded = attributes.get("count_include_pad", 0)
    pool = same_pool(x, kernel, attributes,
                     lambda v, n: v.sum(-1) / (n if padded else v.shape[-1]))
    return Case([x], attributes | {"kernel_shape": kernel}, numpy=pool)


@operator("LpPool", since=2)
def lp_pool(d):
    rank = d.pick([1, 2, 2, 3])
    sizes, kernel, attributes = windows(d, rank, dilations=d.opset >= 18, ceil=d.opset >= 18)
    x, p = d.array(d.dtype(FLOATS), [d.int(1, 2), d.int(1, 3), *sizes]), d.int(1, 4)
    pool = same_pool(x, kernel, attributes, lambda v, n: (np.abs(v) ** p).sum(-1) ** (1 / p))
    return Case([x], attributes | {"kernel_shape": kernel, "p": p}, numpy=pool)


@operator("GlobalAveragePool", "GlobalMaxPool", since=1)
@operator("GlobalLpPool", since=2)
def global_pool(d, name):
    shape = d.shape(3, 5, empty=0)
    if d.maybe(0.05):
        shape[0] = 0
    x, attributes = d.array(d.dtype(FLOATS), shape), d.some(p=d.int(1, 4))
    p = attributes.get("p", 2)
    reduce = {"GlobalAveragePool": np.mean, "GlobalMaxPool": np.max,
              "GlobalLpPool": lambda v, **a: (np.abs(v) ** p).sum(**a) ** (1 / p)}[name]

    def pool():
        axes = tuple(range(2, x.ndim))
        return [reduce(x.astype(np.float64), axis=axes, keepdims=True).astype(x.dtype)]

    return Case([x], attributes if name == "GlobalLpPool" else {}, numpy=pool)


@operator("MaxUnpool", since=9)
def max_unpool(d):
    rank = d.pick([1, 2, 2, 3])
    kernel, sizes = [d.int(1, 3) for _ in range(rank)], [d.int(1, 4) for _ in range(rank)]
    strides = [d.int(1, k) for k in kernel]
    full = [(n - 1) * s + k for n, s, k in zip(sizes, strides, kernel)]
    batch = [d.int(1, 2), d.int(1, 2)]
    count = int(np.prod(sizes))
    places = np.stack([d.random.permutation(int(np.prod(full)))[:count]
                       + i * int(np.prod(full)) for i in range(int(np.prod(batch)))])
    dtype = d.dtype(COMMON, "T1")
    inputs = [d.array(dtype, batch + sizes), places.reshape(batch + sizes).astype(np.int64)]
    return Case(inputs, {"kernel_shape": kernel, "strides": strides})


@operator("MaxRoiPool", since=1)
def max_roi_pool(d):
    shape = [d.int(1, 3), d.int(1, 3), d.int(1, 9), d.int(1, 9)]
    count = d.int(0 if d.maybe(0.1) else 1, 4)
    scale = d.pick([1.0, 0.5, 0.25, 2.0])
    rois = np.zeros((count, 5))
    rois[:, 0] = d.random.integers(0, shape[0], count)
    ends = d.random.integers(-1, 12, (count, 2, 2))
    rois[:, 1:3], rois[:, 3:5] = ends.min(1), ends.max(1)
    dtype = d.dtype(COMMON)
    return Case([d.array(dtype, shape), rois.astype(draw.numpy_dtype(dtype))],
                {"pooled_shape": [d.int(1, 4), d.int(1, 4)]} |
                ({"spatial_scale": scale} if scale != 1 or d.maybe() else {}))


@operator("RoiAlign", since=10)
def roi_align(d):
    shape = [d.int(1, 3), d.int(1, 3), d.int(1, 9), d.int(1, 9)]
    count = d.int(0 if d.maybe(0.1) else 1, 4)
    corners = d.random.uniform(-2, 11, (count, 2, 2))
    rois = np.concatenate([corners.min(1), corners.max(1)], 1)
    dtype = d.dtype(FLOATS[:3], "T1")
    attributes = d.some(output_height=d.int(1, 4), output_width=d.int(1, 4),
                        sampling_ratio=d.int(0, 3), spatial_scale=d.pick([0.5, 1.0, 2.0]),
                        mode=d.pick(["avg", "max"]))
    if d.opset >= 16:
        attributes |= d.some(coordinate_transformation_mode=d.pick(["half_pixel",
                                                                    "output_half_pixel"]))
    return Case([d.array(dtype, shape), rois.astype(draw.numpy_dtype(dtype)),
                 d.indices([count], shape[0], negative=False)], attributes)


@operator("DeformConv", since=19)
def deform_conv(d):
    group, offsets = d.pick([1, 1, 2]), d.pick([1, 1, 2])
    sizes, kernel, attributes = windows(d, 2)
    attributes.pop("auto_pad", None)
    channels, out = group * offsets * d.int(1, 2), group * d.int(1, 2)
    pads = attributes.setdefault("pads", [0] * 4)
    strides = attributes.get("strides", [1, 1])
    dilation = attributes.get("dilations", [1, 1])
    result = [(n + pads[i] + pads[i + 2] - (k - 1) * e - 1) // s + 1
              for i, (n, k, e, s) in enumerate(zip(sizes, kernel, dilation, strides))]
    dtype, batch, taps = d.dtype(FLOATS[:3]), d.int(1, 2), offsets * int(np.prod(kernel))
    inputs = [d.array(dtype, [batch, channels, *sizes]),
              d.array(dtype, [out, channels // group, *kernel]),
              d.array(dtype, [batch, 2 * taps, *result], -2, 2),
              d.array(dtype, [out]) if d.maybe() else None,
              d.array(dtype, [batch, taps, *result], 0, 1) if d.maybe() else None]
    return Case(inputs, attributes | {"group": group, "offset_group": offsets}, rtol={
        "float16": 1e-2}.get(dtype))


@operator("Col2Im", since=18)
def col2im(d):
    rank = d.pick([1, 2, 2, 3])
    sizes, kernel, attributes = windows(d, rank)
    attributes.pop("auto_pad", None)
    pads = attributes.get("pads", [0] * 2 * rank)
    counts = [(n + pads[i] + pads[i + rank] - (k - 1) * e - 1) // s + 1
              for i, (n, k, e, s) in enumerate(zip(
                  sizes, kernel, attributes.get("dilations", [1] * rank),
                  attributes.get("strides", [1] * rank)))]
    shape = [d.int(1, 2), d.int(1, 3) * int(np.prod(kernel)), int(np.prod(counts))]
    return Case([d.array(d.dtype(FLOATS + ("int32", "uint8")), shape), np.array(sizes, np.int64),
                 np.array(kernel, np.int64)], attributes, constants=(1, 2) if d.maybe() else ())


@operator("GridSample", since=16)
def grid_sample(d):
    rank = d.pick([2, 2, 3]) if d.opset >= 20 else 2
    names = ["bilinear", "nearest", "bicubic"] if d.opset < 20 else ["linear", "nearest", "cubic"]
    batch, sizes = d.int(1, 2), [d.int(1, 5) for _ in range(rank)]
    grid = [batch, *(d.int(1, 4) for _ in range(rank)), rank]
    dtype = d.dtype(COMMON, "T1")
    attributes = d.some(align_corners=d.int(0, 1), mode=d.pick(names if rank == 2 else names[:2]),
                        padding_mode=d.pick(["zeros", "border", "reflection"]))
    kind = dtype if d.opset < 20 or dtype in d.allowed("T2") else "float"
    return Case([d.array(dtype, [batch, d.int(1, 3), *sizes]), d.array(kind, grid, -1.4, 1.4)],
                attributes, rtol=2e-2 if dtype == "float16" else 1e-4)


@operator("AffineGrid", since=20)
def affine_grid(d):
    rank, batch = d.int(2, 3), d.int(1, 3)
    size = [batch, d.int(1, 3), *(d.int(1, 5) for _ in range(rank))]
    return Case([d.array(d.dtype(COMMON, "T1"), [batch, rank, rank + 1]), np.array(size, np.int64)],
                d.some(align_corners=d.int(0, 1)), constants=(1,) if d.maybe() else ())


@operator("Upsample", since=7, until=9)
def upsample(d):
    shape = d.shape(2, 4, empty=0, limit=200)
    mode = d.pick(["nearest", "linear"])
    scales = [d.pick([1.0, 2.0, 1.5, 3.0]) for _ in shape]
    if mode == "linear":  # onnxruntime: the last two axes
        scales[:-2] = [1.0] * (len(shape) - 2)
    whole = ("int32", "uint8") if mode == "nearest" else ()
    x = d.array(d.dtype(("float", *whole)), shape)
    if d.opset < 9:
        return Case([x], {"mode": mode, "scales": scales})
    return Case([x, np.array(scales, np.float32)], {"mode": mode}, constants=(1,))


@operator("Resize", since=10, until=10, variant="by_scales")
def resize_by_scales(d):
    mode = d.pick(["nearest", "linear"])
    shape = d.shape(2, 4, empty=0, limit=200)
    scales = [1.0] * (len(shape) - 2) + [d.pick([0.5, 1.0, 2.0, 1.5]) for _ in range(2)]
    scales = [max(s, 1 / n) for s, n in zip(scales, shape)]
    whole = ("int32", "uint8") if mode == "nearest" else ()
    return Case([d.array(d.dtype(("float", *whole)), shape), np.array(scales, np.float32)],
                {"mode": mode}, constants=(1,))


@operator("Resize", since=11)
def resize(d):
    rank = d.int(1, 4)
    sizes = [d.int(1, 5) for _ in range(rank)]
    mode = d.pick(["nearest", "linear", "cubic"])
    ways = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
    ways += ["tf_crop_and_resize"] + (["half_pixel_symmetric"] if d.opset >= 19 else [])
    way = d.pick(ways)
    free = set(d.permutation(rank)[:2])  # of the others the size stays
    attributes = {"mode": mode, "coordinate_transformation_mode": way}
    attributes |= d.some(nearest_mode=d.pick(["round_prefer_floor", "round_prefer_ceil", "floor",
                                              "ceil"])) if mode == "nearest" else {}
    attributes |= d.some(cubic_coeff_a=d.pick([-0.5, -0.75]), exclude_outside=1) \
        if mode == "cubic" else {}
    attributes |= d.some(extrapolation_value=d.float(-2, 2)) if way == ways[4] else {}
    if d.opset >= 18 and mode != "nearest" and way != ways[4] and d.maybe(0.3):
        attributes["antialias"] = 1
    dtype = d.dtype(("float", "double", "float16", "int32", "uint8", "int8"), "T1")
    roi = None
    if way == ways[4]:
        ends = np.sort(d.random.uniform(0, 1, (2, rank)), 0)
        roi = np.where([[i in free for i in range(rank)]], ends, [[0], [1]])
        roi = roi.reshape(-1).astype(np.float32)
    elif d.opset < 13:
        roi = np.zeros(0, np.float32)
    x = d.array(dtype, sizes, -99, 99)
    if d.maybe():
        scales = [d.pick([0.5, 2.0, 1.5, 0.75, 3.0]) if i in free else 1.0 for i in range(rank)]
        scales = [max(s, 1 / n) for s, n in zip(scales, sizes)]
        inputs = [x, roi, np.array(scales, np.float32)]
    else:
        wanted = [d.int(1, 8) if i in free else n for i, n in enumerate(sizes)]
        empty = None if d.opset >= 13 else np.zeros(0, np.float32)
        inputs = [x, roi, empty, np.array(wanted, np.int64)]
    constants = tuple(i for i in range(1, len(inputs)) if inputs[i] is not None)
    case = Case(inputs, attributes, constants=constants if d.maybe(0.8) else ())
    if dtype in INTEGERS:
        case.atol = 1
    else:
        case.rtol = 2e-2 if dtype == "float16" else 1e-4
    return case


@operator("NonMaxSuppression", since=10)
def non_max_suppression(d):
    batch, count, classes = d.int(1, 2), d.int(1, 8), d.int(1, 3)
    center = d.int(0, 1)
    corners = d.random.uniform(0, 10, (batch, count, 2, 2))
    low, high = corners.min(2), corners.max(2)
    boxes = np.concatenate([(low + high) / 2, high - low] if center else [low, high], -1)
    inputs = [boxes.astype(np.float32), d.array("float", [batch, classes, count], 0, 1)]
    inputs += [np.array([d.int(0, 5)], np.int64)] if d.maybe(0.8) else []
    if len(inputs) == 3 and d.maybe(0.8):
        inputs += [np.array([d.float(0, 1)], np.float32)]
        inputs += [np.array([d.float(0, 1)], np.float32)] if d.maybe() else []
    return Case(inputs, {"center_point_box": center} if center or d.maybe() else {})
