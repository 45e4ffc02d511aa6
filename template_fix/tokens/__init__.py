"""What loaders make of the reasoning tags."""
