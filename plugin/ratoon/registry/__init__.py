"""Who may take an alias: gates, verdicts, promotion and rollback."""
