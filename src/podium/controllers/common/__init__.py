"""What several controllers share: reading pods, claiming dependents, making pods, counting percentages."""
