"""How good a model is: metrics by task and by segment, figures, and a candidate beside the champion.

scikit-learn, numpy, pandas and Matplotlib are imported on use.
"""
