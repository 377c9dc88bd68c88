"""What adapters of models behind HTTP share: many requests under way, patience with the server, stop strings."""
