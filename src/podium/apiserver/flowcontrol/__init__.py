"""How many requests are served at a time, and who waits: priority and fairness, or plain limits."""
