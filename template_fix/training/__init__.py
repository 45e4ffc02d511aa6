"""Inside of a training script."""
