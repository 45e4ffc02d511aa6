"""What is wrong with a checkpoint as a whole: what it lacks, and its tokens beside the template."""
