"""BERT from safetensors to ONNX (opset 17) with numpy alone: export.py FOLDER OUT."""

import json
import pathlib
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def tensors(path):
    """All tensors of an F32 safetensors file by name."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    header.pop("__metadata__", None)
    return {
        name.removeprefix("bert."): np.frombuffer(data[slice(*info["data_offsets"])], "<f4").reshape(info["shape"])
        for name, info in header.items()
        if info["dtype"] == "F32"
    }


class Graph:
    """Nodes and constants under numbered names."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, value):
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def floats(self, value):
        return self.constant(np.array(value, np.float32))

    def integers(self, value):
        return self.constant(np.array(value, np.int64))

    def node(self, operator, *inputs, **attributes):
        output = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output


def bert(config, weights):
    graph = Graph()
    node, floats, integers = graph.node, graph.floats, graph.integers
    heads, hidden = config["num_attention_heads"], config["hidden_size"]

    def linear(x, name):
        product = node("MatMul", x, graph.constant(weights[name + ".weight"].T))
        return node("Add", product, graph.constant(weights[name + ".bias"]))

    def norm(x, name):
        gain, shift = (graph.constant(weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return node("LayerNormalization", x, gain, shift, axis=-1, epsilon=config["layer_norm_eps"])

    def split(x, order):
        return node("Transpose", node("Reshape", x, integers([0, 0, heads, hidden // heads])), perm=order)

    def rows(name, ids):
        return node("Gather", graph.constant(weights[f"embeddings.{name}_embeddings.weight"]), ids, axis=0)

    length = node("Gather", node("Shape", "input_ids"), integers(1), axis=0)
    places = node("Unsqueeze", node("Range", integers(0), length, integers(1)), integers([0]))
    words = node("Add", rows("word", "input_ids"), rows("token_type", "token_type_ids"))
    x = norm(node("Add", words, rows("position", places)), "embeddings.LayerNorm")
    mask = node("Cast", node("Unsqueeze", "attention_mask", integers([1, 2])), to=TensorProto.FLOAT)
    mask = node("Mul", node("Sub", floats(1.0), mask), floats(-10000.0))
    for layer in range(config["num_hidden_layers"]):
        name = f"encoder.layer.{layer}."
        queries = split(linear(x, name + "attention.self.query"), [0, 2, 1, 3])
        keys = split(linear(x, name + "attention.self.key"), [0, 2, 3, 1])
        values = split(linear(x, name + "attention.self.value"), [0, 2, 1, 3])
        scores = node("Div", node("MatMul", queries, keys), floats((hidden // heads) ** 0.5))
        shares = node("Softmax", node("Add", scores, mask), axis=-1)
        joined = node("Transpose", node("MatMul", shares, values), perm=[0, 2, 1, 3])
        joined = node("Reshape", joined, integers([0, 0, hidden]))
        output = linear(joined, name + "attention.output.dense")
        y = norm(node("Add", output, x), name + "attention.output.LayerNorm")
        inner = linear(y, name + "intermediate.dense")
        erf = node("Erf", node("Div", inner, floats(2**0.5)))
        inner = node("Mul", node("Mul", inner, node("Add", erf, floats(1.0))), floats(0.5))
        x = norm(node("Add", linear(inner, name + "output.dense"), y), name + "output.LayerNorm")
    graph.nodes[-1].output[0] = "last_hidden_state"
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", hidden])
    made = helper.make_graph(graph.nodes, "bert", inputs, [output], graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def main():
    folder, out = map(pathlib.Path, sys.argv[1:])
    config = json.loads((folder / "config.json").read_text())
    onnx.save(bert(config, tensors(folder / "model.safetensors")), out)


main()
