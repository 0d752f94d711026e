"""Normal distributions: densities of observations, and moments of observations that have weights.

Observations stand side by side in blocks that stay in the fastest cache, sixty-four at a time, one dimension after the
other. A distribution is known by its mean and by R, a lower triangular matrix with R^T R = covariance^-1: the density
at x is that of R (x - mean), standard normal, times det R. So the mean is subtracted before anything is squared, and no
digits are lost where data are far from zero.

Row i of a triangular matrix holds columns max(0, i - band) to i, from its place 0 on: with a band of dims - 1 that is a
matrix as it is, with a band of 0 a diagonal.
"""

from __future__ import annotations

from ._jit import kernel, part
from .layout import LANES
from .rows import load_apart
from .simd import add_lanes, broadcast, clear, copy, keep_apart, load_each, store, store_each
from .tuples import add_products, dot

BLOCK = 256  # observations that are worked on together
STEP = 4 * LANES  # observations that are computed at once


@part
def write_columns(array, first, count, work, at):
    """work[at + d * BLOCK + n] = array[first + n, d], and zeros after the last."""
    keep_apart()
    width, whole = array.shape[1], count // LANES * LANES
    if count < BLOCK:
        clear(work, at, width * BLOCK)
    for d in range(width):
        for u in range(0, whole, LANES):
            store(work, at + d * BLOCK + u, load_apart(array, (first + u) * width + d, width))
        for n in range(whole, count):
            work[at + d * BLOCK + n] = array[first + n, d]


@part
def in_all(number):
    """The number for each of sixty-four observations."""
    vector = broadcast(number)
    return vector, vector, vector, vector


@kernel
def log_densities(observations, mean, root, top, work, found):
    """found[s, n] = top[s] - |root[s] (observations[n] - mean[s])|^2 / 2.

    observations (N, dims), mean (states, dims), root (states, dims, band + 1), top (states,), found (states, N); work:
    scratch, dims * (BLOCK + STEP).
    """
    length, dims, band = observations.shape[0], root.shape[1], root.shape[2] - 1
    zeros, ones, centred = in_all(0.0), in_all(1.0), dims * BLOCK
    for first in range(0, length, BLOCK):
        count = BLOCK if length - first > BLOCK else length - first
        write_columns(observations, first, count, work, 0)
        for s in range(top.size):
            for u in range(0, count, STEP):
                for d in range(dims):
                    here = load_each(work, d * BLOCK + u, LANES, zeros)
                    store_each(work, centred + d * STEP, add_products(here, ones, -mean[s, d]))
                squares = zeros
                for i in range(dims):
                    entry, low = zeros, (i - band if i > band else 0)
                    for j in range(low, i + 1):
                        here = load_each(work, centred + j * STEP, LANES, zeros)
                        entry = add_products(entry, here, root[s, i, j - low])
                    squares = add_products(squares, entry, entry)
                density, at = add_products(in_all(top[s]), squares, -0.5), s * length + first + u
                if count - u >= STEP:
                    store_each(found, at, density)
                else:
                    store_each(work, centred, density)
                    copy(work, centred, found, at, count - u)


@part
def add_moments_of_one(work, weights, count, mean, s, centred, weighted, moments, products):
    """Those that a single dimension has a part in. Writes what it has centred, and that times the weights."""
    zeros, ones = in_all(0.0), in_all(1.0)
    dims, band = products.shape[1], products.shape[2] - 1
    total = zeros
    for u in range(0, count, STEP):
        total = add_products(total, ones, load_each(work, weights + u, LANES, zeros))
    moments[s, 0] += add_lanes(dot(total, ones))
    for i in range(dims):
        first, second = zeros, zeros
        for u in range(0, count, STEP):
            weight, at = load_each(work, weights + u, LANES, zeros), i * BLOCK + u
            here = add_products(load_each(work, at, LANES, zeros), ones, -mean[s, i])
            product = add_products(zeros, here, weight)
            first, second = add_products(first, ones, product), add_products(second, here, product)
            if band > 0:
                store_each(work, centred + at, here)
                store_each(work, weighted + at, product)
        moments[s, 1 + i] += add_lanes(dot(first, ones))
        products[s, i, i if i < band else band] += add_lanes(dot(second, ones))


@kernel
def add_moments(observations, posterior, mean, work, moments, products):
    """Add sums weighted with the posterior of state s: of 1 and of y to moments[s], of y y^T to products[s].

    y is an observation less the mean. observations (N, dims), posterior (N, states), mean (states, dims), moments
    (states, 1 + dims), products (states, dims, band + 1); work: scratch, (3 * dims + states) * BLOCK.
    """
    length, dims, band = observations.shape[0], products.shape[1], products.shape[2] - 1
    zeros, ones = in_all(0.0), in_all(1.0)
    centred, weighted, weights = dims * BLOCK, 2 * dims * BLOCK, 3 * dims * BLOCK
    for first in range(0, length, BLOCK):
        count = BLOCK if length - first > BLOCK else length - first
        write_columns(observations, first, count, work, 0)
        write_columns(posterior, first, count, work, weights)
        for s in range(mean.shape[0]):
            add_moments_of_one(work, weights + s * BLOCK, count, mean, s, centred, weighted, moments, products)
            for i in range(dims):
                low = i - band if i > band else 0
                for j in range(low, i):
                    total = zeros
                    for u in range(0, count, STEP):
                        left = load_each(work, weighted + i * BLOCK + u, LANES, zeros)
                        right = load_each(work, centred + j * BLOCK + u, LANES, zeros)
                        total = add_products(total, left, right)
                    products[s, i, j - low] += add_lanes(dot(total, ones))
