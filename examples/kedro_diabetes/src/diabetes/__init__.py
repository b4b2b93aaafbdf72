"""How diabetes progresses within a year."""
