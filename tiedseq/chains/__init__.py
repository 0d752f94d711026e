"""The recursions over one sequence: what an HMM's numbers make of a sequence of likelihoods."""
