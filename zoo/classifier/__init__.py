"""A classifier that people keep: scikit-learn's conventions around a cell's training, and its saved form.

network      a trained model with what it needs to read a text
folder       a network as a folder: one JSON file, one of weights, no pickle
seen         which texts it was trained on, as hashes
estimator    `TextClassifier`, for scikit-learn's users
"""
