"""The server: MLflow's REST API 2.0, and what it lacks, over the stores of a client. Needs the extra ``server``."""
