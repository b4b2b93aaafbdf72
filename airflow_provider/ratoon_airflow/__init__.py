"""ratoon for Apache Airflow."""
