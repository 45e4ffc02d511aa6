"""What is wrong with generation markers."""
