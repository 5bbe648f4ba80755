"""ai.onnx.ml: linear models, support vectors, trees."""
import numpy as np
from onnx import helper

import draw
from case import Case, operator
from operators.features import ML, NUMERIC, rows

POST = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO")
MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")


def floats(d, count, low=-1.0, high=1.0):
    return [d.float(low, high) for _ in range(count)]


def labels(d, count, ints="classlabels_ints", strings="classlabels_strings"):
    if d.maybe():
        return {ints: d.permutation(count)}
    return {strings: [f"class{i}" for i in range(count)]}


@operator("LinearRegressor", domain=ML)
def linear_regressor(d):
    x, targets = rows(d, d.dtype(("float",))), d.int(1, 3)
    width = x.shape[-1]
    attributes = {"targets": targets, "coefficients": floats(d, targets * width)}
    attributes |= d.some(intercepts=floats(d, targets), post_transform=d.pick(POST[:3]))
    return Case([np.atleast_2d(x)], attributes, rtol=1e-4)


@operator("LinearClassifier", domain=ML)
def linear_classifier(d):
    x, classes = np.atleast_2d(rows(d, d.dtype(NUMERIC, "T1"))), d.int(2, 4)
    attributes = labels(d, classes)
    attributes |= {"coefficients": floats(d, classes * x.shape[1]),
                   "intercepts": floats(d, classes)}
    attributes |= d.some(post_transform=d.pick(POST), multi_class=d.int(0, 1))
    return Case([x], attributes, outputs=2, rtol=1e-4)


def kernel(d):
    return {"kernel_type": d.pick(["LINEAR", "POLY", "RBF", "SIGMOID"]),
            "kernel_params": [d.float(0.1, 1), d.float(0, 1), float(d.int(1, 3))]}


@operator("SVMRegressor", domain=ML)
def svm_regressor(d):
    x, count = np.atleast_2d(rows(d, "float", low=-1, high=1)), d.int(1, 5)
    attributes = kernel(d) | {"n_supports": count, "coefficients": floats(d, count),
                              "support_vectors": floats(d, count * x.shape[1]),
                              "rho": floats(d, 1)}
    return Case([x], attributes | d.some(one_class=d.int(0, 1)), rtol=1e-4, atol=1e-5)


@operator("SVMClassifier", domain=ML)
def svm_classifier(d):
    x = np.atleast_2d(rows(d, d.dtype(("float", "double"), "T1"), low=-1, high=1))
    classes, width = d.int(2, 4), x.shape[1]
    per = [d.int(1, 3) for _ in range(classes)]
    pairs = classes * (classes - 1) // 2
    attributes = kernel(d) | labels(d, classes) | {
        "vectors_per_class": per, "support_vectors": floats(d, sum(per) * width),
        "coefficients": floats(d, sum(per) * (classes - 1)), "rho": floats(d, pairs)}
    if d.maybe(0.4):
        attributes |= {"prob_a": floats(d, pairs, -2, -0.5), "prob_b": floats(d, pairs)}
    return Case([x], attributes, outputs=2, rtol=1e-3, atol=1e-4)


class Forest:
    """Random trees, as the lists of TreeEnsembleRegressor and -Classifier."""

    def __init__(self, d, width, same_mode):
        self.d, self.width, self.mode = d, width, d.pick(MODES) if same_mode else None
        self.nodes, self.leaves = [], []
        for tree in range(d.int(1, 3)):
            self.count = 0
            self.grow(tree, d.int(0, 3))

    def grow(self, tree, depth):
        """The id of a new node of the tree, with what hangs beneath it."""
        me, self.count = self.count, self.count + 1
        place = len(self.nodes)
        self.nodes.append(None)
        if depth == 0 or me and self.d.maybe(0.2):
            self.nodes[place] = (tree, me, 0, "LEAF", 0.0, 0, 0, 0)
            self.leaves.append((tree, me))
            return me
        yes = self.grow(tree, depth - 1)
        no = self.grow(tree, depth - 1)
        self.nodes[place] = (tree, me, self.d.int(0, self.width - 1),
                             self.mode or self.d.pick(MODES), float(self.d.int(-3, 3)), yes, no,
                             self.d.int(0, 1))
        return me

    def attributes(self):
        names = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids",
                 "falsenodeids", "missing_value_tracks_true")
        return {f"nodes_{n}": list(c) for n, c in zip(names, zip(*self.nodes))}

    def votes(self, kind, ids, all_of_them=False):
        """Each leaf's weights for some of the ids."""
        chosen = [(t, n, i) for t, n in self.leaves for i in ids
                  if all_of_them or i == ids[0] or self.d.maybe(0.7)]
        trees, nodes, wanted = (list(c) for c in zip(*chosen))
        return {f"{kind}_treeids": trees, f"{kind}_nodeids": nodes, f"{kind}_ids": wanted,
                f"{kind}_weights": floats(self.d, len(chosen), 0, 1)}


