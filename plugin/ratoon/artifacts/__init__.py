"""Where files are kept: content-addressed blobs under SHA-256, written atomically, verified on read."""
