"""Models of Hugging Face in the grid: trained through the public door (`uegr.attach`), judged as all others.

Nothing here is imported where no such model is asked for, and importing it imports no transformers.
"""
