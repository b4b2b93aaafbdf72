"""Nothing here: ratoon needs no line in it."""
