"""Live updates of jobs: one reader of the event stream, many subscribers."""
