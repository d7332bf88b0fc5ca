"""What controllers share: informers, work queues, reconcilers, events, leader election."""
