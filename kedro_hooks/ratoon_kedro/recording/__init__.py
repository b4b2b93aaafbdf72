"""What is recorded while nodes run: parameters, outputs, datasets, files."""
