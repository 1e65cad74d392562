"""Derivatives: the backend's, and those of finite differences."""

import numpy as np


def slopes(function, *arrays):
    """The gradients of a scalar function of arrays, as the backend computes them."""
    import tensorflow as tf

    tensors = [tf.convert_to_tensor(array) for array in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(*tensors)
    found = tape.gradient(value, tensors, unconnected_gradients="zero")
    return [np.asarray(gradient) for gradient in found]


def differences(function, x, step=1e-5):
    """The gradient of a scalar function of a float64 array by central differences."""
    found = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        found[place] = (float(function(moved[0])) - float(function(moved[1]))) / (2 * step)
    return found
