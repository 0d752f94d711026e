"""How networks learn: losses, minibatches, optimisers, epochs."""
