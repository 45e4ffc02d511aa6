"""What a template does to all that isn't reasoning: where turns end, calls, values, system texts and markers."""
