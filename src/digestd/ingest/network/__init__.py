"""What HTTP stands on: which addresses may be reached, how connections are made, how bodies are coded."""
