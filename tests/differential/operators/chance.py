"""Random operators: the distribution, the range, the type and the seed of what they give."""
import numpy as np

import draw
from case import Case, operator
from draw import COMMON, FLOATS

SIGMAS = 6  # a sum of many draws lies this many deviations from its mean once in 500 million
MANY = 1000


def code(name):
    return draw.onnx_code(draw.numpy_dtype(name))


def near(what, got, want, deviation):
    assert abs(got - want) <= SIGMAS * deviation + 1e-9, f"{what} is {got}, expected {want}"


def plain(y, dtype, shape):
    want = draw.numpy_dtype(dtype) if isinstance(dtype, str) else dtype
    assert y.dtype == want and list(y.shape) == list(shape), \
        f"{y.dtype}{list(y.shape)}, expected {want}{list(shape)}"
    return y.astype(np.float64).reshape(-1)


def is_normal(dtype, shape, mean, scale):
    def check(outputs):
        x = (plain(outputs[0], dtype, shape) - mean) / scale
        assert np.isfinite(x).all(), "not finite"
        if x.size >= MANY:
            near("the mean", x.mean(), 0, x.size**-0.5)
            near("the mean of squares", (x**2).mean(), 1, (2 / x.size) ** 0.5)
            near("the share within one deviation", (abs(x) < 1).mean(), 0.6827, 0.47 * x.size**-0.5)
            near("the mean of cubes", (x**3).mean(), 0, 2 * (15 / x.size) ** 0.5)  # long tails
    return check


def is_uniform(dtype, shape, low, high):
    def check(outputs):
        x = (plain(outputs[0], dtype, shape) - low) / (high - low)
        assert ((x >= -1e-2) & (x <= 1 + 1e-2)).all(), f"outside of [{low}, {high}]"
        if x.size:
            near("the mean", x.mean(), 0.5, (1 / 12 / x.size) ** 0.5)
            near("the mean of squares", (x**2).mean(), 1 / 3, 0.3 * x.size**-0.5)
            for quarter in range(4):
                share = ((x >= quarter / 4) & (x < (quarter + 1) / 4)).mean()
                near(f"the share of quarter {quarter}", share, 0.25, 0.44 * x.size**-0.5 + 1e-2)
    return check


def large(d):
    """A shape of many elements, or of few, or of none."""
    return d.shape() if d.maybe(0.3) else [d.int(20, 40), d.int(30, 50), d.int(2, 5)]


def seeded(d):
    return d.some(seed=float(d.int(0, 99)))


@operator("RandomNormal", "RandomUniform", since=1)
def random(d, name):
    shape, dtype = large(d) or [1], d.dtype(COMMON)
    attributes, check = parameters(d, name, dtype, shape)
    return Case([], attributes | {"shape": shape, "dtype": code(dtype)}, check=check)


@operator("RandomNormalLike", "RandomUniformLike", since=1)
def random_like(d, name):
    shape, given = large(d), d.dtype(COMMON, "T1")
    wanted = d.some(dtype=d.dtype(COMMON, "T2"))
    attributes, check = parameters(d, name, wanted.get("dtype", given), shape)
    return Case([d.array(given, shape)], attributes | {k: code(v) for k, v in wanted.items()},
                check=check)


def parameters(d, name, dtype, shape):
    if name.startswith("RandomNormal"):
        given = d.some(mean=d.float(-3, 3), scale=d.float(0.5, 3))
        check = is_normal(dtype, shape, given.get("mean", 0), given.get("scale", 1))
    else:
        given = d.some(low=d.float(-3, 0), high=d.float(1, 3))
        check = is_uniform(dtype, shape, given.get("low", 0), given.get("high", 1))
    return given | seeded(d), check


@operator("Bernoulli", since=15)
def bernoulli(d):
    given, wanted = d.dtype(COMMON, "T1"), d.some(dtype=d.dtype(FLOATS + ("int32", "bool"), "T2"))
    p = d.array(given, large(d), 0, 1)

    def check(outputs):
        y = plain(outputs[0], wanted.get("dtype", given), p.shape)
        q = p.astype(np.float64).reshape(-1)
        assert np.isin(y, (0, 1)).all(), "neither 0 nor 1"
        if y.size:
            near("the mean", y.mean(), q.mean(), 0.5 * y.size**-0.5)
            near("the correlation", (y * q).mean(), (q * q).mean(), 0.5 * y.size**-0.5)

    return Case([p], {k: code(v) for k, v in wanted.items()} | seeded(d), check=check)


@operator("Multinomial", since=7)
def multinomial(d):
    batch, classes, samples = d.int(1, 4), d.int(1, 6), d.pick([1, 7, 400, 2000])
    x = d.array(d.dtype(COMMON, "T1"), [batch, classes], -2, 2)
    wanted = d.some(dtype=d.pick(["int32", "int64"]))

    def check(outputs):
        y = outputs[0]
        plain(y, wanted.get("dtype", "int32"), [batch, samples])
        assert ((y >= 0) & (y < classes)).all(), "no class"
        odds = np.exp(x.astype(np.float64))
        for row, p in zip(y, odds / odds.sum(1, keepdims=True)):
            for k in range(classes):
                near(f"the share of class {k}", (row == k).mean(), p[k], 0.5 * samples**-0.5)

    return Case([x], {"sample_size": samples} | {k: code(v) for k, v in wanted.items()} | seeded(d),
                check=check)


@operator("Dropout", since=7)
def dropout(d):
    x = d.array(d.dtype(COMMON), large(d), 1, 3)
    if d.opset < 12:
        return Case([x], d.some(ratio=d.float(0, 0.9)), outputs=1 if d.opset < 10 else d.int(1, 2))
    kind = draw.numpy_dtype(d.dtype(COMMON, "T1"))
    ratio = np.array(d.float(0, 0.9), kind) if d.maybe() else None
    if not d.maybe():
        return Case([x, ratio], outputs=d.int(1, 2))
    part = 0.5 if ratio is None else float(ratio)

    def check(outputs):
        y, mask = outputs
        kept = plain(y, x.dtype, x.shape) != 0
        assert (kept == mask.reshape(-1)).all(), "the mask is another one"
        want = np.where(mask, x / x.dtype.type(1 - part), 0).reshape(-1).astype(np.float64)
        assert np.allclose(y.reshape(-1).astype(np.float64), want, rtol=3e-3), "scaled otherwise"
        if kept.size:
            near("the share kept", kept.mean(), 1 - part, 0.5 * kept.size**-0.5)

    return Case([x, ratio, np.array(True)], d.some(seed=d.int(0, 99)), outputs=2, check=check)
