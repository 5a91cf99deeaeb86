"""The journeys of which Serin consists: each has its functions, queues, workflows, grants and alarms."""
