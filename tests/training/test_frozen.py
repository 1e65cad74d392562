"""A frozen network sees the weights of this step, not those of the next."""

import keras
import pytest

from tests.adapt.backends import COUNTS, adapted, batch, variants
from tests.adapt.small import Small
from tests.translate.backends import steps_of

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="about TensorFlow's graphs")


def before(graph):
    """{node: all that is calculated before it} of a graph."""
    inputs = {node.name: [i.lstrip("^").split(":")[0] for i in node.input] for node in graph.node}
    found = {}
    for name in inputs:
        waiting = [name]
        while waiting:
            missing = [each for each in inputs[waiting[-1]] if each not in found]
            if missing:
                waiting += missing
            else:
                now = waiting.pop()
                found[now] = set(inputs[now]).union(*(found[each] for each in inputs[now]))
    return found


def races(run):
    """The (read, update) of one variable of which either may come first, in TensorFlow's graph of `run`."""
    from tensorflow.python.eager import context

    context.context().enable_graph_collection()
    run()
    graphs = [
        each.post_optimization_graph for each in context.context().export_run_metadata().function_graphs
    ]
    context.context().disable_graph_collection()
    updates, found = 0, []
    for graph in graphs:
        earlier = before(graph)
        for update in (node for node in graph.node if node.op.startswith("Assign")):
            updates += 1
            found += [
                (node.name, update.name)
                for node in graph.node
                if node.op == "ReadVariableOp"
                and node.input[0] == update.input[0]
                and node.name not in earlier[update.name]
                and update.name not in earlier[node.name]
            ]
    assert updates > 10
    return found


@pytest.mark.parametrize("form", ["linear", "categorical", "mlp"])
def test_confusion_updates_what_was_read(form):
    pilot = Small()
    model = adapted(pilot, pilot.build(), variants()[f"confusion {form}"])
    assert races(lambda: model.train_on_batch(*batch(COUNTS, shape=pilot.settings.image_shape))) == []


@pytest.mark.parametrize("name", ["cut", "style"])
def test_translators_update_what_was_read(name):
    assert races(lambda: steps_of(name, 1)) == []
