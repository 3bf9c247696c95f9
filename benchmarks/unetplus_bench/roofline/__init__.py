"""What this machine can do at most, what each layer costs, and what the backends reach of it."""
