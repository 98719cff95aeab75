"""What is done with finished cells: the store, the statistics, the tables, the figure, the report.

Everything but the store and the baseline is a pure function of a list of results (plain dictionaries, one a
cell). Importing this package imports nothing heavy: scipy, matplotlib and scikit-learn are imported by the
functions that need them.
"""
