"""The MLmodel format: what a packaged model is made of, and how it is loaded without running what nobody allowed."""
