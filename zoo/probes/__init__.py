"""Measurements on networks while they train and after: what the paper claims of their insides."""
