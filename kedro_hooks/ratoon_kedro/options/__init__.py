"""What a project says about its tracking: ``ratoon.yml``, the catalog, credentials."""
