"""What results say: statistics, intervals, comparisons, statements."""
