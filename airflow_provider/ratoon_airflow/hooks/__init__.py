"""The hook: a connection of Airflow becomes a client of ratoon."""
