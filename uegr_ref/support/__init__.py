"""What the mathematics stands on: contracts of arguments, sums and ranks, tables of text, a small corpus."""
