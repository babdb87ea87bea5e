"""Models on this machine: which there are, which one answers, and how to get another."""
