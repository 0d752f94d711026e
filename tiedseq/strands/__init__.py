"""HMMs that are alike on both strands."""
