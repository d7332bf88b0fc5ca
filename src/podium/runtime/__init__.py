"""What components share: informers, work queues, the controller runner, events, leaders, processes."""
