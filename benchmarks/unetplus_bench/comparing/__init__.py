"""Two measurements beside each other: which rows became slower, and what else differs."""
