"""What is wrong between the files of a checkpoint, and between them and what reads them."""
