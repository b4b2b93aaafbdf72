"""The stores behind a server: MLflow's REST API 2.0, whether ratoon's server answers it or MLflow's own."""
