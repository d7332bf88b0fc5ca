"""What the one generic registry cannot say: allocation, and subresources with kinds or rules of their own."""
