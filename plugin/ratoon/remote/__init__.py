"""How a server is spoken to: one connection, used by the stores and the artifact store behind it."""
