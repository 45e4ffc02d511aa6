"""Generation markers: what the model has to write, and the tags that say so."""