def features(d, dtype):
    """Whole numbers, so that splits meet them; some missing."""
    x = np.atleast_2d(rows(d, dtype, low=-4, high=4))
    if dtype in ("float", "double"):
        x = np.trunc(x)
        x = np.where(d.random.random(x.shape) < 0.1, x.dtype.type(np.nan), x)
    return x


@operator("TreeEnsembleRegressor", domain=ML)
def tree_regressor(d):
    x = features(d, d.dtype(("float", "double")))
    forest, targets = Forest(d, x.shape[1], d.maybe(0.7)), d.int(1, 3)
    attributes = forest.attributes() | forest.votes("target", list(range(targets)))
    attributes |= {"n_targets": targets}
    attributes |= d.some(base_values=floats(d, targets), post_transform=d.pick(POST[:3]),
                         aggregate_function=d.pick(["SUM", "AVERAGE", "MIN", "MAX"]))
    return Case([x], attributes, rtol=1e-4, atol=1e-5)


@operator("TreeEnsembleClassifier", domain=ML)
def tree_classifier(d):
    x = features(d, d.dtype(("float", "double", "int64", "int32"), "T1"))
    forest, classes = Forest(d, x.shape[1], d.maybe(0.7)), d.int(2, 4)
    attributes = forest.attributes() | forest.votes("class", d.permutation(classes), classes == 2)
    attributes |= labels(d, classes, "classlabels_int64s")
    attributes |= d.some(base_values=floats(d, classes), post_transform=d.pick(POST))
    return Case([x], attributes, outputs=2, rtol=1e-4, atol=1e-5)


@operator("TreeEnsembleClassifier", domain=ML, variant="binary")
def binary_tree_classifier(d):
    """Two classes and the weights of one of them, as the converters of boosted trees write them."""
    x = features(d, "float")
    forest = Forest(d, x.shape[1], True)
    attributes = forest.attributes() | forest.votes("class", [0])
    attributes |= {"classlabels_int64s": [0, 1]} | d.some(base_values=floats(d, 1))
    attributes |= d.some(post_transform=d.pick(["NONE", "LOGISTIC"]))
    if d.maybe():
        attributes["class_weights"] = floats(d, len(attributes["class_ids"]))
    return Case([x], attributes, outputs=2, rtol=1e-4, atol=1e-5)


@operator("TreeEnsemble", since=5, domain=ML)
def tree_ensemble(d):
    dtype, targets = d.dtype(("float", "double")), d.int(1, 3)
    x = features(d, dtype)
    nodes, leaves, roots = [], [], []

    def grow(depth):
        """(index, whether it is a leaf)"""
        if depth == 0 or d.maybe(0.15):
            leaves.append((d.int(0, targets - 1), d.float(-1, 1)))
            return len(leaves) - 1, 1
        place = len(nodes)
        nodes.append(None)
        yes, no = grow(depth - 1), grow(depth - 1)
        nodes[place] = (d.int(0, x.shape[1] - 1), float(d.int(-3, 3)), d.int(0, 5), *yes, *no)
        return place, 0

    for _ in range(d.int(1, 3)):
        roots.append(len(nodes))
        nodes.append(None)
        yes, no = grow(d.int(0, 2)), grow(d.int(0, 2))
        nodes[roots[-1]] = (d.int(0, x.shape[1] - 1), float(d.int(-3, 3)), d.int(0, 5), *yes, *no)
    feature, split, mode, yes, yes_leaf, no, no_leaf = zip(*nodes)
    code = draw.onnx_code(draw.numpy_dtype(dtype))

    def tensor(values, kind=code):
        return helper.make_tensor("t", kind, [len(values)], values)

    attributes = {
        "n_targets": targets, "tree_roots": roots, "nodes_featureids": feature,
        "nodes_splits": tensor(split),
        "nodes_modes": tensor(mode, draw.onnx_code(np.dtype("uint8"))),
        "nodes_truenodeids": yes, "nodes_trueleafs": yes_leaf, "nodes_falsenodeids": no,
        "nodes_falseleafs": no_leaf, "leaf_targetids": [t for t, _ in leaves],
        "leaf_weights": tensor([w for _, w in leaves]),
        "nodes_missing_value_tracks_true": [d.int(0, 1) for _ in nodes],
        "post_transform": d.pick([0, 0, 1, 2, 3]), "aggregate_function": d.int(0, 3)}
    return Case([x], attributes, rtol=1e-4, atol=1e-5)
