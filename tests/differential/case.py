"""One case of an operator, its model of one node, and the table of all operators' generators."""
import collections
import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

import draw

ORT_OPSET = 26  # the newest that the installed onnxruntime loads
NEWEST = {"": 28, "ai.onnx.ml": 5, "com.microsoft": 1, "ai.onnx.preview.training": 1,
          "ai.onnx.preview": 1}


@dataclasses.dataclass
class Case:
    """What a generator draws. `inputs`: arrays, lists of arrays (sequences), dicts (maps), None =
    absent; constants: indices of those that are initializers of the model."""

    inputs: list[Any]
    attributes: dict[str, Any] = dataclasses.field(default_factory=dict)
    outputs: int = 1
    absent: tuple[int, ...] = ()  # of the outputs, those that are not asked for
    rtol: float | None = None  # None: as the dtype has it (compare.py)
    atol: float | None = None
    constants: tuple[int, ...] = ()
    types: dict[int, onnx.TypeProto] = dataclasses.field(default_factory=dict)  # of inputs
    output_types: list[onnx.TypeProto] | None = None  # where no shape inference tells them
    numpy: Callable[[], list[Any]] | None = None  # the outputs by numpy: asked before all others
    check: Callable[[list[Any]], None] | None = None  # instead of values: raises AssertionError
    # Set by the runner.
    operator: "Operator | None" = None
    opset: int = 0
    index: int = 0

    def __str__(self):
        given = ", ".join(_brief(x) for x in self.inputs)
        attributes = ", ".join(f"{k}={' '.join(str(v).split())[:60]}"
                               for k, v in self.attributes.items())
        return (f"{self.operator} case {self.index}, opset {self.opset}, {{{attributes}}}, "
                f"inputs {given}" + (f", constants {self.constants}" if self.constants else ""))


def _brief(x):
    if isinstance(x, np.ndarray):
        few = f" {x.reshape(-1).tolist()}" if x.size <= 8 else ""
        return f"{x.dtype}{list(x.shape)}{few}"
    return " ".join(repr(x).split())[:100]


@functools.cache
def _histories():
    """The opsets at which each operator changed, by (domain, name)."""
    found = collections.defaultdict(list)
    for schema in onnx.defs.get_all_schemas_with_history():
        found[schema.domain, schema.name].append(schema.since_version)
    return {key: sorted(versions) for key, versions in found.items()}


@dataclasses.dataclass(frozen=True)
class Operator:
    """A row of the table: since/until bound the versions that the generator knows."""

    name: str
    generate: Callable[[draw.Draw], Case]
    domain: str
    since: int
    until: int
    variant: str

    def __str__(self):
        return (f"{self.domain}." if self.domain else "") + self.name + \
            (f"/{self.variant}" if self.variant else "")

    def versions(self):
        """The opsets at which the operator changed, as far as the generator knows them."""
        found = _histories().get((self.domain, self.name), ())
        return [v for v in found if self.since <= v <= self.until] or [self.since]

    def schema(self, opset):
        try:
            return onnx.defs.get_schema(self.name, opset, self.domain)
        except onnx.defs.SchemaError:
            return None


OPERATORS: dict[str, Operator] = {}


def operator(*names, since=1, until=0, domain="", variant=""):
    """Enters a generator of the operators `names`: of a Draw, and of the name if it takes one."""
    def enter(generate):
        named = "name" in inspect.signature(generate).parameters
        for name in names:
            last = until or NEWEST[domain]
            bound = _with_name(generate, name) if named else generate
            row = Operator(name, bound, domain, since, last, variant)
            assert str(row) not in OPERATORS, f"{row} has two generators"
            OPERATORS[str(row)] = row
        return generate
    return enter


def _with_name(generate, name):
    return lambda d: generate(d, name)


def make_case(row, index, seed):
    """The case of this index; the same for the same seed."""
    versions = row.versions()
    opset = versions[-1 - index % len(versions)]
    name = [ord(c) for c in str(row)]
    case = row.generate(draw.Draw([seed, index, *name], row.schema(opset), opset))
    case.operator, case.opset, case.index = row, opset, index
    return case


# ---- Models

def type_of(x):
    """ONNX's type of a value."""
    if isinstance(x, np.ndarray | np.generic):
        return helper.make_tensor_type_proto(draw.onnx_code(x.dtype), list(x.shape))
    if isinstance(x, list):
        element = onnx.TypeProto()
        element.CopyFrom(type_of(x[0]) if x else helper.make_tensor_type_proto(1, None))
        if element.HasField("tensor_type"):
            element.tensor_type.ClearField("shape")
        return helper.make_sequence_type_proto(element)
    if isinstance(x, dict):
        keys, values = (np.asarray(list(e)) for e in (x.keys(), x.values()))
        element = helper.make_tensor_type_proto(draw.onnx_code(values.dtype), None)
        return helper.make_map_type_proto(draw.onnx_code(keys.dtype), element)
    raise TypeError(type(x))


def imports(case, newest):
    """The opsets of a model of the case, its own domain's included."""
    domain = case.operator.domain
    opsets = {"": newest if domain else min(case.opset, newest)}
    if domain:
        opsets[domain] = case.opset
    return [helper.make_opsetid(*o) for o in opsets.items()]


def model_of(case, newest=NEWEST[""]):
    """A ModelProto of the case's node, and the values of its inputs by name."""
    names, infos, feed, initializers = [], [], {}, []
    for i, x in enumerate(case.inputs):
        name = "" if x is None and i not in case.types else f"x{i}"
        names.append(name)
        if not name:
            continue
        if i in case.constants:
            initializers.append(numpy_helper.from_array(x, name))
            continue
        feed[name] = x
        infos.append(helper.make_value_info(name, case.types.get(i) or type_of(x)))
    made = ["" if i in case.absent else f"y{i}" for i in range(case.outputs)]
    results = [onnx.ValueInfoProto(name=n) for n in made if n]
    for info, kind in zip(results, case.output_types or ()):
        info.type.CopyFrom(kind)
    row = case.operator
    node = helper.make_node(row.name, names, made, domain=row.domain,
                            **case.attributes)
    graph = helper.make_graph([node], "case", infos, results, initializers)
    return helper.make_model(graph, opset_imports=imports(case, newest), ir_version=10), feed
