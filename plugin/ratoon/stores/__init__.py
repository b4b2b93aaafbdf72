"""Where runs and versions are kept: the protocols, what may be stored, and the implementations."""
