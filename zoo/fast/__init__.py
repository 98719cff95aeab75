"""What makes it fast: each file a fast form beside its slow twin."""
