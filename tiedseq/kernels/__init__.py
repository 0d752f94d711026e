"""Numba kernels: arrays in, arrays out. They know no labels, no names, no files and no model."""
