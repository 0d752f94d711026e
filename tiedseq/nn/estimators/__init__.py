"""Networks that learn classes, labels of positions, numbers and likeness, with scikit-learn's conventions."""
