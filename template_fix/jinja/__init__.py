"""Templates as programs: parsed, compiled, compared, and what other engines know of them."""
