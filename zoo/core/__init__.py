"""What every floor may use: errors, names, records of batches and results. Imports nothing of ours."""
