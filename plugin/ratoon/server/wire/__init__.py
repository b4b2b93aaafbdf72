"""MLflow's messages: what requests are decoded into, and how values of ours are said in its words."""
