"""What each consumer of simplestreams sees in a feed, what it does not see, and why."""
