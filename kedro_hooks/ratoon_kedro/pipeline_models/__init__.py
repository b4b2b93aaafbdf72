"""An inference pipeline with what a run has fitted, as one model."""
