"""The marketing-attribution pipeline: every task, found here by `luigi --module pipeline <Task>`."""
