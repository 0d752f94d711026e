"""The recursions over two sequences: what a pair-HMM's numbers and an alignment mode make of a pair of them."""
