"""A repair as a pull request, or as a repository of its own."""
