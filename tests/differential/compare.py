"""Whether two values are the same."""
import numpy as np

import draw

# Relative errors by dtype; the absolute one is this, times the largest magnitude of the tensor.
TOLERANCE = {"double": 1e-6, "float": 2e-5, "float16": 4e-3, "bfloat16": 2.0**-6,
             "complex64": 2e-5, "complex128": 1e-7}
_BY_DTYPE = {draw.numpy_dtype(name): error for name, error in TOLERANCE.items()}


def difference(got, want, case):
    """"" when `got` equals `want` within the case's tolerance, else what differs."""
    if len(got) != len(want):
        return f"{len(got)} outputs, expected {len(want)}"
    for i, (g, w) in enumerate(zip(got, want)):
        wrong = _difference(g, w, case)
        if wrong:
            return f"output {i}: {wrong}"
    return ""


def _difference(got, want, case):
    if want is None or got is None:
        return "" if want is None and got is None else f"got {got}, expected {want}"
    if isinstance(want, list):
        if not isinstance(got, list) or len(got) != len(want):
            return f"got {got}, expected the sequence {want}"
        return next(filter(None, (_difference(g, w, case) for g, w in zip(got, want))), "")
    if isinstance(want, dict):
        if not isinstance(got, dict) or got.keys() != want.keys():
            return f"got {got}, expected the map {want}"
        return next(filter(None, (_tensors(np.float64(got[k]), np.float64(want[k]), case)
                                  for k in want)), "")
    return _tensors(np.asarray(got), np.asarray(want), case)


def _tensors(got, want, case):
    if got.shape != want.shape:
        return f"shape {list(got.shape)}, expected {list(want.shape)}"
    if draw.onnx_code(got.dtype) != draw.onnx_code(want.dtype):
        return f"dtype {got.dtype}, expected {want.dtype}"
    if want.dtype.kind in "OUST":
        same = np.asarray([_text(g) == _text(w) for g, w in zip(got.reshape(-1), want.reshape(-1))],
                          bool).reshape(want.shape)
    else:
        same = _close(got, want, case)
    if same.all():
        return ""
    at = tuple(int(i) for i in np.argwhere(~same)[0]) if want.ndim else ()
    return (f"{int((~same).sum())} of {same.size} differ, at {list(at)}: "
            f"{got[at]!s}, expected {want[at]!s}")


def _text(x):
    return x.decode() if isinstance(x, bytes) else str(x)


def _close(got, want, case):
    exact = want.dtype.kind in "biu" or want.dtype not in _BY_DTYPE
    if exact and case.atol is None:
        return (got == want) | ((got != got) & (want != want))
    rtol = case.rtol if case.rtol is not None else 0 if exact else _BY_DTYPE[want.dtype]
    wide = np.complex128 if want.dtype.kind == "c" else np.float64
    g, w = got.astype(wide), want.astype(wide)
    finite = np.abs(w[np.isfinite(w)])
    atol = case.atol if case.atol is not None else rtol * (finite.max() if finite.size else 0)
    with np.errstate(invalid="ignore"):
        near = np.abs(g - w) <= atol + rtol * np.abs(w)
    return near | (g == w) | (np.isnan(g) & np.isnan(w))
